"""``hopchain gc``: deletes tables of fingerprints that nothing names, parts that no marker lists, and what is old.

What is old goes by settings only: records of runs and reports, answers in the journal (``old_journal``), and votes,
which are packed and not deleted (``old_votes``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hopchain_etl import schemas
from hopchain_etl.annotation import batches
from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.lake_format import require_known_format
from hopchain_etl.lake.lock import lake_lock
from hopchain_etl.lake.object_store import MissingObjectError, ObjectInfo
from hopchain_etl.lake.shards import LakeError, Marker, Shard
from hopchain_etl.pipeline.build import Build
from hopchain_etl.release import proposal
from hopchain_etl.release.git import working_clone
from hopchain_etl.release.inputs import chain
from hopchain_etl.settings import RetentionSettings, Settings
from hopchain_etl.stages.token_budget import finished_ledgers
from hopchain_etl.takedown.old_journal import old_segments
from hopchain_etl.takedown.old_votes import old_votes, pack_old_votes
from hopchain_etl.takedown.tables import OF_QUERIES, TABLE_OF_STAGE
from hopchain_etl.takedown.views import views_of_dead_lineages
from hopchain_etl.training_set.documents import parsed

_PART = re.compile(r"(?P<folder>.*/shard=\d+/)(part|rejects)-[^/]*")
_WAITS = "a release that waits for approval names it"
_RECORDS = ("runs/", "reports/", "notices/")
_RUN_RECORD = re.compile(r"runs/[^/]+\.json")
_NEWEST_PHOTOS = "notices/newest-photos.json"  # by which quiet days are counted, see orchestration.watch
_DERIVED = tuple(TABLE_OF_STAGE.values())  # what a build can compute again


@dataclass(frozen=True)
class Garbage:
    """The keys of unused objects, their size in bytes, and why each table that is kept is (``table/fingerprint``).

    ``kept`` also says why answers of a model (``journal/<model>``) and votes of a batch (``votes/<batch>``) are.
    ``packed``: the number of votes that become one object, by batch.
    """

    keys: list[str]
    size: int
    kept: dict[str, str]
    packed: dict[str, int]


def lineages_in_use(settings: Settings) -> dict[str, str]:
    """Return the fingerprints that something names, each with the first reason to keep it.

    These are the current stages, the lineages in the settings, and whatever a released version, a batch, answers of
    people or the record of a run names, each with all the stages above it.
    """
    build = Build(settings)
    used: dict[str, str] = {}
    for why, names in _named(settings, build.lake):
        for name in names:
            used.setdefault(name, why)
    current = dict.fromkeys((step.fingerprint for step in build.steps.values()), "the current settings")
    return current | {name: why for name, why in used.items() if name not in current}


def _named(settings: Settings, lake: Lake) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield who names fingerprints, and which."""
    for lineage in settings.release.lineages:
        yield "release.lineages", (link["fingerprint"] for link in chain(lake, lineage))
    if settings.registry.git_url:
        yield from _released(settings)
    names = list(batches.batch_states(lake))
    for batch in map_threads(lambda name: batches.load(lake, name), names):
        if batch.lineage:
            yield f"batch {batch.id} asks its questions", _with_stages_above(lake, batch.lineage)
    for answers in lake.fingerprints("answers"):
        facts = lake.get_json(f"lineages/{answers}.json")
        if facts and facts["upstream"]:
            yield "people answered its questions", _with_stages_above(lake, facts["upstream"])
    records = [one.key for one in lake.store.list_objects("runs/") if _RUN_RECORD.fullmatch(one.key)]
    for key, record in zip(records, map_threads(lake.get_json, records), strict=True):
        fingerprints = (record or {}).get("fingerprints", {})
        yield f"run {key.removeprefix('runs/').removesuffix('.json')} built it", fingerprints.values()


