"""What people did in all batches, as a table: of open batches from the index, of settled ones from a view.

A settled batch is read once: its answers table, and the few objects that are not in it (late answers, skips, answers
that were taken back).
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.collect import valid_votes_by_query
from hopchain_etl.annotation.vote_archive import archived
from hopchain_etl.annotation.votes import Vote, vote_key, votes_prefix
from hopchain_etl.annotation.workdays import Work, work_on_checks
from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.view import View, each
from hopchain_etl.web.desk.folder import QuestionVotes, is_lease
from hopchain_etl.web.desk.index import Index

log = logging.getLogger(__name__)

SEEN = "seen"  # rows of this name say when somebody sent something last: ``day`` is the whole time, ISO 8601
SCHEMA = pa.schema([*((name, pa.string()) for name in ("name", "annotator", "other", "day")), ("count", pa.int64())])


def all_work(index: Index) -> pa.Table:
    """Return all counts of all batches and checks as rows of SCHEMA; several rows may be about the same.

    ``index`` knows the open batches; nothing waits for a refresh. Costs two listings and a few reads, and a listing and
    some reads for each batch that was settled since the last call.
    """
    index.refresh_if_stale()
    homes = list(index.open.values())
    checks = index.gold.answers()
    last = {one["annotator"]: str(one.get("answered_at", "")) for one in sorted(checks, key=_answered_at)}
    tables = [_table(*home.work()) for home in homes]
    tables += [_table(work_on_checks(checks), last)]
    tables += [settled_work(index.lake, index.settings.too_fast_seconds, {home.batch.id for home in homes})]
    return pa.concat_tables(tables)


def _answered_at(check: Mapping[str, object]) -> str:
    return str(check.get("answered_at", ""))


def settled_work(lake: Lake, too_fast: float, besides: set[str]) -> pa.Table:
    """Return the counts of settled batches, without those in ``besides``."""

    def read(key: str) -> pa.Table | None:
        try:
            return _read(lake, batches.name_of_record(key), too_fast)
        except batches.UNREADABLE:
            log.exception("the settled batch of %s cannot be read; reports leave it out", lake.store.uri(key))
            return None

    view = View(lake.store, f"work-{too_fast:g}", SCHEMA)
    etags = batches.decided_etags(lake)
    return view.rows(etags, each(read), besides={key for key in etags if batches.name_of_record(key) in besides})


def _read(lake: Lake, name: str, too_fast: float) -> pa.Table:
    batch = batches.load(lake, name)
    counted = valid_votes_by_query(lake, batch)
    known = {vote_key(name, query, vote.seat, vote.rev): vote for query, cast in counted.items() for vote in cast}
    listed: defaultdict[str, list[str]] = defaultdict(list)
    packed = archived(lake, name)
    for key in dict.fromkeys([*(entry.key for entry in lake.store.list_objects(votes_prefix(name))), *packed]):
        if not is_lease(key):
            listed[key.split("/")[2]].append(key)
    unread = [key for keys in listed.values() for key in keys if key not in known and key not in packed]
    if batch.continues is None:  # otherwise the table also has votes that are stored, and counted, in that batch
        listed |= {query: list(dict.fromkeys([*listed[query], *_keys(name, cast)])) for query, cast in counted.items()}
    contents = packed | (dict(zip(unread, map_threads(lake.store.get, unread), strict=True)) if unread else {})
    work: Work = Counter()
    seen: dict[str, str] = {}
    for query, keys in listed.items():
        votes: dict[str, Vote] = {key: known[key] for key in keys if key in known}
        folder = QuestionVotes(name, query, votes).listed(keys, contents)
        work.update(folder.work(counted.get(query, ()), too_fast))
        for who, when in folder.seen():
            seen[who] = max(when, seen.get(who, ""))
    return _table(work, seen)


def _keys(name: str, cast: Iterable[Vote]) -> list[str]:
    return [vote_key(name, vote.query_id, vote.seat, vote.rev) for vote in cast]


def _table(work: Work, seen: Mapping[str, str]) -> pa.Table:
    rows = [(*fact, count) for fact, count in work.items()]
    rows += [(SEEN, who, "", when, 1) for who, when in seen.items()]
    columns = zip(*rows, strict=True) if rows else ((),) * len(SCHEMA)
    return pa.table([pa.array(column, one.type) for column, one in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def within(rows: pa.Table, first: str, last: str) -> pa.Table:
    """Return the rows of the days from ``first`` to ``last`` (ISO 8601), both included; empty: no bound."""
    if first:
        rows = rows.filter(pc.greater_equal(rows["day"], first))
    return rows.filter(pc.less(rows["day"], f"{last}~")) if last else rows  # "~" is after all that follows a day


def last_seen(rows: pa.Table) -> dict[str, str]:
    """Return when each person sent something last."""
    seen = rows.filter(pc.equal(rows["name"], SEEN)).group_by("annotator").aggregate([("day", "max")]).to_pylist()
    return {row["annotator"]: row["day_max"] for row in seen}
