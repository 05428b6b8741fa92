"""Rules on the wording: it refers only to the image, and no phrase gives away a hop's reading.

In reimplementations, the wording of the same or another hop gave away the reading of 31 % of hops (docs/paper.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from hopchain_etl.hops.context import QueryContext
from hopchain_etl.hops.instance import parse_phrase
from hopchain_etl.hops.query import Hop, Read, Relation

# A question refers only to the image [C], not to what only the author saw. Text quoted from the image is exempt.
# Words for the author's aids that also name things (a box, a mask, an ID card) are forbidden only in such phrases.
FORBIDDEN = re.compile(
    r"""\b(
    bounding | bbox(es)? | box(es)?\ (around|drawn|number(ed)?|\d)\w* | boxed
    | masks? | masked | close-?ups? | cropped | crops? | coordinates? | pixels?
    | segment(s|ed|ation)? | (?<!for\ )instances? | ids?(?!\ (card|badge|tag|photo|number|document)s?\b)
    | category | categories | annotat\w+ | detect(s|ed|ing|ions?)? | (?<=the\ )detectors? | [hi][1-9]
    )\b""",
    re.VERBOSE,
)
_ALSO_THINGS = frozenset({"box", "boxes", "mask", "masks", "crop", "crops", "segment", "segments", "id", "ids"})
# Left and right are from the viewer's side; anything else would be ambiguous.
NOT_THE_VIEWERS = re.compile(
    r"\b(his|her|their|own|'s) (left|right)\b|\b(left|right) (hand|arm|foot|leg|eye|ear|wing|paw) of\b"
    r"|\bfrom (his|her|its|their) (own )?(point of view|perspective|viewpoint)\b"
    r"|\b(clockwise|anticlockwise|counterclockwise)\b"
)
_ID = re.compile(r"(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{12,}")
_COUNTED = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def forbidden_word(context: QueryContext) -> str | None:
    """The question never mentions boxes, masks, crops, coordinates or ids [C], except in text quoted from the image.

    Words with which the photo's things are named are exempt: an orange has segments, and a salad box is a box.
    """
    for found in FORBIDDEN.finditer(context.unquoted):
        if _things_named(context).isdisjoint(found[0].split()):
            return f"it says {found[0]!r}"
    return None


def names_an_id(context: QueryContext) -> str | None:
    """The question names no instance by its id [C]."""
    found = [one for one in context.scene.ids_to_avoid if one in context.unquoted]
    found += [word for word in context.words if _ID.fullmatch(word)]
    return f"it says {min(found)!r}" if found else None


def not_the_viewers_side(context: QueryContext) -> str | None:
    """Directions are the viewer's: the reader never has to take the viewpoint of something in the image [P]."""
    found = NOT_THE_VIEWERS.search(context.unquoted)
    return f"it says {found[0]!r}" if found else None


def reading_given_away(context: QueryContext) -> str | None:
    """The reading of an instance does not appear in any phrase that names that instance."""
    phrases: dict[str, str] = {}
    for hop in context.query.hops:
        if hop.referent:
            phrases[hop.referent] = f"{phrases.get(hop.referent, '')} {hop.category} {hop.words or ''}".casefold()
    for number, hop in context.query.numbered():
        if hop.referent and _contains_reading(hop, phrases[hop.referent]):
            return f"{hop.words or hop.category!r} tells what h{number} is to read"
    return None


def settled_by_another(context: QueryContext) -> str | None:
    """No phrase of another hop gives away a reading: "the only red car" means that no other car is red.

    "The only car" gives away the number of cars, and so does "the other car" after a first one.
    """
    for number, hop in context.query.numbered():
        for other in context.query.hops if hop.read in (Read.COUNT, Read.COLOUR) else ():
            if other is not hop and (
                _settles_count(context, other, hop) or _settles_colour(context, other, hop, number)
            ):
                return f"{other.rel} {other.category!r} tells what h{number} is to read"
    return None


