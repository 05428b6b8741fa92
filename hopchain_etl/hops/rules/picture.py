"""Rules on the image: each hop, executed on boxes and masks with margins, finds and reads what the query states."""

from __future__ import annotations

import re

from hopchain_etl.hops.context import QueryContext
from hopchain_etl.hops.execute import HopResult
from hopchain_etl.hops.instance import AmbiguousError, TruthValue, shows_colour
from hopchain_etl.hops.query import Hop, Read, Value


def ambiguous_reference(context: QueryContext) -> str | None:
    """Executed on boxes and masks, each hop fits exactly one instance, with margin."""
    return context.first(lambda _, result: str(result) if isinstance(result, AmbiguousError | KeyError) else None)


def wrong_target(context: QueryContext) -> str | None:
    """Executed on boxes and masks, each hop finds the target stated in the query."""

    def differs(hop: Hop, result: HopResult) -> str | None:
        if hop.read is Read.COUNT and not hop.target:  # the whole image
            return None
        return "finds another target" if set(result.target) != set(hop.target) else None

    return context.first(lambda hop, result: differs(hop, result) if isinstance(result, HopResult) else None)


def wrong_reading(context: QueryContext) -> str | None:
    """The reading that code computes equals the value stated in the query."""

    def differs(hop: Hop, result: HopResult) -> str | None:
        same = result.value is None or _plain(result.value) == _plain(hop.value)
        return None if same else f"reads {result.value}, not {hop.value}"

    return context.first(lambda hop, result: differs(hop, result) if isinstance(result, HopResult) else None)


def contradicted_reference(context: QueryContext) -> str | None:
    """Of a draft by somebody who saw the photo: each hop can mean one thing ("the other one" of three cannot)."""
    return _contradiction(context, contradicted_reference.__name__)


def contradicted_target(context: QueryContext) -> str | None:
    """Of a draft by somebody who saw the photo: no other instance clearly fits a hop better than its target."""
    return _contradiction(context, contradicted_target.__name__)


def contradicted_reading(context: QueryContext) -> str | None:
    """Of a draft by somebody who saw the photo: each reading, count or colour is possible there."""
    return _contradiction(context, contradicted_reading.__name__)


def unclear_colour(context: QueryContext) -> str | None:
    """A colour in a condition is clearly the target's main colour or clearly absent from it."""
    for number, colour in context.text_comparisons:
        hop = context.query.hops[number - 1] if number <= len(context.query.hops) else None
        one = context.scene.by_id.get(hop.referent) if hop and hop.referent and hop.read is Read.COLOUR else None
        if one and one.colours and shows_colour(one, colour) is TruthValue.UNCLEAR:
            return f"whether h{number} is {colour} is not clear"
    return None


def unseen_text(context: QueryContext) -> str | None:
    """Texts that the question quotes are in the image, as far as OCR read it (in reimplementations 22 % were not).

    A text in a condition may be absent. If OCR read nothing at all, the hop counts as unchecked, for humans to check.
    """
    asked = {text for _, text in context.text_comparisons}
    read = [_letters(one.text or "") for one in context.scene.texts]
    for quoted in re.findall(r'["“”]([^"“”]+)["“”]', context.query.question) if read else ():
        if quoted not in asked and not any(_letters(quoted) in line for line in read):
            return f"no line of text in the picture says {quoted!r}"
    return None


def _contradiction(context: QueryContext, reason: str) -> str | None:
    """Return what code holds against the first hop that it contradicts for this reason (``hops.verdict``)."""
    for number, verdict in enumerate(context.verdicts, start=1):
        for finding in (verdict.target, verdict.reading):
            if finding.reason == reason:
                hop = context.query.hops[number - 1]
                return f"h{number} ({hop.rel} {hop.category}): {finding.detail}"
    return None


def _plain(value: Value | None) -> Value | None:
    """Return a reading as it is compared in an expression: texts without regard to case."""
    return value.casefold().strip() if isinstance(value, str) else value


def _letters(text: str) -> str:
    """Return the letters and digits of a text: OCR often sees other spaces and points than people."""
    return "".join(filter(str.isalnum, text.casefold()))
