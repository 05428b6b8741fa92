"""What leads set about a batch and may change at any time: title, priority, due date, tags, and a cap for each person.

The details are ``batches/<id>.details.<n>.json``, each version written once (``If-None-Match: *``), so that nobody
overwrites what another lead has set meanwhile; the highest number counts, and only the one before it is kept. A listing
of batches tells the number, so who knows that version reads nothing. Batches of earlier versions have none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from hopchain_etl.annotation.batches import ListedBatch, details_key, listed
from hopchain_etl.errors import ReportedError
from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.lake.view import View, each

PRIORITIES = {"first": 1, "normal": 0, "last": -1}
_SCHEMA = pa.schema([("batch", pa.string()), ("document", pa.string())])


class ChangedMeanwhileError(ReportedError):
    """Another lead has changed the details since the version that a change began from."""


@dataclass(frozen=True)
class BatchDetails:
    """``number``: the version, 0 if nobody has set anything. ``by`` and ``at`` (ISO 8601, UTC) say who set it and when.

    ``priority``: one of PRIORITIES. ``due``: a day (ISO 8601), to the end of which (UTC) the batch should be decided.
    ``cap``: the largest share of the questions that one person should answer, above 0 and below 1; None: no cap.
    """

    title: str = ""
    priority: str = "normal"
    due: str | None = None
    tags: tuple[str, ...] = ()
    cap: float | None = None
    number: int = 0
    by: str = field(default="", compare=False)
    at: str = field(default="", compare=False)

    @property
    def rank(self) -> int:
        """The priority as a number: of two batches, people are asked first from the one with the higher number."""
        return PRIORITIES.get(self.priority, 0)

    def limit(self, questions: int) -> int:
        """Return how many of a batch's questions one person should answer at most."""
        return questions if self.cap is None else max(1, math.floor(self.cap * questions + 1e-9))

    def is_overdue(self, now: datetime) -> bool:
        """Return whether the due date is over; ``now`` is in UTC."""
        return self.due is not None and now.date() > date.fromisoformat(self.due)


NONE = BatchDetails()


def load(lake: Lake, name: str, number: int) -> BatchDetails:
    """Return version ``number`` of a batch's details, or the newest one if that was replaced meanwhile; 0: none.

    Raises LakeError if they cannot be read.
    """
    if not number:
        return NONE
    key = details_key(name, number)
    try:
        return _parse(json.loads(lake.store.get(key)), number)
    except MissingObjectError as error:
        newest = listed(lake)[name].details
        if newest <= number:
            raise LakeError(f"{lake.store.uri(key)} is missing; set the details of the batch again") from error
        return load(lake, name, newest)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LakeError(f"{lake.store.uri(key)} cannot be read ({error!r}); set the details again") from error


def save(lake: Lake, name: str, details: BatchDetails, *, by: str, at: str, based_on: int) -> BatchDetails:
    """Store details and return them with their number.

    Raises ChangedMeanwhileError unless version ``based_on`` is still the newest one.
    """
    made = replace(details, number=based_on + 1, by=by, at=at)
    # Listed first: two who both see ``based_on`` as the newest write the same key, and only one of them is stored.
    is_newest = listed(lake)[name].details == based_on
    if not is_newest or not lake.store.put_if_absent(details_key(name, made.number), _data(made)):
        raise ChangedMeanwhileError("another lead has changed this batch meanwhile; look at it and change it again")
    if based_on > 1:
        lake.store.delete([details_key(name, based_on - 1)])
    return made


def all_details(lake: Lake, known: Mapping[str, ListedBatch]) -> dict[str, BatchDetails]:
    """Return the details of those of the ``known`` batches that have any; from a view, so only new versions are read.

    Those that cannot be read are left out.
    """
    sources = {details_key(name, one.details): name for name, one in known.items() if one.details}
    if not sources:
        return {}

    def read(key: str) -> pa.Table | None:
        name = sources[key]
        try:
            found = load(lake, name, known[name].details)
        except LakeError:
            return None  # whoever opens the batch is told
        return pa.table({"batch": [name], "document": [json.dumps(asdict(found))]}, schema=_SCHEMA)

    rows = View(lake.store, "batch-details", _SCHEMA).rows(dict.fromkeys(sources, "1"), each(read)).to_pylist()
    documents = {row["batch"]: json.loads(row["document"]) for row in rows}
    return {name: _parse(held, held["number"]) for name, held in documents.items()}


def _parse(held: Mapping[str, Any], number: int) -> BatchDetails:
    found = BatchDetails(**{**held, "tags": tuple(held["tags"]), "number": number})
    found.limit(1)
    if found.due is not None:
        date.fromisoformat(found.due)
    return found


def _data(details: BatchDetails) -> bytes:
    return json.dumps(asdict(details), sort_keys=True, indent=1).encode()
