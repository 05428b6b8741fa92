"""Selection: selects the queries of a training set and their answers, using only a few small columns.

Every query in the snapshot is either chosen or counted under a drop reason. ``assemble`` builds the chosen rows.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from hopchain_etl.hops.calibration import band, guessable, score_attempts
from hopchain_etl.hops.consensus import ConsensusRule, parse_answer
from hopchain_etl.hops.diversity import QueryProfile, balance, candidate
from hopchain_etl.hops.query import decimal_text
from hopchain_etl.hops.variants import VARIANTS
from hopchain_etl.imaging.vision_tokens import image_tokens
from hopchain_etl.lake.lake import Shard
from hopchain_etl.release.attempts import AttemptReader, ShardAttempts, condemned
from hopchain_etl.release.decontaminate import normal
from hopchain_etl.release.human_answers import consensus_verdict, lineage_of_queries, read_human_answers
from hopchain_etl.release.inputs import Inputs, Snapshot
from hopchain_etl.release.recheck import broken_rules
from hopchain_etl.release.rules import Rules
from hopchain_etl.settings import Policy

_OF_CANDIDATES = ["query_id", "image_id", "hops", "expr"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Split:
    """How near-duplicate groups are assigned to splits."""

    validation_share: float = 0.1
    seed: int = 0

    def of(self, group: str) -> str:
        """Return the split of a near-duplicate group; it depends only on the name, so it never changes."""
        digest = hashlib.sha256(f"{group}\n{self.seed}".encode()).digest()
        share = int.from_bytes(digest[:8], "big") / 2**64
        return "validation" if share < self.validation_share else "train"


@dataclass(frozen=True)
class Chosen:
    """The columns of a released row that are not in the lake's tables."""

    split: str
    answer: str
    policy: str
    human_answers: tuple[str | None, ...]
    annotators: tuple[str, ...]  # pseudonyms
    agreement: float | None
    program_agrees: bool
    difficulty: float | None
    band: str | None
    blind: float | None
    variants: tuple[str, ...]  # variants whose answers are confirmed


@dataclass
class Selection:
    """The chosen queries of each (lineage, shard), by query_id, and the tally: read = chosen + dropped.

    ``drop_reasons`` is by query_id; "superseded" means that another lineage's copy is released instead.
    """

    chosen: dict[tuple[str, Shard], dict[str, Chosen]] = field(default_factory=dict)
    read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    drop_reasons: dict[str, str] = field(default_factory=dict)

    def outcome(self, lineage: str, shard: Shard, query: str) -> str:
        """Return ``released``, or the drop reason of a query of a lineage."""
        return "released" if query in self.chosen.get((lineage, shard), ()) else self.drop_reasons[query]


def select(snapshot: Snapshot, split: Split, inputs: Inputs, target: str, rules: Rules) -> Selection:
    """Return the selected queries of a snapshot for the training set ``target``.

    Each query is first judged shard by shard; then the diversity limits are applied to all remaining queries. Raises
    LakeError if parts named in the snapshot are missing in the lake.
    """
    selector = _Selector(snapshot, split, inputs, target, rules)
    selection = Selection()
    candidates: list[QueryProfile] = []
    for lineage in snapshot["lineages"]:
        for shard in inputs.shards("queries", lineage):
            chosen: dict[str, Chosen] = {}
            for query, verdict in selector.verdicts(lineage, shard):
                selection.read += 1
                if isinstance(verdict, str):
                    selection.dropped[verdict] += 1
                    if verdict != "superseded" or query not in selection.drop_reasons:
                        selection.drop_reasons[query] = verdict
                else:
                    chosen[query] = verdict
            selection.chosen[lineage, shard] = chosen
            candidates += _candidates(inputs, lineage, shard, chosen)
    too_many = balance(candidates, rules.limits)
    selection.dropped.update(too_many.values())
    selection.drop_reasons |= too_many
    for chosen in selection.chosen.values():
        for query in chosen.keys() & too_many.keys():
            del chosen[query]
    return selection


def _candidates(inputs: Inputs, lineage: str, shard: Shard, chosen: Mapping[str, Chosen]) -> Iterator[QueryProfile]:
    """Yield the chosen queries of a shard, with the answer to release."""
    if not chosen:
        return
    seen: set[str] = set()
    for row in inputs.read("queries", lineage, shard, columns=_OF_CANDIDATES).to_pylist():
        if row["query_id"] in chosen and row["query_id"] not in seen:
            seen.add(row["query_id"])
            yield candidate({**row, "answer": chosen[row["query_id"]].answer})