def reading_in_question(context: QueryContext) -> str | None:
    """The question does not contain a reading, neither in quotes nor next to the noun it is read from."""
    quoted = {text.casefold().strip() for text in re.findall(r'["“”]([^"“”]+)["“”]', context.query.question)}
    asked = context.query.question.casefold()
    quoted -= {text.casefold().strip() for _, text in context.text_comparisons}
    for number, hop in context.query.numbered():
        if hop.value is None or isinstance(hop.value, bool):
            continue
        value = _plain(hop.value)
        if hop.read in (Read.TEXT, Read.NUMBER) and value in quoted:
            return f"it quotes {value!r}, which h{number} is to read"
        spelt = hop.read is Read.COUNT  # or may be
        if not spelt and value not in asked:
            continue
        if found := [words for words in _phrases_with(hop, value) if _contains_words(asked, words)]:
            return f"it says {found[0]!r}, which h{number} is to read"
    return None


def _things_named(context: QueryContext) -> frozenset[str]:
    """Return the words that name things of the photo as well as the author's aids, and do so here."""
    hops = context.query.hops
    named = " ".join([*context.scene.categories, *(f"{hop.category} {hop.arg} {hop.words}" for hop in hops)])
    return _ALSO_THINGS & {form for word in re.findall(r"\w+", named.casefold()) for form in (word, f"{word}s")}


def _settles_count(context: QueryContext, other: Hop, hop: Hop) -> bool:
    if hop.read is not Read.COUNT or other.read is Read.COUNT or other.category != hop.category:
        return False
    return _only(context, other) or (other.rel is Relation.OTHER and hop.to is None)


def _settles_colour(context: QueryContext, other: Hop, hop: Hop, number: int) -> bool:
    if hop.read is not Read.COLOUR or not _only(context, other) or other.referent == hop.referent:
        return False
    colour, noun, _ = parse_phrase(other.category)
    return noun == parse_phrase(hop.category)[1] and (number, colour) in context.text_comparisons


def _only(context: QueryContext, hop: Hop) -> bool:
    """Return whether a hop's phrase claims to be unique in the whole image, as far as is known."""
    alone = hop.rel is Relation.NAMED and hop.to is None and not hop.words
    return alone and len(context.scene.matching(hop.category)) <= 1


def _plain(value: Fraction | str) -> str:
    if isinstance(value, str):
        return value.casefold().strip()
    return str(value.numerator) if value.denominator == 1 else f"{float(value):g}"


def _phrases_with(hop: Hop, value: str) -> Iterator[str]:
    """Yield the phrases that put a reading directly next to its noun."""
    noun = parse_phrase(hop.category)[1]
    if hop.read is Read.COUNT:
        yield f"{value} {noun}"
        if value.isdigit() and int(value) < len(_COUNTED):
            yield f"{_COUNTED[int(value)]} {noun}"
    elif hop.read is Read.NUMBER:
        yield from (f"{value} {noun}", f"{value}% {noun}", f"{value} % {noun}")
        yield from (f"{noun}{link} {value}" for link in ("", " is", " of", " reads", " says"))
    elif hop.read in (Read.COLOUR, Read.TEXT, Read.SHAPE, Read.SIZE):
        yield f"{value} {noun}"


def _contains_words(text: str, words: str) -> bool:
    """Return whether ``words`` occur in ``text`` as separate words; a plural ending may follow, a digit may not."""
    at = text.find(words)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(words) : at + len(words) + 3]
        if not (before.isalnum() or before == ".") and re.match(r"(?!\.?\d)(e?s)?(\W|$)", after):
            return True
        at = text.find(words, at + 1)
    return False


def _contains_reading(hop: Hop, phrase: str) -> bool:
    """Return whether a phrase for the hop's target contains the hop's reading."""
    colour, _, quoted = parse_phrase(hop.category)
    if hop.read in (Read.TEXT, Read.NUMBER):
        return quoted is not None or f'"{hop.value}"'.casefold() in phrase
    if hop.read is Read.COLOUR:
        return colour is not None or (isinstance(hop.value, str) and hop.value in phrase.split())
    if hop.read is Read.PARTS and isinstance(hop.value, Fraction):
        said = {_plain(hop.value), *([_COUNTED[int(hop.value)]] if 0 < hop.value < len(_COUNTED) else [])}
        return not said.isdisjoint(re.findall(r"\w+", phrase))
    return False
