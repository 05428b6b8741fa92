"""Selection: selects the queries of a training set and their answers, using only a few small columns.

Every query that the snapshot holds ends somewhere: chosen, or counted under the reason that dropped it. What a chosen
row looks like is the business of ``assemble``.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from hopchain_etl.hops.calibration import band, guessable, score_attempts
from hopchain_etl.hops.checks import check
from hopchain_etl.hops.consensus import ConsensusRule, Decision, parse_answer, tally_votes
from hopchain_etl.hops.diversity import QueryProfile, balance, candidate
from hopchain_etl.hops.geometry import Scene
from hopchain_etl.hops.query import QueryError, decimal_text, query_from_row, query_id
from hopchain_etl.hops.variants import VARIANTS, variant_violation
from hopchain_etl.imaging.vision_tokens import image_tokens
from hopchain_etl.lake.lake import Shard
from hopchain_etl.release.attempts import AttemptReader, ShardAttempts, condemned
from hopchain_etl.release.decontaminate import normal
from hopchain_etl.release.inputs import Inputs, Snapshot, upstream_of
from hopchain_etl.release.rules import Rules
from hopchain_etl.settings import Policy
from hopchain_etl.stages.generate import REVISION as RULES_OF_TODAY

_OF_CANDIDATES = ["query_id", "image_id", "hops", "expr"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Split:
    """How near-duplicate groups are assigned to splits."""

    validation_share: float = 0.1
    seed: int = 0

    def of(self, group: str) -> str:
        """Return the split of a near-duplicate group: which depends only on its name, so it is the same in every version."""
        digest = hashlib.sha256(f"{group}\n{self.seed}".encode()).digest()
        share = int.from_bytes(digest[:8], "big") / 2**64
        return "validation" if share < self.validation_share else "train"


@dataclass(frozen=True)
class Verdict:
    """The result of the human answers to a query: the released answer, or the drop reason."""

    answer: Fraction | None = None
    policy: str = Policy.UNANIMOUS.value
    dropped: str | None = None


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

    ``why`` gives the drop reason of each query; "superseded" means that another lineage's copy is released instead.
    """

    chosen: dict[tuple[str, Shard], dict[str, Chosen]] = field(default_factory=dict)
    read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    drop_reasons: dict[str, str] = field(default_factory=dict)

    def outcome(self, lineage: str, shard: Shard, query: str) -> str:
        """Return ``released``, or the reason for which a query of a lineage is not."""
        return "released" if query in self.chosen.get((lineage, shard), ()) else self.drop_reasons[query]


def select(snapshot: Snapshot, split: Split, inputs: Inputs, target: str, rules: Rules) -> Selection:
    """Return the selected queries of a snapshot for the training set ``target``.

    What each query is worth is decided shard by shard; only then, over all that is left, which of them are too many of
    a kind.

    Raises LakeError where the lake no longer holds what the snapshot names.
    """
    work = _Selecting(snapshot, split, inputs, target, rules)
    made = Selection()
    candidates: list[QueryProfile] = []
    for lineage in snapshot["lineages"]:
        for shard in inputs.shards("queries", lineage):
            chosen: dict[str, Chosen] = {}
            for query, verdict in work.verdicts(lineage, shard):
                made.read += 1
                if isinstance(verdict, str):
                    made.dropped[verdict] += 1
                    if verdict != "superseded" or query not in made.drop_reasons:
                        made.drop_reasons[query] = verdict
                else:
                    chosen[query] = verdict
            made.chosen[lineage, shard] = chosen
            candidates += _candidates(inputs, lineage, shard, chosen)
    too_many = balance(candidates, rules.limits)
    made.dropped.update(too_many.values())
    made.drop_reasons |= too_many
    for chosen in made.chosen.values():
        for query in chosen.keys() & too_many.keys():
            del chosen[query]
    return made


