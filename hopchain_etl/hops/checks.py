"""All rules that a query must pass, in order. ``check`` runs them all and never raises because of model output.

A rule returns None or a sentence that describes the problem; the function name is the reason code. The rules come from
the paper (as summarised in docs/paper.md) and from published reimplementations; each docstring names its source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hopchain_etl.hops.context import QueryContext, build_context
from hopchain_etl.hops.execute import anchor_of
from hopchain_etl.hops.expression import ExpressionError, parse
from hopchain_etl.hops.expression_analysis import conditions_met
from hopchain_etl.hops.phrasing import is_next_in_line
from hopchain_etl.hops.query import SIDES, Hop, Query
from hopchain_etl.hops.rules import arithmetic, picture, program, wording
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.verdict import Finding, HopVerdict, Verdict

_NOT_DIRECTLY = Finding(Verdict.OPEN, "it hangs unevenly, or another thing is in between")

MIN_HOPS, MAX_HOPS = program.MIN_HOPS, program.MAX_HOPS
MIN_INSTANCES, MAX_INSTANCES = program.MIN_INSTANCES, program.MAX_INSTANCES


@dataclass(frozen=True)
class Violation:
    """A rule that a query breaks."""

    reason: str
    detail: str


Rule = Callable[[QueryContext], str | None]

RULES: tuple[Rule, ...] = (
    program.hop_count,
    program.forward_reference,
    program.dangling_id,
    program.instance_count,
    program.chain_broken,
    program.one_level_only,
    program.no_perception_hop,
    program.no_instance_chain,
    arithmetic.bad_expression,
    program.dead_hop,
    arithmetic.wrong_answer,
    arithmetic.answer_out_of_range,
    arithmetic.constant_condition,
    arithmetic.same_branches,
    arithmetic.shut_gate,
    arithmetic.insensitive,
    arithmetic.few_answers,
    wording.forbidden_word,
    wording.names_an_id,
    wording.not_the_viewers_side,
    wording.reading_given_away,
    wording.settled_by_another,
    wording.reading_in_question,
    picture.ambiguous_reference,
    picture.wrong_target,
    picture.wrong_reading,
    picture.unclear_colour,
    picture.unseen_text,
    program.link_not_needed,
    arithmetic.wrong_turn_unnoticed,
)
# A shortcut makes a chain easier, not wrong: the program author avoids it, other drafts are only marked.
PROOF_RULES: tuple[Rule, ...] = (*RULES, program.shortcut)
# Those that drafts of the program author break, most of all first and the slow one last.
_OFTEN_BROKEN: tuple[Rule, ...] = (
    program.hop_count,
    program.dead_hop,
    picture.ambiguous_reference,
    program.shortcut,
    arithmetic.few_answers,
    arithmetic.wrong_turn_unnoticed,
)
_QUICKEST_FIRST = tuple(dict.fromkeys((*_OFTEN_BROKEN, *PROOF_RULES)))

# A program is refused if code cannot prove a hop; a draft by somebody who saw the photo, if code can disprove one.
_PROOFS: tuple[Rule, ...] = (
    picture.ambiguous_reference,
    picture.wrong_target,
    picture.wrong_reading,
    picture.unclear_colour,
)
_DISPROOFS: tuple[Rule, ...] = (
    picture.contradicted_reference,
    picture.contradicted_target,
    picture.contradicted_reading,
)
DRAFT_RULES: tuple[Rule, ...] = (*(rule for rule in RULES if rule not in _PROOFS), *_DISPROOFS)

# What an author can mend in a draft, told what is wrong; anything else needs another chain.
MENDABLE = frozenset(
    rule.__name__
    for rule in DRAFT_RULES
    if rule
    not in (
        program.hop_count,
        program.dangling_id,
        program.instance_count,
        program.one_level_only,
        program.no_perception_hop,
        program.no_instance_chain,
    )
)

# Half and single variants are shorter than a chain may be, but must be answerable on their own.
_OF_CHAINS = (
    program.hop_count,
    program.instance_count,
    program.one_level_only,
    program.no_perception_hop,
    program.no_instance_chain,
    program.link_not_needed,
    arithmetic.few_answers,
    arithmetic.wrong_turn_unnoticed,
)
VARIANT_RULES: tuple[Rule, ...] = tuple(rule for rule in RULES if rule not in _OF_CHAINS)
DRAFT_VARIANT_RULES: tuple[Rule, ...] = tuple(rule for rule in DRAFT_RULES if rule not in _OF_CHAINS)


def check(query: Query, scene: Scene, rules: Sequence[Rule] = RULES) -> tuple[list[Violation], float]:
    """Return every one of ``rules`` that ``query`` breaks on ``scene``, and the share of hops code cannot check."""
    context = build_context(query, scene)
    return _violations(context, rules), context.unchecked


@dataclass(frozen=True)
class DraftCheck:
    """What code says about a draft: the rules that it breaks, a verdict for each hop, and whether a hop can be skipped.

    A hop without a confirmed verdict is for other eyes; see ``hops.looks``.
    """

    violations: list[Violation]
    verdicts: tuple[HopVerdict, ...]
    has_shortcut: bool

    @property
    def open_share(self) -> float:
        """The share of hops that code does not confirm."""
        return sum(one.verdict is not Verdict.CONFIRMED for one in self.verdicts) / max(1, len(self.verdicts))


def check_draft(query: Query, scene: Scene, rules: Sequence[Rule] = DRAFT_RULES) -> DraftCheck:
    """Return what code says about a question whose author saw the photo: only contradictions are violations.

    A thing beside another is left to other eyes, too, if people might not call it directly beside.
    """
    context = build_context(query, scene)
    verdicts = tuple(_held_to_words(context, hop, one) for hop, one in zip(query.hops, context.verdicts, strict=True))
    return DraftCheck(_violations(context, rules), verdicts, program.shortcut(context) is not None)


def _held_to_words(context: QueryContext, hop: Hop, said: HopVerdict) -> HopVerdict:
    """Return a hop's verdict, open if its target hangs unevenly beside where it starts, or over another thing.

    Only for new drafts: a stored query is held to what was asked of it when it was written.
    """
    if hop.rel not in SIDES or hop.referent is None or said.target.verdict is not Verdict.CONFIRMED:
        return said
    found, anchor = context.scene.get(hop.referent), anchor_of(context.scene, context.query.hops, hop)
    if anchor is None or is_next_in_line(context.scene, found, anchor, hop.rel):
        return said
    return replace(said, target=_NOT_DIRECTLY)


def check_again(
    query: Query, scene: Scene, confirmed_by: Sequence[Mapping[str, Any]] | None
) -> tuple[list[Violation], float]:
    """Return what a stored query breaks, and the share of its hops that code does not confirm.

    ``confirmed_by`` (schemas.CONFIRMED) says who confirmed each hop. If code did so for all, or if that is not known,
    code must prove the query; otherwise it must not disprove it, and must confirm the hops that it is said to.
    """
    if not by_others(confirmed_by):
        return check(query, scene)
    context = build_context(query, scene)
    stated = [one["by"] == "code" for one in confirmed_by or ()]
    found = [one.verdict is Verdict.CONFIRMED for one in context.verdicts]
    missing = len(stated) != len(found) or any(said and not sure for said, sure in zip(stated, found, strict=False))
    wrong = [Violation("wrong_confirmation", f"code confirms {sum(found)} hops, {sum(stated)} are stated")]
    return _violations(context, DRAFT_RULES) + (wrong if missing else []), stated.count(False) / max(1, len(stated))


def by_others(confirmed_by: Sequence[Mapping[str, Any]] | None) -> bool:
    """Return whether a hop was confirmed by others than code, or by nobody."""
    return any(one["by"] != "code" for one in confirmed_by or ())


def variant_rules(confirmed_by: Sequence[Mapping[str, Any]] | None) -> tuple[Rule, ...]:
    """Return the rules for the variants of a stored query, which are held to what the query itself is held to."""
    return DRAFT_VARIANT_RULES if by_others(confirmed_by) else VARIANT_RULES


def is_sound(query: Query, scene: Scene) -> bool:
    """Return whether code proves every hop of ``query`` and it breaks no rule; stops at a broken rule."""
    context = build_context(query, scene)
    return all(rule(context) is None for rule in _QUICKEST_FIRST)


def _violations(context: QueryContext, rules: Sequence[Rule]) -> list[Violation]:
    broken = ((rule.__name__, rule(context)) for rule in rules)
    return [Violation(reason, detail) for reason, detail in broken if detail is not None]


def coverage(query: Query, scene: Scene) -> float:
    """Return the share of changed readings and wrong instances that would change the answer of ``query``."""
    return build_context(query, scene).coverage


def count_conditions(queries: Iterable[Query]) -> tuple[int, int]:
    """Return how many two-branch conditions are true and how many are false; the paper asks for about half each [P].

    Conditions that cannot be evaluated are left out: ``check`` rejects their queries.
    """
    yes = no = 0
    for query in queries:
        try:
            met = conditions_met(parse(query.expr), query.values)
        except ExpressionError:
            continue
        yes += sum(met)
        no += len(met) - sum(met)
    return yes, no