@dataclass(frozen=True)
class _ShardFacts:
    """Data about a shard's queries, by query_id: broken rules, judge verdicts, attempts."""

    broken: Mapping[str, str]
    condemned: Mapping[str, str]
    attempts: ShardAttempts


class _Selector:
    """Decides on one query after the other; the state that it needs is prepared before the first one."""

    def __init__(self, snapshot: Snapshot, split: Split, inputs: Inputs, target: str, rules: Rules) -> None:
        self._inputs = inputs
        self._split = split
        self._engines = snapshot["engines"]
        self._policy = Policy(snapshot["policy"])
        self._rule = ConsensusRule.from_policy(snapshot["consensus"])
        self._drops_disagreeing = bool(snapshot["drop_disagreeing"])
        self._pseudonym = inputs.pseudonym
        self._withdrawn = frozenset(snapshot["withdrawn"])
        self._benchmark = {name: frozenset(found) for name, found in snapshot["contaminated"].items()}
        self._answers, shown = read_human_answers(inputs, snapshot["asked"])
        self._rules = rules
        self._attempts = AttemptReader(inputs, target)
        self._lineage_of = lineage_of_queries(snapshot["lineages"], inputs, shown)

    def verdicts(self, lineage: str, shard: Shard) -> Iterator[tuple[str, Chosen | str]]:
        """Yield each query_id of a shard with its released values, or the reason why it is dropped."""
        images = {row["image_id"]: row for row in self._inputs.rows("images", None, shard)}
        broken, unsound = broken_rules(self._inputs, lineage, self._engines[lineage], shard, images)
        facts = _ShardFacts(
            broken=broken,
            condemned=condemned(self._inputs, shard) if self._rules.judge_condemns else {},
            attempts=self._attempts.of(shard),
        )
        light = self._inputs.read("queries", lineage, shard, columns=["query_id", "image_id", "question", "answer"])
        for query in light.to_pylist():
            verdict = self._verdict(query, lineage, images.get(query["image_id"]), facts)
            if isinstance(verdict, Chosen) and query["query_id"] in unsound:
                verdict = replace(verdict, variants=tuple(set(verdict.variants) - unsound[query["query_id"]]))
            yield query["query_id"], verdict

    def _verdict(self, query: Row, lineage: str, image: Row | None, facts: _ShardFacts) -> Chosen | str:
        name = query["query_id"]
        if query["image_id"] in self._withdrawn:
            return "withdrawn"
        if image is None:
            return "no_image"
        if query["image_id"] in self._benchmark["images"] or normal(query["question"]) in self._benchmark["questions"]:
            return "contaminated"
        if self._lineage_of.get(name) != lineage:
            return "superseded"
        self._lineage_of[name] = ""  # a query_id is released only once, even if the lake contains it several times
        split = self._split.of(image["group"])
        if any(self._split.of(group) != split for group in image["near"] or ()):
            return "bridges_splits"
        if not is_supported_size(image["width"], image["height"]):
            return "image_too_long"
        if name in facts.broken:
            return facts.broken[name]
        program = Fraction(query["answer"])
        answers = self._answers.get(name, [])
        verdict = consensus_verdict(program, answers, self._policy, self._rule)
        if verdict.answer is None:
            return verdict.dropped or "no_consensus"
        agrees = verdict.answer == program
        if self._drops_disagreeing and not agrees:
            return "program_disagrees"
        if not answers and name in facts.condemned:  # human answers outrank a model's verdict
            return f"judged_{facts.condemned[name]}"
        attempts = facts.attempts.graded(name, verdict.answer)
        level = band(attempts.with_image, self._rules.thresholds)
        if level and level in self._rules.unwanted:
            return self._rules.unwanted[level]
        if guessable(attempts.blind, self._rules.chance, self._rules.alpha):
            return "guessable"
        return Chosen(
            split,
            decimal_text(verdict.answer),
            verdict.policy,
            human_answers=tuple(one["answer"] for one in answers),
            annotators=tuple(self._pseudonym(one["annotator"]) for one in answers),
            agreement=score_attempts(parse_answer(one["answer"]) == verdict.answer for one in answers).share,
            program_agrees=agrees,
            difficulty=attempts.with_image.share,
            band=level,
            blind=attempts.held_out.share,
            # Variants have no human answers; if humans and program disagree, nothing confirms them.
            variants=VARIANTS if agrees else (),
        )


def is_supported_size(width: int, height: int) -> bool:
    """Return whether a trainer's processor accepts an image of this size; it rejects aspect ratios above 200 : 1."""
    try:
        return image_tokens(width, height) > 0
    except ValueError:
        return False