def _released(settings: Settings) -> Iterator[tuple[str, Iterable[str]]]:
    with working_clone(settings) as repo:
        tags = [] if repo.empty else repo.tags("training-set/*")
        for tag, found in zip(tags, repo.contents(f"{tag}:snapshot.json" for tag in tags), strict=True):
            engines = parsed(found[2] if found else b"{}", dict, f"snapshot.json of {tag}").get("engines", {})
            yield f"released in {tag}", (stage["fingerprint"] for stages in engines.values() for stage in stages)


def _with_stages_above(lake: Lake, lineage: str) -> list[str]:
    try:
        return [link["fingerprint"] for link in chain(lake, lineage)]
    except LakeError:  # its document was lost: keep at least what is named
        return [lineage]


def gc_by_settings(settings: Settings, *, dry_run: bool, grace_seconds: float) -> Garbage:
    """Return what ``gc`` does for the lake of the settings, with what they and the registry name kept."""
    lake, unfinished = Lake(settings.lake), Build(settings).unfinished() if settings.retention.journal_days else []
    with nullcontext() if dry_run else lake_lock(lake, "gc"):  # two at once could delete what is written between them
        return gc(
            lake,
            lineages_in_use(settings),
            dry_run=dry_run,
            grace_seconds=grace_seconds,
            retention=settings.retention,
            unfinished=unfinished,
        )


def gc(
    lake: Lake,
    keep: Mapping[str, str],
    *,
    dry_run: bool = True,
    grace_seconds: float = 86_400,
    retention: RetentionSettings | None = None,
    unfinished: Collection[Shard] = (),
) -> Garbage:
    """Return (and, unless ``dry_run``, delete) unused objects.

    These are the tables of fingerprints not in ``keep``, and views of them; parts that are in no marker (from killed or
    replaced attempts); and token counts of finished runs. Tables and parts written in the last ``grace_seconds`` are
    kept, because a build may be running; so are images, human answers and blobs. ``retention`` says from which age
    records of runs, reports, marks of notices and answers in the journal go too, but for those about ``unfinished``
    shards, and when votes are packed.
    """
    require_known_format(lake)
    retention = retention or RetentionSettings()
    before = datetime.now(UTC) - timedelta(seconds=grace_seconds)
    proposed = _proposed(lake)
    keep = {**_being_built(lake, keep, before), **dict.fromkeys(proposed.lineages, _WAITS), **keep}
    days = retention.record_days
    past = {**finished_ledgers(lake), **(_old_records(lake, days) if days else {})}
    answers, kept = old_segments(lake, retention.journal_days, unfinished, grace_seconds)
    found = {key: entry.size for key, entry in past.items()} | answers
    loose, dead = [*found], []
    for table in schemas.TABLES:
        for name in [None] if table == "images" else lake.fingerprints(table):
            prefix = f"{table}/{name}/" if name else f"{table}/"
            entries = {entry.key: entry for entry in lake.store.list_objects(prefix)}
            if name and table in _DERIVED:
                if why := _reason_to_keep(lake, name, keep):
                    kept[f"{table}/{name}"] = why
                else:
                    dead.append((table, name))
                    found |= {key: entry.size for key, entry in entries.items()}
                    continue
            orphans = [key for key in _orphans(lake, table, name, entries, before) if key not in proposed.parts]
            loose += orphans
            found |= {key: entries[key].size for key in orphans}
    views = views_of_dead_lineages(lake, dead)
    found |= views
    packed, unpacked = old_votes(lake, retention.votes_days)
    if not dry_run:
        lake.store.delete([*loose, *views])
        for table, name in dead:
            lake.drop_table(table, name)
        packed = pack_old_votes(lake, packed, retention.votes_days) if retention.votes_days else {}
    return Garbage(sorted(found), sum(found.values()), kept | unpacked, packed)


@dataclass(frozen=True)
class _Proposed:
    """What the snapshot of a release that waits for approval names: it is made again from these parts."""

    lineages: frozenset[str]
    parts: frozenset[str]  # keys


