"""Selection: selects the queries of a training set and their answers, using only a few small columns.

Every query in the snapshot is either chosen or counted under a drop reason. ``assemble`` builds the chosen rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from hopchain_etl.annotation.collect import REVISION as COLLECT
from hopchain_etl.hops.calibration import band, guessable, score_attempts
from hopchain_etl.hops.consensus import ConsensusRule, parse_answer
from hopchain_etl.hops.diversity import Profiles, QueryProfile, candidate
from hopchain_etl.hops.numbers import exact_number
from hopchain_etl.hops.query import decimal_text
from hopchain_etl.hops.variants import VARIANTS
from hopchain_etl.imaging.vision_tokens import image_tokens
from hopchain_etl.release.attempts import AttemptReader, ShardAttempts, condemned
from hopchain_etl.release.copies import Copies
from hopchain_etl.release.decontaminate import normal
from hopchain_etl.release.human_answers import Answered, consensus_verdict
from hopchain_etl.release.inputs import Inputs, Snapshot
from hopchain_etl.release.outcomes import SUPERSEDED, Selection
from hopchain_etl.release.places import Place
from hopchain_etl.release.query_keys import find, keys_of
from hopchain_etl.release.recheck import broken_rules
from hopchain_etl.release.rules import Rules
from hopchain_etl.release.selection_views import REVISION, human_answers, query_keys, shard_verdicts
from hopchain_etl.release.verdicts import Chosen, to_table
from hopchain_etl.release.verdicts import profiles as profiles_of
from hopchain_etl.settings import Policy
from hopchain_etl.stages.generate import REVISION as CURRENT_RULES

_OF_QUERIES = ["query_id", "image_id", "question", "answer", "hops", "expr"]
_OF_IMAGES = ["image_id", "group", "near", "width", "height"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Split:
    """How near-duplicate groups are assigned to splits."""

    validation_share: float
    seed: int

    def of(self, group: str) -> str:
        """Return the split of a near-duplicate group; it depends only on the name, so it never changes."""
        digest = hashlib.sha256(f"{group}\n{self.seed}".encode()).digest()
        share = int.from_bytes(digest[:8], "big") / 2**64
        return "validation" if share < self.validation_share else "train"


def select(snapshot: Snapshot, split: Split, inputs: Inputs, target: str, rules: Rules) -> Selection:
    """Return what becomes of the queries of a snapshot in the training set ``target``.

    Each query is first judged shard by shard; then the diversity limits are applied to all remaining queries. Raises
    LakeError if parts named in the snapshot are missing in the lake.
    """
    selector = _Selector(snapshot, split, inputs, target, rules)
    selection = Selection()
    profiles = Profiles()
    versions = {place: selector.version(place) for place in selector.keys}
    for place, verdicts in shard_verdicts(inputs, target, versions, selector.verdicts):
        selection.add(place, selector.keys[place].queries, verdicts)
        for one in profiles_of(verdicts):
            profiles.add(one)
    selection.settle(profiles, rules.limits)
    return selection


def _profiles(queries: pa.Table, verdicts: Sequence[Chosen | str]) -> dict[int, QueryProfile]:
    """Return the profiles of a shard's chosen queries, with the answer to release, by their places."""
    chosen = {place: one for place, one in enumerate(verdicts) if isinstance(one, Chosen)}
    rows = queries.take(pa.array(list(chosen), pa.int64())).to_pylist()
    pairs = zip(chosen.items(), rows, strict=True)
    return {place: candidate({**row, "answer": verdict.answer}) for (place, verdict), row in pairs}


@dataclass(frozen=True)
class _ShardFacts:
    """Data about a shard's queries, by query_id: broken rules and variants, judge verdicts, attempts."""

    images: Mapping[str, Row]
    broken: Mapping[str, str]
    unsound: Mapping[str, AbstractSet[str]]
    condemned: Mapping[str, str]
    attempts: ShardAttempts


