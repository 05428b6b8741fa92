"""Every rule that a query must pass: one function a rule, one reason code each.

A rule returns None, or a sentence that says what is wrong. ``check`` runs all of them and never raises on what a
model wrote. Rules come from the paper as far as HOPCHAIN.md knows it, and from what others who rebuilt it found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from hopchain_etl.hops.execute import EXECUTABLE, Look, NotExecutableError, execute
from hopchain_etl.hops.expression import ExpressionError, Node, hops_named, number_of, parse, perturbations
from hopchain_etl.hops.geometry import AmbiguousError, Scene, Truth, parse_phrase, shows_colour
from hopchain_etl.hops.query import Hop, Query, Read, Value, decimal_text

MIN_HOPS, MAX_HOPS = 4, 6  # HOPCHAIN.md [P]
MIN_INSTANCES, MAX_INSTANCES = 3, 6  # [C]
LARGEST_ANSWER = 100_000
# A question stands on the image alone [C]: nothing that only the author saw. Quoted on-screen text may say anything.
FORBIDDEN = re.compile(
    r"\b(bounding|box(es)?|masks?|crops?|cropped|coordinates?|pixels?|segment(s|ed|ation)?|instances?|ids?|bbox"
    r"|annotat\w+|detect\w+|category|categories|h[1-9])\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Case:
    """A query with what its rules need: the scene, the parsed expression, and what each hop finds when executed."""

    query: Query
    scene: Scene
    tree: Node | None
    looks: tuple[Look | Exception, ...]

    @property
    def unchecked(self) -> float:
        """The share of hops whose target or reading no code could execute."""
        hops = zip(self.query.hops, self.looks, strict=True)
        beyond = [_beyond_code(hop, look) for hop, look in hops]
        return sum(beyond) / max(1, len(beyond))


@dataclass(frozen=True)
class Complaint:
    """A rule that a query breaks."""

    reason: str
    detail: str


Rule = Callable[[Case], str | None]


def check(query: Query, scene: Scene) -> tuple[list[Complaint], float]:
    """Return every rule that ``query`` breaks on ``scene``, and the share of hops that no code could check."""
    case = prepare(query, scene)
    broken = ((rule.__name__, rule(case)) for rule in RULES)
    return [Complaint(reason, detail) for reason, detail in broken if detail is not None], case.unchecked


def prepare(query: Query, scene: Scene) -> Case:
    """Return the query with its expression parsed and its hops executed, errors kept in their places."""
    try:
        tree = parse(query.expr)
    except ExpressionError:
        tree = None
    looks: list[Look | Exception] = []
    for number, _ in query.numbered():
        try:
            looks.append(execute(scene, query.hops, number))
        except (AmbiguousError, NotExecutableError, KeyError, IndexError, ValueError) as error:
            looks.append(error)
    return Case(query, scene, tree, tuple(looks))


# --- the program ---


def hop_count(case: Case) -> str | None:
    """4 to 6 hops (HOPCHAIN.md [P])."""
    count = len(case.query.hops)
    return None if MIN_HOPS <= count <= MAX_HOPS else f"{count} hops"


def forward_reference(case: Case) -> str | None:
    """A hop refers only to hops before it, and the expression only to hops that exist."""
    for number, hop in case.query.numbered():
        if hop.to is not None and hop.to_hop is None and not re.fullmatch(r"\d+(\.\d+)?", hop.to):
            return f"h{number} refers to {hop.to!r}"
        if hop.to_hop is not None and hop.to_hop >= number:
            return f"h{number} refers to {hop.to}"
    named = hops_named(case.tree) if case.tree else frozenset()
    beyond = sorted(n for n in named if n > len(case.query.hops))
    return f"the expression names h{beyond[0]}" if beyond else None


def dangling_id(case: Case) -> str | None:
    """Every target is an instance of this image."""
    known = {one.id for one in case.scene.instances}
    for number, hop in case.query.numbered():
        if missing := [target for target in hop.target if target not in known]:
            return f"h{number} looks at {missing[0]!r}, which this image does not have"
    return None


def instance_count(case: Case) -> str | None:
    """3 to 6 instances a combination [C], at least all but one of them used [P], and no others."""
    combination, referents = set(case.query.combination), set(case.query.referents)
    if not MIN_INSTANCES <= len(combination) <= MAX_INSTANCES:
        return f"{len(combination)} instances in the combination"
    if stray := referents - combination:
        return f"{sorted(stray)[0]} is not of the combination"
    unused = len(combination) - len(referents)
    return f"{unused} of {len(combination)} instances unused" if unused > 1 else None


def chain_broken(case: Case) -> str | None:
    """Each instance after the first is found through an earlier hop; only a last hop may take in the whole image."""
    for number, hop in case.query.numbered():
        linked = hop.to_hop is not None
        if number == 1 or linked:
            continue
        if hop.referent is not None:
            return f"h{number} finds its {hop.category} without an earlier hop"
        if number < len(case.query.hops):
            return f"h{number} takes in the whole image before the end"
    return None


def one_level_only(case: Case) -> str | None:
    """Both levels occur: a query is level 3, a chain of level 1 and level 2 steps [C]."""
    levels = {hop.level for hop in case.query.hops}
    return None if levels == {1, 2} else f"every hop is of level {min(levels, default=0)}"


def no_perception_hop(case: Case) -> str | None:
    """At least one perception-level hop: a switch between level 1 and level 2 [C]."""
    return None if case.query.perception_switches else "no neighbouring hops differ in level"


def no_instance_chain(case: Case) -> str | None:
    """Instance-chain hops A -> B -> C: at least two links [C]."""
    links = case.query.instance_links
    return None if links >= 2 else f"{links} links from instance to instance"


def dead_hop(case: Case) -> str | None:
    """Every hop is used by the expression, or by ``to`` of one that is."""
    if case.tree is None:
        return None
    dead = set(range(1, len(case.query.hops) + 1)) - case.query.live(hops_named(case.tree))
    return f"h{min(dead)} is never used" if dead else None


# --- the arithmetic ---


def bad_expression(case: Case) -> str | None:
    """The expression parses and evaluates over what the hops read."""
    try:
        number_of(parse(case.query.expr), case.query.values)
    except ExpressionError as error:
        return str(error)
    return None


def wrong_answer(case: Case) -> str | None:
    """The expression evaluates exactly to the answer."""
    result = _result(case, case.query.values)
    if result is None or result == case.query.answer:
        return None
    return f"the expression gives {result}, the answer is {case.query.answer}"


def answer_out_of_range(case: Case) -> str | None:
    """The answer is a number that a person can write down: an exact decimal of at most 100,000."""
    try:
        decimal_text(case.query.answer)
    except ValueError as error:
        return str(error)
    return None if abs(case.query.answer) <= LARGEST_ANSWER else f"{case.query.answer} is out of range"


def insensitive(case: Case) -> str | None:
    """Had any hop read something else, the result would differ: no zero factor, shut gate or equal branches."""
    if case.tree is None or _result(case, case.query.values) is None:
        return None
    for hop, results in perturbations(case.tree, case.query.values).items():
        if not any(result is not None and result != case.query.answer for result in results):
            return f"whatever h{hop} reads, the result is {case.query.answer}"
    return None


# --- the wording ---


def forbidden_word(case: Case) -> str | None:
    """The question never speaks of boxes, masks, crops, coordinates or ids [C]; quoted on-screen text may."""
    found = FORBIDDEN.search(re.sub(r'"[^"]*"', '""', case.query.question))
    return f"it says {found[0]!r}" if found else None


def reading_given_away(case: Case) -> str | None:
    """What is to be read off an instance is not part of any phrase that names that instance."""
    phrases: dict[str, str] = {}
    for hop in case.query.hops:
        if hop.referent:
            phrases[hop.referent] = f"{phrases.get(hop.referent, '')} {hop.category}".casefold()
    for number, hop in case.query.numbered():
        if hop.referent and _told(hop, phrases[hop.referent]):
            return f"{hop.category!r} tells what h{number} is to read"
    return None


# --- the picture ---


def ambiguous_reference(case: Case) -> str | None:
    """Executed on boxes and masks, each hop fits exactly one instance, with margin."""
    return _first(case, lambda hop, look: str(look) if isinstance(look, AmbiguousError | KeyError) else None)


def wrong_target(case: Case) -> str | None:
    """Executed on boxes and masks, each hop finds the target that the query says."""

    def differs(hop: Hop, look: Look) -> str | None:
        if hop.read is Read.COUNT and not hop.target:  # the whole image
            return None
        return "finds another target" if set(look.target) != set(hop.target) else None

    return _first(case, lambda hop, look: differs(hop, look) if isinstance(look, Look) else None)


def wrong_reading(case: Case) -> str | None:
    """What code can read off the target is what the query says was read."""

    def differs(hop: Hop, look: Look) -> str | None:
        return f"reads {look.value}, not {hop.value}" if look.value is not None and look.value != hop.value else None

    return _first(case, lambda hop, look: differs(hop, look) if isinstance(look, Look) else None)


def unclear_colour(case: Case) -> str | None:
    """A colour that a condition asks for is clearly the target's main one, or clearly nowhere on it."""
    for node in case.tree.walk() if case.tree else ():
        if node.kind not in ("==", "!="):
            continue
        for hop, colour in _compared(node):
            referent = case.query.hops[hop - 1].referent if hop <= len(case.query.hops) else None
            if not referent or case.query.hops[hop - 1].read is not Read.COLOUR:
                continue
            known = [one for one in case.scene.instances if one.id == referent]
            if known and known[0].colours and shows_colour(known[0], colour) is Truth.UNCLEAR:
                return f"whether h{hop} is {colour} is not clear"
    return None


