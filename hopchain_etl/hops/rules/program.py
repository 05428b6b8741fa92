"""Rules on the program: its shape, its chain, and that no link of the chain can be skipped.

The rules come from the paper; docs/paper.md marks what is certain with [C] and what is probable with [P].
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hopchain_etl.hops.context import QueryContext
from hopchain_etl.hops.execute import HopResult, NotExecutableError, read_value
from hopchain_etl.hops.expression_analysis import hops_named
from hopchain_etl.hops.instance import AmbiguousError, Instance
from hopchain_etl.hops.query import BY_VALUE, Hop, Relation, Value

MIN_HOPS, MAX_HOPS = 4, 6  # docs/paper.md [P]
MIN_INSTANCES, MAX_INSTANCES = 3, 6  # [C]


def hop_count(context: QueryContext) -> str | None:
    """4 to 6 hops (docs/paper.md [P])."""
    count = len(context.query.hops)
    return None if MIN_HOPS <= count <= MAX_HOPS else f"{count} hops"


def forward_reference(context: QueryContext) -> str | None:
    """A hop refers only to hops before it, and the expression only to hops that exist."""
    for number, hop in context.query.numbered():
        if hop.to is not None and hop.to_hop is None and not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", hop.to):
            return f"h{number} refers to {hop.to!r}"
        if hop.to_hop is not None and hop.to_hop >= number:
            return f"h{number} refers to {hop.to}"
    named = hops_named(context.tree) if context.tree else frozenset()
    beyond = sorted(n for n in named if n > len(context.query.hops))
    return f"the expression names h{beyond[0]}" if beyond else None


def dangling_id(context: QueryContext) -> str | None:
    """Every target is an instance of this image."""
    known = {one.id for one in context.scene.instances}
    for number, hop in context.query.numbered():
        if missing := [target for target in hop.target if target not in known]:
            return f"h{number} looks at {missing[0]!r}, which this image does not have"
    return None


def instance_count(context: QueryContext) -> str | None:
    """3 to 6 instances per combination [C], at least all but one of them used [P], and no others."""
    combination, referents = set(context.query.combination), set(context.query.referents)
    if not MIN_INSTANCES <= len(combination) <= MAX_INSTANCES:
        return f"{len(combination)} instances in the combination"
    if stray := referents - combination:
        return f"{sorted(stray)[0]} is not of the combination"
    unused = len(combination) - len(referents)
    return f"{unused} of {len(combination)} instances unused" if unused > 1 else None


def chain_broken(context: QueryContext) -> str | None:
    """Each instance after the first is found through an earlier hop; only the last hop may use the whole image."""
    for number, hop in context.query.numbered():
        linked = hop.to_hop is not None
        if number == 1 or linked:
            continue
        if hop.referent is not None:
            return f"h{number} finds its {hop.category} without an earlier hop"
        if number < len(context.query.hops):
            return f"h{number} takes in the whole image before the end"
    return None


def one_level_only(context: QueryContext) -> str | None:
    """Both levels occur: a query is level 3, a chain of level 1 and level 2 steps [C]."""
    levels = {level for hop in context.query.hops for level in hop.levels}
    return None if levels == {1, 2} else f"every hop is of level {min(levels, default=0)}"


def no_perception_hop(context: QueryContext) -> str | None:
    """At least one perception-level hop: a switch between level 1 and level 2 [C]."""
    return None if context.query.perception_switches else "no neighbouring hops differ in level"


def no_instance_chain(context: QueryContext) -> str | None:
    """Instance-chain hops A -> B -> C: at least two links [C]."""
    links = context.query.instance_links
    return None if links >= 2 else f"{links} links from instance to instance"


def dead_hop(context: QueryContext) -> str | None:
    """Every hop is used by the expression, or by ``to`` of one that is."""
    if context.tree is None:
        return None
    dead = set(range(1, len(context.query.hops) + 1)) - context.query.live(hops_named(context.tree))
    return f"h{min(dead)} is never used" if dead else None


def link_not_needed(context: QueryContext) -> str | None:
    """An instance reached through an earlier hop cannot be found by its name alone, because the name fits several [P].

    "The largest car, then the tallest tree" is not a chain, nor is "the only tree, nearest to that car".
    """
    for number, hop in _links(context):
        if _finds(context, hop, Relation.NAMED, None):
            return f"h{number}: its name alone, {hop.category!r}, finds it"
    return None


def shortcut(context: QueryContext) -> str | None:
    """No instance in the chain can be skipped: from the one before it, the phrase does not find the same target."""
    for number, hop in _links(context):
        before = _before(context, hop)
        if before is not None and _finds(context, hop, hop.rel, before):
            return f"h{number}: from {before.category} two instances back, the same words find it"
    return None


def _links(context: QueryContext) -> Iterator[tuple[int, Hop]]:
    """Yield (number, hop) for each executable hop that leads from one instance to another."""
    for number, hop in context.query.numbered():
        source = context.query.hops[hop.to_hop - 1] if hop.to_hop and hop.to_hop < number else hop
        if hop.referent and hop.referent != source.referent and isinstance(context.hop_results[number - 1], HopResult):
            yield number, hop


def _before(context: QueryContext, hop: Hop) -> Instance | None:
    """Return the instance before the anchor of ``hop``."""
    hops = context.query.hops
    here = hops[(hop.to_hop or 1) - 1].referent
    at = hop.to_hop
    while at is not None:
        referent = hops[at - 1].referent
        if referent and referent != here:
            return context.scene.by_id.get(referent)
        further = hops[at - 1].to_hop
        at = further if further and further < at else None
    return None


def _finds(context: QueryContext, hop: Hop, rel: Relation, anchor: Instance | None) -> bool:
    """Return whether the hop's phrase, with this relation and anchor, finds its target."""
    try:
        value = _value_of(context, hop, rel, anchor)
        if rel in BY_VALUE and value is None:
            return False
        return context.scene.find(hop.category, rel, anchor, value).id == hop.referent
    except (AmbiguousError, NotExecutableError):
        return False


def _value_of(context: QueryContext, hop: Hop, rel: Relation, anchor: Instance | None) -> Value | None:
    """Return what a person would look for who takes ``anchor`` for the instance from which ``hop`` starts."""
    if anchor is None or rel not in BY_VALUE:
        return None
    if rel is Relation.NEAREST_VALUE:
        return anchor.number
    return read_value(context.scene, anchor, context.query.hops[(hop.to_hop or 1) - 1].read)