def _candidates(inputs: Inputs, lineage: str, shard: Shard, chosen: Mapping[str, Chosen]) -> Iterator[QueryProfile]:
    """Yield the chosen queries of a shard, with the answer that they would be released with."""
    if not chosen:
        return
    seen: set[str] = set()
    for row in inputs.read("queries", lineage, shard, columns=_OF_CANDIDATES).to_pylist():
        if row["query_id"] in chosen and row["query_id"] not in seen:
            seen.add(row["query_id"])
            yield candidate({**row, "answer": chosen[row["query_id"]].answer})


def consensus_verdict(program: Fraction, answers: Iterable[Row], policy: Policy, rule: ConsensusRule) -> Verdict:
    """Return the verdict on a query from its human answers (rows of ``answers``) under a policy.

    As many different people as the rule says have to be of the same mind (the paper: four of four); nobody's answer is
    ever replaced by a program's.
    """
    given = list(answers)
    if not given and policy is Policy.UNREVIEWED:
        return Verdict(program, Policy.UNREVIEWED.value)
    outcome = tally_votes(((one["annotator"], parse_answer(one["answer"])) for one in given), rule)
    if outcome.decision is Decision.KEPT:
        return Verdict(outcome.answer, rule.name)
    return Verdict(dropped="no_consensus" if outcome.decision is Decision.DROPPED else "not_enough_answers")


@dataclass(frozen=True)
class _About:
    """Data about a shard's queries, by query_id: broken rules, judge verdicts, attempts."""

    broken: Mapping[str, str]
    condemned: Mapping[str, str]
    tries: ShardAttempts


class _Selecting:
    """The state that is prepared before the first query is processed."""

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
        self._answers, shown = _human_answers(inputs, snapshot["asked"])
        self._rules = rules
        self._attempts = AttemptReader(inputs, target)
        self._winners = _winners(snapshot["lineages"], inputs, shown)

    def verdicts(self, lineage: str, shard: Shard) -> Iterator[tuple[str, Chosen | str]]:
        """Yield each query_id of a shard with its released values, or the reason why it is dropped."""
        images = {row["image_id"]: row for row in self._inputs.rows("images", None, shard)}
        broken, unsound = self._broken_today(lineage, shard, images)
        about = _About(
            broken=broken,
            condemned=condemned(self._inputs, shard) if self._rules.judge_condemns else {},
            tries=self._attempts.of(shard),
        )
        light = self._inputs.read("queries", lineage, shard, columns=["query_id", "image_id", "question", "answer"])
        for query in light.to_pylist():
            verdict = self._verdict(query, lineage, images.get(query["image_id"]), about)
            if isinstance(verdict, Chosen) and query["query_id"] in unsound:
                verdict = replace(verdict, variants=tuple(set(verdict.variants) - unsound[query["query_id"]]))
            yield query["query_id"], verdict

    def _verdict(self, query: Row, lineage: str, image: Row | None, about: _About) -> Chosen | str:
        name = query["query_id"]
        if query["image_id"] in self._withdrawn:
            return "withdrawn"
        if image is None:
            return "no_image"
        if query["image_id"] in self._benchmark["images"] or normal(query["question"]) in self._benchmark["questions"]:
            return "contaminated"
        if self._winners.get(name) != lineage:
            return "superseded"
        self._winners[name] = ""  # mark as taken: a query_id is released only once, even if the lake contains it several times
        split = self._split.of(image["group"])
        if any(self._split.of(group) != split for group in image["near"] or ()):
            return "bridges_splits"
        if not is_supported_size(image["width"], image["height"]):
            return "image_too_long"
        if name in about.broken:
            return about.broken[name]
        program = Fraction(query["answer"])
        answers = self._answers.get(name, [])
        verdict = consensus_verdict(program, answers, self._policy, self._rule)
        if verdict.answer is None:
            return verdict.dropped or "no_consensus"
        agrees = verdict.answer == program
        if self._drops_disagreeing and not agrees:
            return "program_disagrees"
        if not answers and name in about.condemned:  # human answers outrank a model's verdict
            return f"judged_{about.condemned[name]}"
        tries = about.tries.graded(name, verdict.answer)
        level = band(tries.with_image, self._rules.thresholds)
        if level and level in self._rules.unwanted:
            return self._rules.unwanted[level]
        if guessable(tries.blind, self._rules.chance, self._rules.alpha):
            return "guessable"
        return Chosen(
            split,
            decimal_text(verdict.answer),
            verdict.policy,
            human_answers=tuple(one["answer"] for one in answers),
            annotators=tuple(self._pseudonym(one["annotator"]) for one in answers),
            agreement=score_attempts(parse_answer(one["answer"]) == verdict.answer for one in answers).share,
            program_agrees=agrees,
            difficulty=tries.with_image.share,
            band=level,
            blind=tries.held_out.share,
            # Variants have no human answers; if humans and program disagree, nothing confirms them.
            variants=VARIANTS if agrees else (),
        )

    def _broken_today(
        self, lineage: str, shard: Shard, images: Mapping[str, Row]
    ) -> tuple[dict[str, str], dict[str, set[str]]]:
        """Return, for queries of an older lineage, the first broken rule of today's revision, and the variants that break one.

        Queries of today's revision of ``generate`` have passed today's rules already. Every released row, old or new,
        is executed again by ``validate``.
        """
        links = self._engines[lineage]
        if next(link["revision"] for link in links if link["stage"] == "generate") == RULES_OF_TODAY:
            return {}, {}
        found: defaultdict[str, list[Row]] = defaultdict(list)
        for one in self._inputs.rows("instances", upstream_of(links, "segment"), shard):
            found[one["image_id"]].append(one)
        broken: dict[str, str] = {}
        unsound: dict[str, set[str]] = {}
        for row in self._inputs.rows("queries", lineage, shard):
            if row["image_id"] not in images:
                continue
            image = images[row["image_id"]]
            scene = Scene.from_rows(found[row["image_id"]], image["width"], image["height"])
            if rule := _broken(row, scene):
                broken[row["query_id"]] = rule
            elif kinds := {kind for kind in VARIANTS if variant_violation(kind, row, scene)}:
                unsound[row["query_id"]] = kinds
        return broken, unsound


