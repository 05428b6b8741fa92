"""What a hop may have read instead of what is there, with how plausible that is: off by one, a similar digit."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from hopchain_etl.evaluation.errors.kinds import ErrorKind
from hopchain_etl.hops.expression import Node, letters
from hopchain_etl.hops.query import Hop, Read, Value, decimal_text

LOOKS_LIKE = {
    "0": "689",
    "1": "74",
    "2": "73",
    "3": "852",
    "4": "91",
    "5": "63",
    "6": "850",
    "7": "12",
    "8": "3690",
    "9": "4870",
}
_OFF_BY = {1: 0.4, 2: 0.1, 3: 0.03}  # a count, in either direction
_SIMILAR, _OTHER_DIGIT, _TURNED, _LOST = 0.4, 0.1, 0.1, 0.1  # a number: all similar digits together, and so on
_OTHER_WORD = 0.3  # another colour or word, all together
_UNSEEN = 0.5  # whether something is there, the wrong way round

Misreading = tuple[ErrorKind, float, Value]


def misread(number: int, hop: Hop, tree: Node) -> Iterator[Misreading]:
    """Yield what hop ``number`` may have read instead: kind, weight and value. ``tree``: the question's expression."""
    value = hop.value
    if isinstance(value, bool):
        yield ErrorKind.LOCATING, _UNSEEN, not value
    elif isinstance(value, Fraction):
        if hop.read in (Read.COUNT, Read.PARTS, Read.SIZE):
            yield from _miscounted(value)
        else:
            yield from _misread_digits(value)
    elif isinstance(value, str):
        kind = ErrorKind.TEXT if hop.read in (Read.TEXT, Read.NUMBER) else ErrorKind.COLOUR
        if _counts_letters(number, tree):
            for count, weight in _steps(letters(value), least=1):
                yield ErrorKind.COUNTING, weight, "x" * count
        yield from ((kind, weight, word) for word, weight in _other_words(number, value, tree))


def _miscounted(value: Fraction) -> Iterator[Misreading]:
    if value.denominator == 1:
        yield from ((ErrorKind.COUNTING, weight, Fraction(count)) for count, weight in _steps(int(value), least=0))


def _steps(count: int, least: int) -> Iterator[tuple[int, float]]:
    for step, weight in _OFF_BY.items():
        yield from ((other, weight) for other in (count - step, count + step) if other >= least)


def _misread_digits(value: Fraction) -> Iterator[Misreading]:
    try:
        text = decimal_text(value)
    except ValueError:
        return
    places = [place for place, sign in enumerate(text) if sign.isdigit()]
    similar = [_put(text, place, other) for place in places for other in LOOKS_LIKE[text[place]]]
    others = {_put(text, place, other) for place in places for other in "0123456789"} - {text, *similar}
    turned = [text[:a] + text[a + 1] + text[a] + text[a + 2 :] for a in places[:-1] if text[a + 1].isdigit()]
    lost = [text[:place] + text[place + 1 :] for place in places if len(places) > 1]
    for texts, weight in ((similar, _SIMILAR), (sorted(others), _OTHER_DIGIT), (turned, _TURNED), (lost, _LOST)):
        for other in texts:
            yield ErrorKind.TEXT, weight / len(texts), Fraction(other)


def _put(text: str, place: int, digit: str) -> str:
    return text[:place] + digit + text[place + 1 :]


def _counts_letters(number: int, tree: Node) -> bool:
    return any(node.kind == "letters" and node.value == number for node in tree.walk())


def _other_words(number: int, value: str, tree: Node) -> Iterator[tuple[str, float]]:
    """Yield the words that a reading is compared with, and one that is none of them: more do not change an answer."""
    asked = {
        str(part.value)
        for node in tree.walk()
        if any(one.kind == "hop" and one.value == number for one in node.parts)
        for part in node.parts
        if part.kind == "text"
    }
    others = sorted(word for word in asked if word.casefold() != value.casefold())
    if asked:
        others.append("")
    yield from ((word, _OTHER_WORD / len(others)) for word in others)
