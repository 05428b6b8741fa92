"""What figures of builds and batches are worth a notice: many rejects, drift, no new photos, a batch nobody answers.

What goes on for long is told once: ``notices/<event>/<name>.json`` in the lake says that it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from hopchain_etl.annotation import batches
from hopchain_etl.lake.lake import Lake, Marker
from hopchain_etl.orchestration.notices import TOLD, Notice, is_first
from hopchain_etl.pipeline import drift as drifts
from hopchain_etl.pipeline import statistics
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.statistics import BuildStatistics
from hopchain_etl.quality import validator
from hopchain_etl.settings import OrchestrateSettings

_NEWEST = f"{TOLD}newest-photos.json"  # when photos came in last
_REASONS = 3


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
    if now - since < timedelta(days=settings.notice_quiet_days) or not is_first(lake, "quiet", held["at"]):
        return
    days = (now - since).days
    yield Notice("quiet", f"no new photos for {days} days", f"The last ones came in at {held['at']}.", {"days": days})


def starving(lake: Lake, settings: OrchestrateSettings) -> Iterator[Notice]:
    """Yield a notice, once for each silence, for each open batch that nobody has answered for some hours."""
    now = datetime.fromtimestamp(lake.store.now(), UTC)
    made = {entry.key: entry.modified for entry in lake.store.list_objects("batches/")}
    for name, states in batches.batch_states(lake).items():
        if states & {"closed", "decided"} or f"batches/{name}.json" not in made:  # made just now
            continue
        times = [entry.modified for entry in lake.store.list_objects(f"votes/{name}/")]
        since = max([*times, made[f"batches/{name}.json"]])
        hours = (now - since).total_seconds() / 3_600
        if hours < settings.notice_starving_hours or not is_first(lake, "starving", f"{name}-{since.isoformat()}"):
            continue
        title = f"nobody has answered batch {name} for {hours:.0f} hours"
        yield Notice(
            "starving", title, "Its questions are open; the lead's page says who could answer.", {"batch": name}
        )
