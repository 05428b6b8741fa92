"""The acceptance funnel: what became of the drafts that authors wrote, up to the questions that people are asked.

A first try is what an author wrote unasked; a second try is a refused draft that came back to it. Drafts of photos with
a failed call are counted only as far as their fate is known: the next build asks again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hopchain_etl.annotation.eligibility import FILTER_STAGES, REASONS
from hopchain_etl.lake.lake import Shard
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.estimate import shard_stats
from hopchain_etl.reporting.build_rows import BuildRows
from hopchain_etl.reporting.figures import Row, share

# In the order that a draft takes. ``schema`` counts answers: how many drafts a lost answer held is unknown. ``suite``
# is the suite of the queries table.
STEPS = ("schema", "parsed", "code", "reader", "eyes", "suite", *FILTER_STAGES)
_UNREADABLE = ("invalid_output", "unreadable_answer")
_STEP_OF = {
    "unreadable_query": "parsed",
    "wording_mismatch": "reader",
    "eyes_disagree": "eyes",
    "unconfirmed": "eyes",
}  # of a draft; any other reason is a rule of code
_VARIANTS = {"broken_half": "half", "broken_single": "single"}


@dataclass(frozen=True)
class Fate:
    """Where a draft fell and why; one that was kept fell nowhere."""

    repaired: bool  # a second try
    step: str | None = None
    reason: str = ""


class Acceptance:
    """The funnel of a build, counted shard by shard."""

    def __init__(self, build: Build, rows: BuildRows) -> None:
        self._build, self._rows = build, rows
        self._fates: Counter[Fate] = Counter()
        self._kept: Counter[bool] = Counter()  # by whether it was repaired
        self._confirmed_by: Counter[str] = Counter()
        self._dropped_variants: dict[str, Counter[str]] = {kind: Counter() for kind in _VARIANTS.values()}

    def add(self, shard: Shard, queries: Sequence[Row]) -> None:
        """Count the drafts of a shard, whose queries are ``queries``."""
        left_out = kept_from_people(self._rows, shard)
        rejects = [row for row in self._rows.rejects("generate", shard) if row["scope"] == "output"]
        self._fates.update([*_refused(rejects), *(_of_query(row, left_out) for row in queries)])
        kept = [row for row in queries if row["query_id"] not in left_out]
        self._kept.update(bool(row["repaired"]) for row in kept)
        self._confirmed_by.update(_confirmed_by(kept))
        for row in rejects:
            if kind := _VARIANTS.get(row["reason"]):
                self._dropped_variants[kind][row["detail"].partition(":")[0]] += 1

    def figures(self) -> Row:
        """Return the funnel as plain JSON.

        ``tokens`` are those that the stored runs of the stages spent. An answer from the journal costs nothing, so of a
        build that was run again they are too few.
        """
        first, second = (
            Counter({one: count for one, count in self._fates.items() if one.repaired is again})
            for again in (False, True)
        )
        at_first, kept = self._kept[False], self._kept.total()
        tokens = {name: _tokens(self._build, name) for name in ("generate", "judge") if name in self._build.steps}
        return {
            "first_tries": _steps(first),
            "second_tries": _steps(second),
            "kept": {"first": at_first, "repaired": kept - at_first},
            "yield": {"before_repair": share(at_first, first.total()), "after_repair": share(kept, first.total())},
            "dropped_variants": {kind: dict(found.most_common()) for kind, found in self._dropped_variants.items()},
            "hops_confirmed_by": dict(self._confirmed_by.most_common()),
            "tokens": tokens,
            "tokens_per_kept": sum(tokens.values()) / kept if kept and any(tokens.values()) else None,
        }


def kept_from_people(rows: BuildRows, shard: Shard) -> dict[str, tuple[str, str]]:
    """Return the queries that judge or screen keep from people, each with the first such stage and its reason."""
    found: dict[str, tuple[str, str]] = {}
    for stage in FILTER_STAGES:
        for row in rows.rejects(stage, shard):
            if row["reason"] in REASONS:
                found.setdefault(row["input_id"], (stage, row["reason"]))
    return found


def _of_query(row: Row, left_out: dict[str, tuple[str, str]]) -> Fate:
    return Fate(bool(row["repaired"]), *left_out.get(row["query_id"], ()))


def _refused(rejects: Iterable[Row]) -> Iterator[Fate]:
    """Yield the fate of each refused draft; a dropped variant is none, its question stays."""
    for row in rejects:
        reason, payload = row["reason"], json.loads(row["payload"] or "{}")
        if reason in _VARIANTS:
            continue
        if "try" not in payload:  # a whole row: the table's suite refused it
            yield Fate(bool(payload.get("repaired")), "suite", reason)
        elif reason in _UNREADABLE:
            yield Fate(payload["try"] > 1, "reader" if payload["draft"] else "schema", reason)
        else:
            yield Fate(payload["try"] > 1, _STEP_OF.get(reason, "code"), reason)


def _steps(fates: Counter[Fate]) -> list[Row]:
    """Return for each step how many drafts are left after it, how many fell there, and by which reasons."""
    steps: list[Row] = [{"step": "asked", "left": fates.total(), "fell": 0, "reasons": {}}]
    for step in STEPS:
        found: Counter[str] = Counter()
        for one, count in fates.items():
            if one.step == step:
                found[one.reason] += count
        reasons, fell = dict(found.most_common()), found.total()
        steps.append({"step": step, "left": steps[-1]["left"] - fell, "fell": fell, "reasons": reasons})
    return steps


def _confirmed_by(queries: Iterable[Row]) -> Iterator[str]:
    """Yield for each hop who confirmed it; rows of before this was recorded say nothing."""
    for row in queries:
        if row["confirmed_by"] is None:
            yield from ["not recorded"] * len(row["hops"])
        else:
            yield from (one["by"] for one in row["confirmed_by"])


def _tokens(build: Build, stage: str) -> int:
    return sum(one["tokens"] for one in shard_stats(build, build.steps[stage]))
