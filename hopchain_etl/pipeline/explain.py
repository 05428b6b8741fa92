"""Why a plan has work: which fingerprints are new, what changed since the last ones, what is built again, its cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hopchain_etl.concurrency import map_threads
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.pipeline.build import Build, Step
from hopchain_etl.pipeline.estimate import estimate

_SHOWN = 60  # characters of a value
_WORDS = {"revision": "revision of the stage's code", "model_revision": "revision of the model"}
_NOTHING = object()

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class StageWork:
    """What a stage has to do. ``since``: the last other fingerprint of the stage, if there is one.

    ``changes``: what differs from that, in words, and of a new fingerprint only. ``shards``: how many of the planned
    ones it lacks, ``tokens`` what they cost by the figures of ``hopchain estimate``, ``basis`` where these are from.
    """

    stage: str
    fingerprint: str
    since: str | None
    changes: tuple[str, ...]
    shards: int
    tokens: int
    basis: str


def explain(build: Build, planned: Sequence[Shard], gpus: int = 8) -> list[StageWork]:
    """Return the work of each stage over the planned shards, in order.

    A fingerprint is new if no shard is complete under it. It is compared with the one of the same stage that was used
    last before.
    """
    records = _lineages(build.lake)
    images = build.lake.markers("images", None)
    photos = sum(images[shard].ok for shard in planned if shard in images)
    costs = {cost.stage: cost for cost in estimate(build, photos, gpus)} if photos else {}
    renewed: dict[str, str] = {}  # stages with a new fingerprint, by fingerprint
    work = []
    for name, step in build.steps.items():
        markers = build.lake.markers(step.stage.table, step.fingerprint)
        earlier = next((facts for facts in records if _is_earlier(facts, step)), None)
        since = str(earlier["fingerprint"]) if earlier else None
        changes: tuple[str, ...] = ()
        if not markers and earlier:
            changes = tuple(_changes(earlier, step.lineage.facts, renewed))
        if not markers:
            renewed[step.fingerprint] = name
        missing = sum(shard not in markers for shard in planned)
        cost = costs.get(name)
        tokens = round(cost.tokens * missing / len(planned)) if cost else 0
        basis = cost.basis if cost and missing else ""
        work.append(StageWork(name, step.fingerprint, since, changes, missing, tokens, basis))
    return work


def _is_earlier(facts: Facts, step: Step) -> bool:
    return bool(facts["stage"] == step.lineage.stage and facts["fingerprint"] != step.fingerprint)


def _lineages(lake: Lake) -> list[Facts]:
    """Return the facts of every fingerprint, with its name, the last written first."""
    entries = sorted(lake.store.list_objects("lineages/"), key=lambda entry: entry.modified, reverse=True)
    found = map_threads(lake.get_json, [entry.key for entry in entries])
    names = [entry.key.rpartition("/")[2].removesuffix(".json") for entry in entries]
    return [{**facts, "fingerprint": name} for facts, name in zip(found, names, strict=True) if facts]


def _changes(before: Facts, after: Facts, renewed: Mapping[str, str]) -> Iterator[str]:
    old, new = dict(_flat(before)), dict(_flat(after))
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name, _NOTHING), new.get(name, _NOTHING)
        if name in ("fingerprint", "stage") or was == now:
            continue
        if name == "upstream":
            yield f"the stage above has another fingerprint ({renewed.get(str(now), 'an earlier one')}: {was} -> {now})"
        else:
            yield f"{_WORDS.get(name, name)}: {_shown(was)} -> {_shown(now)}"


def _flat(facts: Facts, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the innermost values of nested facts, each with its path, such as ``recipe.temperature``."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _shown(value: Any) -> str:
    if value is _NOTHING:
        return "nothing"
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(str(value))} characters)"