class _Selector:
    """Decides on one query after the other; the state that it needs is prepared before the first one."""

    def __init__(self, snapshot: Snapshot, split: Split, inputs: Inputs, target: str, rules: Rules) -> None:
        self._inputs = inputs
        self._split = split
        self._engines = snapshot["engines"]
        self._policy = Policy(snapshot["policy"])
        self._drops_disagreeing = bool(snapshot["drop_disagreeing"])
        self._withdrawn = frozenset(snapshot["withdrawn"])
        self._benchmark = {name: frozenset(found) for name, found in snapshot["contaminated"].items()}
        self._rules = rules
        self._attempts = AttemptReader(snapshot, inputs, target)
        self.keys = query_keys(inputs, snapshot["lineages"])
        self._people = human_answers(inputs, snapshot)
        self._copies = Copies(snapshot["lineages"], self.keys, self._people)
        screened = sorted({facts["model"] for facts in snapshot.get("screened", ())})
        revisions = REVISION, COLLECT, CURRENT_RULES, snapshot["code"]
        policy = self._policy, self._drops_disagreeing, snapshot["pseudonyms"]
        self._general = repr((revisions, split, rules, target, screened, policy))
        gone = self._withdrawn, self._benchmark["images"], self._benchmark["questions"]
        self._gone = [np.sort(keys_of(names)) for names in gone]

    def version(self, place: Place) -> str:
        """Return 32 hex digits over all that the verdicts on a shard's queries depend on."""
        (lineage, shard), keys = place, self.keys[place]
        told = hashlib.blake2b(f"{self._general}{self._engines[lineage]}".encode(), digest_size=16)
        told.update(self._inputs.version_of_all(shard).encode())
        sought = keys.images, keys.images, keys.questions
        for gone, own in zip(self._gone, sought, strict=True):
            told.update((find(gone, own) >= 0).tobytes())
        told.update(self._copies.released(lineage, keys.queries).tobytes())
        told.update(self._people.digest(keys.queries))
        return told.hexdigest()

    def verdicts(self, place: Place) -> pa.Table:
        """Return for each query of a shard its released values, or the reason why it is dropped (VERDICTS)."""
        (lineage, shard), keys = place, self.keys[place].queries
        queries = self._inputs.read("queries", lineage, shard, columns=_OF_QUERIES)
        images = {row["image_id"]: row for row in self._inputs.read("images", None, shard, _OF_IMAGES).to_pylist()}
        broken, unsound = broken_rules(self._inputs, lineage, self._engines[lineage], shard, images)
        facts = _ShardFacts(
            images=images,
            broken=broken,
            unsound=unsound,
            condemned=condemned(self._inputs, shard) if self._rules.judge_condemns else {},
            attempts=self._attempts.of(shard),
        )
        answered, released = self._people.of(keys), self._copies.released(lineage, keys).tolist()
        rows = queries.select(["query_id", "image_id", "question", "answer"]).to_pylist()
        verdicts = [
            self._verdict(query, facts, answered.get(place), is_copy=not released[place])
            for place, query in enumerate(rows)
        ]
        return to_table(verdicts, _profiles(queries, verdicts))

    def _verdict(self, query: Row, facts: _ShardFacts, answered: Answered | None, *, is_copy: bool) -> Chosen | str:
        name, image = query["query_id"], facts.images.get(query["image_id"])
        if query["image_id"] in self._withdrawn:
            return "withdrawn"
        if image is None:
            return "no_image"
        if self._is_contaminated(query):
            return "contaminated"
        if is_copy:
            return SUPERSEDED
        split = self._split.of(image["group"])
        if any(self._split.of(group) != split for group in image["near"] or ()):
            return "bridges_splits"
        if not is_supported_size(image["width"], image["height"]):
            return "image_too_long"
        if name in facts.broken:
            return facts.broken[name]
        program = exact_number(query["answer"])
        verdict = answered.verdict if answered else consensus_verdict(program, (), self._policy, ConsensusRule())
        if verdict.answer is None:
            return verdict.dropped or "no_consensus"
        if self._drops_disagreeing and verdict.answer != program:
            return "program_disagrees"
        if not answered and name in facts.condemned:  # human answers outrank a model's verdict
            return f"judged_{facts.condemned[name]}"
        attempts = facts.attempts.graded(name, verdict.answer)
        level = band(attempts.with_image, self._rules.thresholds)
        if level and level in self._rules.unwanted:
            return self._rules.unwanted[level]
        if guessable(attempts.blind, self._rules.chance, self._rules.alpha):
            return "guessable"
        # Variants have no human answers; if humans and program disagree, nothing confirms them.
        agrees = verdict.answer == program
        variants = tuple(kind for kind in VARIANTS if agrees and kind not in facts.unsound.get(name, ()))
        answers, people = (answered.answers, answered.annotators) if answered else ((), ())
        return Chosen(
            split,
            decimal_text(verdict.answer),
            verdict.policy,
            human_answers=answers,
            annotators=tuple(map(self._inputs.pseudonym, people)),
            agreement=score_attempts(parse_answer(text) == verdict.answer for text in answers).share,
            program_agrees=agrees,
            difficulty=attempts.with_image.share,
            band=level,
            blind=attempts.held_out.share,
            variants=variants,
        )

    def _is_contaminated(self, query: Row) -> bool:
        questions = self._benchmark["questions"]
        return query["image_id"] in self._benchmark["images"] or bool(
            questions and normal(query["question"]) in questions
        )


def is_supported_size(width: int, height: int) -> bool:
    """Return whether a trainer's processor accepts an image of this size; it rejects aspect ratios above 200 : 1."""
    try:
        return image_tokens(width, height) > 0
    except ValueError:
        return False