def _proposed(lake: Lake) -> _Proposed:
    listed = (entry.key for entry in lake.store.list_objects(proposal.FOLDER))
    keys = [key for key in listed if key.endswith(".json")]
    lineages, parts = set[str](), set[str]()
    for stored in filter(None, map_threads(lake.get_json, keys)):
        for entry in stored["snapshot"].get("inputs", ()):
            folder = lake.folder(entry["table"], entry["fingerprint"], Shard.parse(entry["shard"]))
            parts |= {folder + part["name"] for part in (*entry["parts"], *entry.get("rejects", ()))}
            lineages |= {entry["fingerprint"]} - {None}
    return _Proposed(frozenset(lineages), frozenset(parts))


def _old_records(lake: Lake, days: int) -> dict[str, ObjectInfo]:
    """Return the objects of runs and reports that are older, but for those of the newest run."""
    before = datetime.fromtimestamp(lake.store.now(), UTC) - timedelta(days=days)
    entries = [entry for folder in _RECORDS for entry in lake.store.list_objects(folder)]
    runs = [entry for entry in entries if _RUN_RECORD.fullmatch(entry.key)]
    newest = max(runs, key=lambda entry: entry.modified).key.removesuffix(".json") if runs else "none"
    old = (entry for entry in entries if entry.modified < before)
    return {entry.key: entry for entry in old if not entry.key.startswith((f"{newest}.", f"{newest}/", _NEWEST_PHOTOS))}


def _being_built(lake: Lake, keep: Mapping[str, str], before: datetime) -> dict[str, str]:
    """Return the fingerprints of tables written to since ``before``, and of the stages above these, with the reason.

    A build under other settings names its tables only when it has ended.
    """
    found: dict[str, str] = {}
    for table in _DERIVED:
        for name in lake.fingerprints(table):
            entries = () if name in keep else lake.store.list_objects(f"{table}/{name}/")
            if any(entry.modified >= before for entry in entries):
                why = f"{table}/{name} was written to since {before:%Y-%m-%d %H:%M} UTC: a build may be running"
                found |= dict.fromkeys(_with_stages_above(lake, name), why)
    return found


def _reason_to_keep(lake: Lake, name: str, keep: Mapping[str, str]) -> str | None:
    """Return why a table is kept, None if it is garbage. Judgements and attempts stay as long as their queries."""
    if name in keep:
        return keep[name]
    facts = lake.get_json(f"lineages/{name}.json")
    queries = str(facts["upstream"]) if facts and TABLE_OF_STAGE.get(facts["stage"]) in OF_QUERIES else ""
    return f"its queries {queries} are kept: {keep[queries]}" if queries in keep else None


def _orphans(
    lake: Lake, table: str, name: str | None, entries: Mapping[str, ObjectInfo], before: datetime
) -> list[str]:
    """Return the parts among ``entries`` that are in no marker and are old enough."""
    parts = {key: match for key in entries if (match := _PART.fullmatch(key))}
    listed = {
        lake.folder(table, name, shard) + part.name
        for shard, marker in lake.markers(table, name).items()
        for part in (*marker.parts, *marker.rejects)
    }
    loose = [key for key in parts if key not in listed and entries[key].modified < before]
    # The manifest can lag behind after a kill, so the markers themselves are asked before anything is deleted.
    folders = sorted({parts[key]["folder"] for key in loose})
    for marker, folder in zip(map_threads(lambda one: _marker(lake, one), folders), folders, strict=True):
        listed |= {folder + part.name for part in (*marker.parts, *marker.rejects)} if marker else set()
    return [key for key in loose if key not in listed]


def _marker(lake: Lake, folder: str) -> Marker | None:
    try:
        return Marker.from_json(lake.store.get(folder + "_SUCCESS"))
    except MissingObjectError:
        return None
