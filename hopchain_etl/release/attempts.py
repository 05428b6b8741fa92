"""For a release: reads what weaker model and judge said of a shard's queries."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hopchain_etl.hops.calibration import AttemptScore, score_attempts
from hopchain_etl.hops.grading import parse_number
from hopchain_etl.lake.lake import Shard
from hopchain_etl.release.inputs import Inputs, Snapshot

_COLUMNS = ["query_id", "model", "sees_image", "sample", "held_out", "answer"]


@dataclass(frozen=True)
class GradedAttempts:
    """Graded attempts of a query: with the image, without it (blind), and blind but not used for selection."""

    with_image: AttemptScore
    blind: AttemptScore
    held_out: AttemptScore


class AttemptReader:
    """The attempts of the models that are relevant for a target.

    A target that is named after a model uses only that model's attempts; any other target uses all of them.
    """

    def __init__(self, snapshot: Snapshot, inputs: Inputs, target: str) -> None:
        self._inputs = inputs
        models = {facts["model"] for facts in snapshot.get("screened", ())}
        self._only = target if target in map(_as_target, models) else None

    def of(self, shard: Shard) -> ShardAttempts:
        """Return the attempts of a shard's queries; all data of a photo are in the same shard under every lineage.

        The same sample under other settings is the same attempt; it is held out if no settings used it for selection.
        """
        rows: dict[tuple[str, str, bool, int], dict[str, Any]] = {}
        for fingerprint in self._inputs.fingerprints("attempts", shard):
            for row in self._inputs.read("attempts", fingerprint, shard, columns=_COLUMNS).to_pylist():
                if self._only in (None, _as_target(row["model"])):
                    held = rows.setdefault((row["query_id"], row["model"], row["sees_image"], row["sample"]), row)
                    held["held_out"] = held["held_out"] and row["held_out"]
        return ShardAttempts(rows)


class ShardAttempts:
    """The attempts of one shard, which can be graded against any answer."""

    def __init__(self, rows: Mapping[tuple[str, str, bool, int], dict[str, Any]]) -> None:
        self._by_query: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for (query, *_), row in rows.items():
            self._by_query[query].append(row)

    def graded(self, query_id: str, answer: Fraction) -> GradedAttempts:
        """Return how many attempts of a query declared exactly ``answer``."""
        marks: defaultdict[tuple[bool, bool], list[bool]] = defaultdict(list)
        for row in self._by_query.get(query_id, ()):
            correct = row["answer"] is not None and parse_number(row["answer"]) == answer
            marks[row["sees_image"], bool(row["held_out"])].append(correct)
        return GradedAttempts(
            score_attempts(marks[True, False]), score_attempts(marks[False, False]), score_attempts(marks[False, True])
        )


def condemned(inputs: Inputs, shard: Shard) -> dict[str, str]:
    """Return the verdict on each query of a shard that the judge did not rate "fine"."""
    verdicts: dict[str, str] = {}
    for fingerprint in inputs.fingerprints("judgements", shard):
        for row in inputs.read("judgements", fingerprint, shard, columns=["query_id", "verdict"]).to_pylist():
            if row["verdict"] != "fine":
                verdicts.setdefault(row["query_id"], row["verdict"])
    return verdicts


def _as_target(model: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", model)