def is_supported_size(width: int, height: int) -> bool:
    """Return whether a trainer's processor takes an image of this size: aspect ratios above 200 : 1 are not accepted."""
    try:
        return image_tokens(width, height) > 0
    except ValueError:
        return False


def _broken(row: Row, scene: Scene) -> str | None:
    """Return the first current rule that a query breaks."""
    try:
        query = query_from_row(row)
    except QueryError:
        return "unreadable_query"
    if query_id(row["image_id"], query.question) != row["query_id"]:
        return "wrong_query_id"
    complaints, _ = check(query, scene)
    return complaints[0].reason if complaints else None


def _human_answers(
    inputs: Inputs, asked: Mapping[str, str | None]
) -> tuple[dict[str, list[Row]], set[tuple[str | None, str]]]:
    """Return the answers to each query, one per seat; and the set of (lineage, query) that were shown to people."""
    seats: dict[tuple[str, int], Row] = {}
    shown: set[tuple[str | None, str]] = set()
    for fingerprint in inputs.fingerprints("answers"):
        for shard in inputs.shards("answers", fingerprint):
            for row in inputs.rows("answers", fingerprint, shard):
                key = (row["query_id"], row["seat"])
                shown.add((asked[fingerprint], row["query_id"]))
                seats[key] = max(seats.get(key, row), row, key=lambda one: one["answered_at"] or "")
    by_query: defaultdict[str, list[Row]] = defaultdict(list)
    for (query, _), row in sorted(seats.items()):
        by_query[query].append(row)
    return dict(by_query), shown


def _winners(lineages: Iterable[str], inputs: Inputs, shown: set[tuple[str | None, str]]) -> dict[str, str]:
    """Return the lineage each query is taken from: one that humans answered, otherwise the first in the list."""
    winners: dict[str, str] = {}
    for lineage in lineages:
        for shard in inputs.shards("queries", lineage):
            for query in inputs.read("queries", lineage, shard, columns=["query_id"])["query_id"].to_pylist():
                held = winners.setdefault(query, lineage)
                if (lineage, query) in shown and (held, query) not in shown:
                    winners[query] = lineage
    return winners
