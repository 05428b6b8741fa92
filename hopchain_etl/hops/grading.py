r"""Grades a model's answer: taken only from its declared place, read as an exact number, compared without tolerance.

The declared place is an ``<answer>`` element or a ``\boxed{}``. Nothing else in a completion is read: the last number
in a text is not an answer, and a reward that accepts it teaches models to write long text. The same three functions
grade calibration, evaluation and rewards. Standard library only; any input is graded in time linear in its length.

Accepted forms of a declared answer, and how ambiguous forms are read:

========================== ===========================================================================================
``1,234``  ``1 234``       grouped: commas, any kind of space or apostrophes between groups of exactly three digits
``1.234``                  a decimal, as in English
``1.234,5`` ``1.234.567``  European, if no other reading is possible: 1234.5 and 1234567
``1,5``  ``1,23,456``      no number: a decimal comma, a list and a typing error look the same
``24 %``                   24: a percent sign is a unit, and questions ask for the number that is written there
``24 cm^2``  ``24 N·m``    24: a unit may have a power, also as ``24 \text{ cm}^{2}``, and be a product
``-24``  ``minus 24``      -24; a currency sign before or behind the number is a unit
``-\boxed{24}``            -24: a minus sign that touches the box; one after a space is a dash, or of an expression
``\boxed{24}^2``           no number: a power at the box makes it another one
``24 apples``  ``24cm``    24: a unit may follow; one that is a multiplier or a variable (k, M, pairs, x, pi) may not
``3 1/2``  ``\frac{7}{2}`` 7/2; the fraction of a mixed number must be proper
``twenty-four``            24; digits and a magnitude word (``2.5 million``, ``2 dozens``, ``3 lakh``) as well
``1.5e3`` ``1.5 x 10³``    1500; an exponent has at most two digits
``**$24$**.`` ``"24"``     24: emphasis, quotes, code marks and one closing mark, in up to four layers
``answer - 24``            no number: a dash or a minus sign; behind a colon or ``=`` it is a sign
``24 or 25`` ``~24`` ``24?`` no number: uncertain answers, ordinals, ratios, ranges and sums are not accepted
========================== ===========================================================================================
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from hopchain_etl.hops.number_words import MAGNITUDES, NUMBER_WORDS, ORDINALS, number_from_words
from hopchain_etl.hops.typography import CLOSING, plain_text, undressed

MAX_LENGTH = 200  # characters of a declared answer; longer texts are not a number

_TAG = re.compile(r"<(/?)answer\s*>", re.IGNORECASE)
_MINUS = re.compile(r"(?:^|[\s$=:,(\[{*_])[-\u2212]\$?$")  # directly before a box; after a digit it subtracts
_RAISED = re.compile(r"[ ]?(?:\^(?=[\s{]{0,4}[\d+-])|[²³])")  # directly behind a box; degrees are a unit
_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)

_LEAD = re.compile(
    r"(?:(?:\*\*)?(?:the )?(?:final )?(?:answer|result|total)(?:\*\*)?(?: is| equals)? ?[:=]?(?:\*\*)? "
    r"|[a-z] ?= ?|= ?)",
    re.IGNORECASE,
)
_SIGN = "(?:[+-]|(?:plus|positive|minus|negative)(?=[ ]))?[ ]?"
_WHOLE = "|".join([*(rf"\d{{1,3}}(?:{mark}\d{{3}})+" for mark in (",", "[ ]", "'")), r"\d+"])
_NUMBER = re.compile(
    rf"""(?P<sign>(?:{_SIGN}[$]?[ ]?|[$][ ]?{_SIGN}))
    (?:
        (?:(?P<whole>\d+)[ ])?(?P<top>\d+)[ ]?/[ ]?(?P<bottom>[+-]?\d+)
      | (?P<european>[1-9]\d{{0,2}}(?:\.\d{{3}})+,\d+|[1-9]\d{{0,2}}(?:\.\d{{3}}){{2,}})
      | (?P<decimal>(?:(?:{_WHOLE})(?:\.\d*)?|\.\d+))(?:e(?P<exponent>[+-]?\d{{1,2}}))?
    )(?![\d.,'/:])""",
    re.VERBOSE | re.IGNORECASE,
)
_UNIT_WORD = r"[a-zµ]+(?![a-zµ])(?:\^-?[1-3]|[²³])?"
_UNIT = re.compile(rf" ?[%$°]?(?: ?{_UNIT_WORD}\.?(?:[/-]{_UNIT_WORD}){{0,3}}){{0,4}}", re.IGNORECASE)
_WORD = re.compile(r"[a-zµ]+", re.IGNORECASE)
_UNIT_LETTERS = frozenset("mgshltLVWANJCF")  # other single letters may be a variable or a multiplier
_NOT_UNIT_WORDS = """
st nd rd th pi nan inf exp sqrt hex hexadecimal octal binary
bn mn tn mio mrd mil mill mln mld mlrd md bil tril tys tsd thou quadrillion quadrillions quintillion quintillions
sextillion sextillions googol milliard milliards milliarde milliarden milliarder milliardi miljard millionen millones
billones milioni miljoen mille mila tusen tausend hundert dutzend douzaine douzaines docena docenas dizaine dizaines
decena decenas arab kharab myriad myriads grand gross pair pairs couple couples duo duos twins trio trios score
scores half halves squared cubed factorial doubled tripled halved
or and not no nor oder und ou et nicht pas mehr weniger upward upwards onward onwards odd doubtful is isn are aren was
be but if to plus minus times over by divided mod modulo negative more less fewer than maybe perhaps probably possibly
about around approximately approximate approx appx circa ca roughly estimated estimate est ish unless unsure wrong
incorrect instead otherwise false unclear uncertain unknown likely presumably supposedly hopefully guess guessed
assuming assumed think believe suppose might could max maximum minimum etc vs versus either at least most between
"""
_NOT_UNITS = frozenset(_NOT_UNIT_WORDS.split()) | NUMBER_WORDS | ORDINALS | frozenset(MAGNITUDES)


def declared_answer(text: str) -> str | None:
    r"""Return the declared answer of a completion as written; None if it declares none.

    What comes before the last ``</think>``, or after a ``<think>`` that is never closed, is thinking and is ignored. An
    ``<answer>`` element outranks a ``\boxed{}`` outside of one; an element or box that is not closed, or is empty,
    declares nothing. If there are several of the same rank, all must give the same answer; otherwise there is no
    answer.
    """
    visible = after_thinking(text)
    places = _tagged(visible) or _boxed(visible)
    if not places:
        return None
    different = set(places)
    if len(different) > 1:
        numbers = {parse_number(place) for place in different}
        if len(numbers) > 1 or None in numbers:
            return None
    return places[-1]


def parse_number(text: str) -> Fraction | None:
    """Return the exact number in a declared answer; None if there is no number or more than one.

    The module's table lists the accepted forms. Sizes are bounded: a text over 200 characters is not a number.
    """
    if len(text) > MAX_LENGTH:
        text = text.strip()
        if len(text) > MAX_LENGTH:
            return None
    plain = plain_text(text)
    lead = _LEAD.match(plain)
    if lead:
        plain = undressed(plain[lead.end() :])
        if plain.startswith("- ") and not lead[0].rstrip("* ").endswith((":", "=")):
            return None  # "answer - 24": a dash or a minus sign
    if plain.endswith(CLOSING):
        plain = plain[:-1].rstrip()
        if plain.endswith(CLOSING):
            return None  # something was left out
    found = _NUMBER.match(plain)
    if not found:
        return _in_words(plain)
    value = _value(found)
    if value is None:
        return None
    rest = plain[found.end() :]
    magnitude = _WORD.match(rest.lstrip())
    if magnitude and rest.startswith(" ") and (times := MAGNITUDES.get(magnitude[0].lower())):
        value, rest = value * times, rest.lstrip()[magnitude.end() :]
    return value if _is_unit(rest) else None


def is_correct(completion: str, answer: str) -> bool:
    """Return whether a completion declares exactly ``answer``, an exact decimal or fraction such as "24" or "-1/3".

    Raises ValueError if ``answer`` is not such a number: then the row is wrong, not the model's answer.
    """
    correct = _gold(answer)
    place = declared_answer(completion)
    return place is not None and parse_number(place) == correct


@lru_cache(maxsize=4096)
def _gold(answer: str) -> Fraction:
    if not re.fullmatch(r"-?[0-9]{1,40}(\.[0-9]{1,40}|/[0-9]{1,40})?", answer):
        raise ValueError(f"{answer[:80]!r} is not an exact decimal or fraction; a training row's answer is one")
    try:
        return Fraction(answer)
    except ZeroDivisionError as error:
        raise ValueError(f"{answer!r} divides by zero") from error


def after_thinking(text: str) -> str:
    """Return what a completion says once it has thought; empty if it never ends to think."""
    closed = text.rfind("</think>")
    if closed >= 0:
        text = text[closed + len("</think>") :]
    opened = text.find("<think>")
    return text[:opened] if opened >= 0 else text


def _tagged(text: str) -> list[str]:
    """Return the contents of the innermost, closed, not empty ``<answer>`` elements."""
    places: list[str] = []
    start: int | None = None
    for tag in _TAG.finditer(text):
        if not tag[1]:
            start = tag.end()
        elif start is not None:
            places.append(text[start : tag.start()].strip())
            start = None
    return [place for place in places if place]


def _boxed(text: str) -> list[str]:
    """Return the contents of the outermost, closed, not empty boxes; in one pass, for any brace structure.

    With a minus sign that touches the box from outside, and the sign of a power behind it: these change the number.
    """
    if "box" not in text:
        return []
    places: list[str] = []
    open_braces: list[re.Match[str] | None] = []  # the opening of a box, None for any other brace
    boxes = 0
    for token in _BRACE.finditer(text):
        brace = token[0]
        if brace == "{":
            open_braces.append(None)
        elif brace[-1] == "{" and len(brace) > 2:
            open_braces.append(token)
            boxes += 1
        elif brace == "}" and open_braces and (box := open_braces.pop()):
            boxes -= 1
            if not boxes:
                place = text[box.end() : token.start()].strip()
                sign = _MINUS.search(text, max(0, box.start() - 3), box.start())
                power = _RAISED.match(text, token.end())
                if place:
                    places.append(f"{'-' if sign else ''}{place}{power[0] if power else ''}")
    return places


def _value(found: re.Match[str]) -> Fraction | None:
    part = found.groupdict()
    negative = "-" in part["sign"] or part["sign"].strip("$ ").lower() in ("minus", "negative")
    if part["top"] is not None:
        bottom = int(part["bottom"])
        value = Fraction(int(part["top"]), bottom) if bottom else None
        if part["whole"] is not None:
            value = int(part["whole"]) + value if value is not None and 0 < value < 1 else None
    elif part["european"] is not None:
        value = Fraction(part["european"].replace(".", "").replace(",", "."))
    else:
        digits = re.sub("[ ,']", "", part["decimal"])
        if re.match(r"0\d*[ ,']", part["decimal"]):  # 0,123 is not a valid grouping
            return None
        value = Fraction(digits.removesuffix(".") or "0") * Fraction(10) ** int(part["exponent"] or 0)
    return -value if value is not None and negative else value


def _is_unit(rest: str) -> bool:
    """Return whether text after a number may be its unit: empty, a symbol, or up to four words that keep its value."""
    if not rest:
        return True
    if not _UNIT.fullmatch(rest):
        return False
    words = _WORD.findall(rest)
    return all(word in _UNIT_LETTERS if len(word) == 1 else word.lower() not in _NOT_UNITS for word in words)


def _in_words(plain: str) -> Fraction | None:
    """Return the number in words at the start of a text, if only a unit follows."""
    found = number_from_words(plain)
    if found is None:
        return None
    value, rest = found
    return value if _is_unit(rest) else None
