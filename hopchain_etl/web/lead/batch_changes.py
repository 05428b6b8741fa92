"""What a lead does with batches: choosing questions for a new one, and changing, closing and opening it again."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl.annotation import batch_details, batches
from hopchain_etl.annotation.batch_details import NONE, BatchDetails
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.choice import ANY, Choice, bands_of, chosen, counts
from hopchain_etl.annotation.eligibility import excluded_queries_of_lineage
from hopchain_etl.annotation.reopening import ContinuedElsewhereError, reopen_closed
from hopchain_etl.annotation.unasked import by_shard, not_asked, unasked_rows
from hopchain_etl.annotation.vote_archive import unpack
from hopchain_etl.hops.calibration import Thresholds
from hopchain_etl.hops.query import Read, Relation
from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.lake.lock import LockHeldError, LockLostError
from hopchain_etl.web.bodies import now_text
from hopchain_etl.web.errors import Conflict, Invalid
from hopchain_etl.web.lead.assignment import check_cap, check_seats
from hopchain_etl.web.lead.batch_view import BatchView
from hopchain_etl.web.lead.lead import LeadDesk
from hopchain_etl.web.lead.people import People

log = logging.getLogger(__name__)

JSON = dict[str, Any]

_TEMPLATES = 100  # the most frequent ones, from which a lead picks
OTHERS_SECONDS = 10.0  # that a lead's request waits for another batch to be stored


@dataclass(frozen=True)
class NewBatch:
    """What a lead wants of a new batch.

    ``continues``: a closed batch, whose open questions it asks; otherwise it asks what nobody was asked under a
    ``lineage`` (None: the newest one) and is in the ``choice``, at most ``limit`` questions. ``assigned`` None: to all.
    """

    id: str
    continues: str | None = None
    lineage: str | None = None
    choice: Choice = ANY
    limit: int | None = None
    assigned: list[str] | None = None
    details: BatchDetails = NONE


class BatchChanges:
    """The batches of a lake, as a lead makes and changes them."""

    def __init__(self, leading: LeadDesk, people: People, thresholds: Thresholds) -> None:
        self._leading = leading
        self._lake = leading.lake
        self._index = leading.index
        self._people = people
        self._thresholds = thresholds

    def unasked(self, lineage: str | None, choice: Choice) -> JSON:
        """Return how many questions nobody was asked yet, how many of them are chosen, and of which kinds these are.

        Reads what ``create`` reads, and the bands.
        """
        lineage = lineage or self._newest_lineage()
        rows, found = self._chosen(lineage, choice)
        templates = counts(found["template"])
        hops: Counter[int] = Counter()
        for template, many in templates:
            hops[len(template.split())] += many
        return {
            "lineage": lineage,
            "unasked": rows.num_rows,
            "matching": found.num_rows,
            "photos": pc.count_distinct(found["image_id"]).as_py(),
            "templates": [{"value": one, "questions": many} for one, many in templates[:_TEMPLATES]],
            "bands": [{"value": one, "questions": many} for one, many in counts(self._bands(lineage, found))],
            "hops": [{"value": one, "questions": many} for one, many in sorted(hops.items())],
            "rels": [str(rel) for rel in Relation],
            "reads": [str(read) for read in Read],
        }

    def create(self, by: str, wanted: NewBatch) -> JSON:
        """Store a new batch and return it."""
        try:
            batches.check_batch(wanted.id)
        except ValueError as error:
            raise Invalid(f"id: {error}") from error
        if wanted.id in batches.batch_states(self._lake):
            raise Conflict(f"batch {wanted.id!r} already exists")
        self._people.check_names(wanted.assigned)
        with storing(self._lake) as store:
            batch = self._new_batch(by, wanted)
            if batch.continues:
                unpack(self._lake, batch.continues)
            earlier = self._leading.show(batch.continues).votes if batch.continues else {}
            given = {query: earlier.get(query, []) for query in batch.query_ids}
            if wanted.assigned is not None:
                check_seats(wanted.assigned, batch.seats, given)
            self._check_cap(wanted.details, wanted.assigned, BatchView(batch, frozenset(), given, 0))
            store(batch)
        if wanted.assigned is not None:
            batches.assign(self._lake, batch.id, wanted.assigned)
        if wanted.details != NONE:
            batch_details.save(self._lake, batch.id, wanted.details, by=by, at=now_text(), based_on=0)
        return self._changed(batch.id)

    def assign(self, name: str, annotators: list[str] | None) -> JSON:
        """Assign a batch to these annotators (None: all); raise Invalid if they are too few for its open questions."""
        self._people.check_names(annotators)
        shown = self._leading.show(name)
        if annotators is not None:
            check_seats(annotators, shown.batch.seats, {query: shown.votes[query] for query in shown.open_queries()})
        details = batch_details.load(self._lake, name, self._leading.listed(name).details)
        self._check_cap(details, annotators, shown)
        batches.assign(self._lake, name, annotators)
        return self._changed(name)

    def set_details(self, name: str, by: str, details: BatchDetails, based_on: int) -> JSON:
        """Set title, priority, due date, tags and cap of a batch; raise Conflict if another lead has done so meanwhile.

        Raises Invalid if the cap is so low that the people who may answer could not fill the seats.
        """
        listed = self._leading.listed(name)
        if details.cap is not None and not listed.states & {"closed", "decided"}:
            self._check_cap(details, batches.assigned(self._lake, name), self._leading.show(name))
        try:
            batch_details.save(self._lake, name, details, by=by, at=now_text(), based_on=based_on)
        except batch_details.ChangedMeanwhileError as error:
            raise Conflict(f"{error}. Nothing was overwritten") from error
        return self._changed(name)

    def close(self, name: str, by: str) -> JSON:
        """Close a batch, also one that cannot be read: its questions are not shown any more."""
        self._leading.listed(name)
        batches.close(self._lake, name, by)
        return self._changed(name)

    def reopen(self, name: str, by: str) -> JSON:
        """Open a closed batch again; raise Conflict if it is not closed, or another batch continues it."""
        self._index.refresh()
        states = self._leading.listed(name).states
        # settled, not closed, and with open questions: somebody was killed while opening it again
        if "closed" not in states and not ("decided" in states and self._leading.show(name).open_queries()):
            raise Conflict("this batch is not closed")
        with _not_locked():
            try:
                reopen_closed(self._lake, name, wait_seconds=OTHERS_SECONDS)
            except ContinuedElsewhereError as error:
                raise Conflict(f"this batch stays closed: {error}") from error
        log.info("%s has opened batch %s again", by, name)
        return self._changed(name)

    def _changed(self, name: str) -> JSON:
        self._index.refresh()
        return self._leading.summary(name)

    def _check_cap(self, details: BatchDetails, assigned: Iterable[str] | None, shown: BatchView) -> None:
        if details.cap is not None:
            check_cap(details, self._people.who_may_answer(assigned), shown)

    def _new_batch(self, by: str, wanted: NewBatch) -> Batch:
        choose = self._open_queries if wanted.continues is not None else self._unasked_queries
        queries, lineage, shards = choose(wanted)
        if not queries:
            raise Invalid("there are no such questions: all are in a batch already, or none is like what you choose")
        policy, limited = batches.policy_of(self._leading.desk.settings), tuple(queries[: wanted.limit])
        return Batch(
            wanted.id, f"lead:{by}", limited, policy, lineage=lineage, shards=shards, continues=wanted.continues
        )

    def _open_queries(self, wanted: NewBatch) -> tuple[list[str], str | None, tuple[str, ...]]:
        """Return the open queries of a closed batch that no later batch asks, with their lineage and shards."""
        name = wanted.continues or ""
        if "closed" not in self._leading.listed(name).states:
            raise Conflict("close that batch first: it is still open")
        closed = self._leading.show(name)
        earlier = {name, *batches.continued(self._lake, closed.batch)}
        return not_asked(self._lake, closed.open_queries(), earlier), closed.batch.lineage, closed.batch.shards

    def _unasked_queries(self, wanted: NewBatch) -> tuple[list[str], str | None, tuple[str, ...]]:
        """Return the chosen queries of a lineage that are in no batch, with their lineage and shards."""
        lineage = wanted.lineage or self._newest_lineage()
        found = by_shard(self._chosen(lineage, wanted.choice)[1])
        queries = list(dict.fromkeys(query for some in found.values() for query in some))[: wanted.limit]
        asked = set(queries)
        shards = tuple(str(shard) for shard, some in found.items() if not asked.isdisjoint(some))
        return queries, lineage, shards

    def _chosen(self, lineage: str, choice: Choice) -> tuple[pa.Table, pa.Table]:
        """Return the queries of a lineage that nobody was asked yet, and those of them that are chosen."""
        rows = unasked_rows(self._lake, lineage, excluded_queries_of_lineage(self._lake, lineage))
        return rows, chosen(rows, choice, self._bands(lineage, rows) if choice.band else None)

    def _bands(self, lineage: str, rows: pa.Table) -> pa.Array:
        return bands_of(self._lake, lineage, rows["query_id"], self._thresholds)

    def _newest_lineage(self) -> str:
        for name in reversed(batches.batch_states(self._lake)):
            with suppress(LakeError):
                if lineage := batches.load(self._lake, name).lineage:
                    return lineage
        raise Invalid("fingerprint: required, because there is no batch yet to take it from")


@contextmanager
def storing(lake: Lake) -> Iterator[Callable[[Batch], None]]:
    """Yield the function that stores a new batch, under the lock of new ones; raise Conflict if that is taken.

    The function raises Conflict if there is a batch of this name.
    """
    with _not_locked(), batches.exclusively(lake, wait_seconds=OTHERS_SECONDS) as create_batch:

        def store(batch: Batch) -> None:
            try:
                stored = create_batch(batch)
            except LockLostError:
                raise
            except LakeError as error:
                raise Conflict(f"batch {batch.id!r} already exists") from error
            if stored != batch:
                raise Conflict(f"batch {batch.id!r} already exists")

        yield store


@contextmanager
def _not_locked() -> Iterator[None]:
    try:
        yield
    except (LockHeldError, LockLostError) as error:
        raise Conflict("a build or another lead is making a batch just now; try again in a moment") from error
