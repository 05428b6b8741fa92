"""Rules on the picture: each hop, executed on boxes and masks, finds and reads what the query says, with margin."""

from __future__ import annotations

import re

from hopchain_etl.hops.context import QueryContext
from hopchain_etl.hops.execute import HopResult
from hopchain_etl.hops.geometry import AmbiguousError, TruthValue, shows_colour
from hopchain_etl.hops.query import Hop, Read


def ambiguous_reference(context: QueryContext) -> str | None:
    """Executed on boxes and masks, each hop fits exactly one instance, with margin."""
    return context.first(lambda hop, look: str(look) if isinstance(look, AmbiguousError | KeyError) else None)


def wrong_target(context: QueryContext) -> str | None:
    """Executed on boxes and masks, each hop finds the target that the query says."""

    def differs(hop: Hop, look: HopResult) -> str | None:
        if hop.read is Read.COUNT and not hop.target:  # the whole image
            return None
        return "finds another target" if set(look.target) != set(hop.target) else None

    return context.first(lambda hop, look: differs(hop, look) if isinstance(look, HopResult) else None)


def wrong_reading(context: QueryContext) -> str | None:
    """What code can read off the target is what the query says was read."""

    def differs(hop: Hop, look: HopResult) -> str | None:
        return f"reads {look.value}, not {hop.value}" if look.value is not None and look.value != hop.value else None

    return context.first(lambda hop, look: differs(hop, look) if isinstance(look, HopResult) else None)


def unclear_colour(context: QueryContext) -> str | None:
    """A colour that a condition asks for is clearly the target's main one, or clearly nowhere on it."""
    for number, colour in context.text_comparisons:
        hop = context.query.hops[number - 1] if number <= len(context.query.hops) else None
        one = context.scene.by_id.get(hop.referent) if hop and hop.referent and hop.read is Read.COLOUR else None
        if one and one.colours and shows_colour(one, colour) is TruthValue.UNCLEAR:
            return f"whether h{number} is {colour} is not clear"
    return None


def unseen_text(context: QueryContext) -> str | None:
    """What the question quotes stands in the picture, as far as OCR has read it (others found 22 % of it false).

    A text that a condition asks for may be absent. Where OCR read nothing at all, people must look: the hop counts as
    unchecked.
    """
    asked = {text for _, text in context.text_comparisons}
    read = [(one.text or "").casefold() for one in context.scene.texts]
    for quoted in re.findall(r'["“”]([^"“”]+)["“”]', context.query.question) if read else ():
        if quoted not in asked and not any(quoted.casefold().strip() in line for line in read):
            return f"no line of text in the picture says {quoted!r}"
    return None
