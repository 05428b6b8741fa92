"""What figures of builds, batches and releases are worth a notice: many rejects, no new photos, an overdue batch.

What goes on for long is told once: ``notices/<event>/<name>.json`` in the lake says that it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batch_details import NONE, all_details
from hopchain_etl.lake.lake import Lake, Marker
from hopchain_etl.orchestration.notices import TOLD, Notice, first
from hopchain_etl.pipeline import drift as drifts
from hopchain_etl.pipeline import statistics
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.statistics import BuildStatistics
from hopchain_etl.quality import validator
from hopchain_etl.settings import OrchestrateSettings

_NEWEST = f"{TOLD}newest-photos.json"  # when photos came in last
_REASONS = 3
_NEW = timedelta(days=1)  # only such batches are told of as ready


def rejects(settings: OrchestrateSettings, markers: Mapping[str, Iterable[Marker]]) -> Iterator[Notice]:
    """Yield a notice for each stage that has rejected too large a share of the run's rows; ``markers`` by stage."""
    for stage, found in markers.items():
        every = list(found)
        read, rejected = sum(one.read for one in every), sum(one.rejected for one in every)
        if not read or rejected <= settings.notice_rejected_share * read:
            continue
        reasons = sum((Counter(one.reasons) for one in every), Counter[str]())
        named = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common(_REASONS))
        facts = {"stage": stage, "read": read, "rejected": rejected, "reasons": dict(reasons)}
        yield Notice(
            "rejects", f"{stage} rejected {rejected} of {read} rows", f"The reasons: {named or 'none'}.", facts
        )


def drift(build: Build, now: BuildStatistics) -> str:
    """Compare a build with the last ones and remember its figures; return what is unusual, or ""."""
    settings = build.settings.quality
    before = [one for one in statistics.recent(build.lake) if one.run != now.run]
    rows = drifts.drift_of(now, before)
    verdict = validator.make_validator(settings)(drifts.TABLE, rows)
    statistics.remember(build.lake, [*before, now], settings.drift_builds)
    return drifts.message(rows, verdict, changed=bool(before) and before[-1].lineage != now.lineage)


def quiet(lake: Lake, settings: OrchestrateSettings, new_photos: int) -> Iterator[Notice]:
    """Yield a notice, once, if no new photos have come in for some days; ``new_photos``: of the run at hand."""
    now = datetime.fromtimestamp(lake.store.now(), UTC)
    held = lake.get_json(_NEWEST)
    if new_photos or held is None:
        lake.put_json(_NEWEST, {"at": now.isoformat()})
        return
    since = datetime.fromisoformat(held["at"])
    if now - since >= timedelta(days=settings.notice_quiet_days) and (mark := first(lake, "quiet", held["at"])):
        days = (now - since).days
        text = f"The last ones came in at {held['at']}."
        yield Notice("quiet", f"no new photos for {days} days", text, {"days": days}, mark)


def about_batches(lake: Lake, settings: OrchestrateSettings) -> Iterator[Notice]:
    """Yield what is to be told of the open batches: that one is ready, that nobody answers it, that it is overdue."""
    now = datetime.fromtimestamp(lake.store.now(), UTC)
    listed = {name: one for name, one in batches.listed(lake).items() if not one.states & {"closed", "decided"}}
    details = all_details(lake, listed)
    for name, one in listed.items():
        what = details.get(name, NONE)
        called = f"{what.title} ({name})" if what.title else name
        yield from _ready(lake, name, called, now - one.modified)
        yield from _starving(lake, settings, name, called, one.modified, now)
        if what.is_overdue(now) and (mark := first(lake, "overdue", f"{name}-{what.due}")):
            text = f"It was due on {what.due}. The lead's page says what is missing, and who could answer."
            yield Notice("overdue", f"batch {called} is overdue", text, {"batch": name, "due": what.due}, mark)


def _ready(lake: Lake, name: str, called: str, age: timedelta) -> Iterator[Notice]:
    """Yield, once, that a batch can be answered; an old one was told of before, or an earlier version made it."""
    mark = first(lake, "ready", name) if age <= _NEW else None
    if mark is None:
        return
    try:
        batch = batches.load(lake, name)
    except batches.UNREADABLE:
        return  # collect names it
    facts = {"batch": name, "questions": len(batch.query_ids)}
    text = f"{len(batch.query_ids)} questions wait on the annotation desk, {batch.seats} people for each."
    yield Notice("ready", f"batch {called} is ready", text, facts, mark)


def _starving(
    lake: Lake, settings: OrchestrateSettings, name: str, called: str, made: datetime, now: datetime
) -> Iterator[Notice]:
    """Yield a notice, once for each silence, if nobody has answered a batch for some hours."""
    since = max([made, *(entry.modified for entry in lake.store.list_objects(f"votes/{name}/"))])
    hours = (now - since).total_seconds() / 3_600
    if hours >= settings.notice_starving_hours and (mark := first(lake, "starving", f"{name}-{since.isoformat()}")):
        title = f"nobody has answered batch {called} for {hours:.0f} hours"
        text = "Its questions are open; the lead's page says who could answer."
        yield Notice("starving", title, text, {"batch": name}, mark)


def approval_due(lake: Lake, settings: OrchestrateSettings, waiting: Callable[[], Collection[str]]) -> Iterator[Notice]:
    """Yield a notice, once, if a release has waited for approval for long and will be rejected soon.

    ``waiting`` returns the ids of the runs that wait; it is asked only if a proposal is that old.
    """
    from hopchain_etl.release import proposal  # with all that makes a release

    now = datetime.fromtimestamp(lake.store.now(), UTC)
    limit = timedelta(hours=settings.approval_hours)
    ahead = min(timedelta(hours=settings.notice_approval_hours), limit / 2)
    made = {entry.key: entry.modified for entry in lake.store.list_objects(proposal.FOLDER)}
    due = {key: at + limit for key, at in made.items() if limit - ahead <= now - at < limit}
    runs = {proposal.key(run): run for run in waiting()} if due else {}
    for key, until in due.items():
        if key in runs and (mark := first(lake, "approval_due", runs[key])):
            text = f"Unless somebody answers in Required Actions, it is rejected at {until:%Y-%m-%d %H:%M} UTC."
            yield Notice("approval_due", "a release still waits for approval", text, {"run": runs[key]}, mark)