RULES: tuple[Rule, ...] = (
    hop_count,
    forward_reference,
    dangling_id,
    instance_count,
    chain_broken,
    one_level_only,
    no_perception_hop,
    no_instance_chain,
    bad_expression,
    dead_hop,
    wrong_answer,
    answer_out_of_range,
    insensitive,
    forbidden_word,
    reading_given_away,
    ambiguous_reference,
    wrong_target,
    wrong_reading,
    unclear_colour,
)


def _beyond_code(hop: Hop, look: Look | Exception) -> bool:
    return isinstance(look, NotExecutableError) or (hop.read is not None and hop.read not in EXECUTABLE)


def _first(case: Case, differs: Callable[[Hop, Look | Exception], str | None]) -> str | None:
    for number, (hop, look) in enumerate(zip(case.query.hops, case.looks, strict=True), start=1):
        if detail := differs(hop, look):
            return f"h{number} ({hop.rel} {hop.category}): {detail}"
    return None


def _result(case: Case, values: dict[int, Value]) -> Fraction | None:
    try:
        return number_of(case.tree, values) if case.tree else None
    except ExpressionError:
        return None


def _told(hop: Hop, phrase: str) -> bool:
    """Whether a phrase for the hop's target contains what the hop reads there."""
    colour, _, quoted = parse_phrase(hop.category)
    if hop.read in (Read.TEXT, Read.NUMBER):
        return quoted is not None or f'"{hop.value}"'.casefold() in phrase
    if hop.read is Read.COLOUR:
        return colour is not None or (isinstance(hop.value, str) and hop.value in phrase.split())
    return False


def _compared(node: Node) -> Iterator[tuple[int, str]]:
    for a, b in (node.parts, node.parts[::-1]):
        if a.kind == "hop" and isinstance(a.value, int) and isinstance(b.value, str):
            yield a.value, b.value
