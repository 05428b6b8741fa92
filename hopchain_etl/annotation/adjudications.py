"""What leads say of questions on which people disagreed. Nothing here is a vote, an answer, or released.

Each event is ``adjudications/<batch>/<query_id>/<n>.json``, written once (``If-None-Match: *``); the highest number
counts. An event says what the program asked (kind of question, relations, categories), so that the report does not
depend on tables that are built again later.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.lake.view import View, each

log = logging.getLogger(__name__)

LABELS = {
    "misread": "Somebody misread the photo or the question",
    "ambiguous": "The question can be understood in more than one way",
    "wrong_key": "The answer of most people is wrong",
    "wrong_program": "The answer of the program, or one of its hops, is wrong",
}
DIMENSIONS = ("kind", "relation", "category")
_KEY = re.compile(r"adjudications/(?P<batch>[^/]+)/(?P<query>[0-9a-f]{64})/(?P<number>\d{4,9})\.json")
_DOCUMENTS = pa.schema([("document", pa.string())])


class OutdatedError(Exception):
    """Somebody else has labelled the question since it was read."""


@dataclass(frozen=True)
class Adjudication:
    """What a lead says of a question in one batch. ``number``: from 1; ``again``: fresh people are to answer it."""

    batch: str
    query_id: str
    number: int
    label: str
    comment: str | None
    again: bool
    by: str
    at: str  # ISO 8601, UTC
    kind: str = ""  # of question: relations and readings of the hops, and the expression
    relations: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


def say(lake: Lake, adjudication: Adjudication) -> None:
    """Store an event; raise OutdatedError if its number is taken: what others said meanwhile is not replaced unseen."""
    data = json.dumps(asdict(adjudication), sort_keys=True).encode()
    prefix = adjudications_prefix(adjudication.batch, adjudication.query_id)
    if not lake.store.put_if_absent(f"{prefix}{adjudication.number:04d}.json", data):
        raise OutdatedError(f"{adjudication.query_id} has a newer label")


def adjudications_prefix(batch: str, query_id: str) -> str:
    """Return the prefix of all events about a question of a batch."""
    return f"adjudications/{batch}/{query_id}/"


def adjudications(lake: Lake) -> dict[tuple[str, str], Adjudication]:
    """Return the last event of each batch and query; costs a listing, and a read of each that is new."""

    def read(key: str) -> pa.Table | None:
        try:
            return pa.table({"document": [lake.store.get(key).decode()]}, schema=_DOCUMENTS)
        except (MissingObjectError, UnicodeDecodeError):  # erased meanwhile, or not ours
            log.exception("the label %s cannot be read", lake.store.uri(key))
            return None

    last: dict[tuple[str, str], tuple[int, str, str]] = {}
    for entry in lake.store.list_objects("adjudications/"):
        if match := _KEY.fullmatch(entry.key):
            about = match["batch"], match["query"]
            last[about] = max(last.get(about, (0, "", "")), (int(match["number"]), entry.key, entry.etag))
    versions = {key: etag for _, key, etag in last.values()}
    rows = View(lake.store, "adjudications", _DOCUMENTS).rows(versions, each(read))
    found = (_parsed(document) for document in rows["document"].to_pylist())
    return {(one.batch, one.query_id): one for one in found if one}


def _parsed(document: str) -> Adjudication | None:
    try:
        held = json.loads(document)
        lists = {name: tuple(held.get(name, ())) for name in ("relations", "categories")}
        return Adjudication(**{**held, **lists})
    except (ValueError, TypeError, AttributeError):
        log.exception("a label cannot be read; the others are")
        return None


def program_facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``kind``, ``relations`` and ``categories`` of a row of ``queries``, as an event has them."""
    hops = row.get("hops") or ()
    looks = ", ".join(f"{hop['rel']} {hop['read']}" if hop.get("read") else str(hop["rel"]) for hop in hops)
    return {
        "kind": f"{looks}: {row['expr']}" if row.get("expr") else looks,
        "relations": tuple(sorted({str(hop["rel"]) for hop in hops})),
        "categories": tuple(sorted({str(hop["category"]) for hop in hops if hop.get("category")})),
    }


def by_program(found: Iterable[Adjudication]) -> list[dict[str, Any]]:
    """Return how often each label was given, for each kind of question, relation and category; the most often first.

    A row has ``dimension`` (of DIMENSIONS), ``value``, ``labelled`` and a count for each of LABELS.
    """
    counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one in found:
        values = [("kind", one.kind or "unknown"), *(("relation", name) for name in one.relations)]
        for about in [*values, *(("category", name) for name in one.categories)]:
            counts[about][one.label] += 1
    rows = [
        {"dimension": dimension, "value": value, "labelled": labels.total(), **{name: labels[name] for name in LABELS}}
        for (dimension, value), labels in counts.items()
    ]
    return sorted(rows, key=lambda row: (DIMENSIONS.index(row["dimension"]), -row["labelled"], row["value"]))
