"""For the program author: writes the text of a question from its hops.

One sentence per hop, with phrases that fit only one instance. Every hop of the program author starts from the instance
found last, which the text calls "it". What a hop reads gets a letter, and the last sentence asks for the arithmetic
over the letters.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from hopchain_etl.hops.instance import Instance, parse_phrase
from hopchain_etl.hops.nouns import plural
from hopchain_etl.hops.query import Hop, Read, Relation

_SIDE = {
    Relation.LEFT_OF: "to the left of",
    Relation.RIGHT_OF: "to the right of",
    Relation.ABOVE: "above",
    Relation.BELOW: "below",
}
_WHERE = {
    Relation.LEFT_OF: "further left in the picture than {}",
    Relation.RIGHT_OF: "further right in the picture than {}",
    Relation.ABOVE: "higher up in the picture than {}",
    Relation.BELOW: "lower down in the picture than {}",
    Relation.IN: "in {} or a part of it",
    Relation.ON: "on {}",
}
_OUTERMOST = {
    Relation.LEFT_OF: "the leftmost {}",
    Relation.RIGHT_OF: "the rightmost {}",
    Relation.ABOVE: "the topmost {}",
    Relation.BELOW: "the {} lowest down in the picture",  # "the lowest person" might be the shortest
}
_START = ("Find {it}", "Start at {it}", "Begin with {it}", "Look for {it}")
_MOVE = ("Go to {it}", "Find {it}", "Then find {it}", "Next, go to {it}")
_LETTERS = (("A", "B", "C", "D", "E", "F"), ("P", "Q", "R", "S", "T", "U"), ("X", "Y", "Z", "V", "W", "U"))


@dataclass(frozen=True)
class Condition:
    """A choice of a number: ``then`` if the reading is ``asked`` (a number: is greater), else ``otherwise``."""

    asked: str
    then: int
    otherwise: int
    met: bool


@dataclass(frozen=True)
class HopLine:
    """A hop with the instance that it is about, and an optional condition on its reading."""

    hop: Hop
    about: Instance | None
    condition: Condition | None = None

    @property
    def is_term(self) -> bool:
        """Whether the reading is a number of the arithmetic; a colour without a condition only leads further."""
        return self.hop.read is not None and (self.hop.read is not Read.COLOUR or self.condition is not None)


def render(lines: Sequence[HopLine], signs: Sequence[str], rng: random.Random) -> str:
    """Return the question text for ``lines``, whose readings are combined from left to right by ``signs``.

    A sentence has one look: what is found, and after a colon what is read there.
    """
    letters = iter(rng.choice(_LETTERS))
    sentences: list[str] = []
    names: list[str] = []
    bare = False  # whether the last sentence only finds a thing
    here = "it"
    for place, line in enumerate(lines):
        moves = bool(line.hop.referent) and not (line.hop.rel is Relation.NAMED and line.hop.to)
        if moves:
            sentences.append(rng.choice(_MOVE if place else _START).format(it=_noun_phrase(line.hop, rng)))
            bare, here = True, f"this {_name(parse_phrase(line.hop.category)[1])}"
        if line.is_term:
            names.append(next(letters))
            whole = line.hop.read is Read.COUNT and line.hop.to is None
            if bare and not whole:
                sentences[-1] += f": {_reading(line, names[-1], 'it')}"
            else:
                clause = _reading(line, names[-1], here)
                sentences.append(clause[0].upper() + clause[1:])
            bare = False
    return " ".join([*(f"{one}." for one in sentences), f"What is {_formula(names, signs)}?"])


def _noun_phrase(hop: Hop, rng: random.Random) -> str:
    """Return the noun phrase ("the ...") for a hop's target, relative to "it", the instance found last."""
    colour, noun, reading = parse_phrase(hop.category)
    name = _name(noun)
    if reading is not None:
        return f'the {name} "{reading}"' if noun != "text" else f'the text "{reading}"'
    thing = f"{colour} {name}" if colour else name
    if hop.rel in _SIDE and hop.to is None:
        return _OUTERMOST[hop.rel].format(thing)
    if hop.rel in _SIDE:
        return f"the {thing} directly {_SIDE[hop.rel]} it"
    phrases = {
        Relation.NAMED: (f"the only {thing}", f"the {thing} in the picture"),
        Relation.NEAREST: (f"the {thing} nearest to it", f"the {thing} closest to it"),
        Relation.INSIDE: (f"the {thing} printed on it",),
        Relation.IN: (f"the {thing} that is in it or a part of it",),
        Relation.ON: (f"the {thing} on it",),
        Relation.OTHER: (f"the other {thing}",),
        Relation.MATCHING: (f"the {thing} of the same colour", f"the {thing} that has the same colour"),
        Relation.NEAREST_VALUE: ("the other number whose value comes closest to it",),
        Relation.LARGEST: (f"the {thing} in the tallest letters" if noun == "text" else f"the largest {thing}",),
        Relation.TALLEST: (f"the tallest {thing}",),
        Relation.WIDEST: (f"the widest {thing}",),
        Relation.SMALLEST: (f"the {thing} in the shortest letters" if noun == "text" else f"the smallest {thing}",),
    }
    return rng.choice(phrases[hop.rel])


def _name(noun: str) -> str:
    return "line of text" if noun == "text" else noun


def _reading(line: HopLine, letter: str, here: str) -> str:
    """Return the clause that gives what a hop reads a letter; ``here`` is what to call the thing found last."""
    if line.hop.read is Read.COUNT:
        return f"let {letter} be how many {_counted(line.hop, here)}"
    if line.condition is not None:
        asked = line.condition
        return f"if {_test(line, asked, here)}, {letter} is {asked.then}, otherwise {asked.otherwise}"
    if line.hop.category == "number":
        return f"call it {letter}"
    return f"let {letter} be {_number(line) if line.hop.read is Read.NUMBER else _letters(line)}"


def _counted(hop: Hop, here: str) -> str:
    many = "lines of text" if hop.category == "text" else plural(hop.category)
    return f"{many} are {_WHERE[hop.rel].format(here) if hop.to else 'in the picture'}"


def _number(line: HopLine) -> str:
    """Return what to call the number that a hop reads: a number, or the value of a part of a chart."""
    if line.hop.category == "number" or line.about is None:
        return "this number"
    return "its printed value"


def _letters(line: HopLine) -> str:
    """Return what to call the letters that a hop counts: those of a word, or of what a legend says of a colour."""
    return "its number of letters" if line.hop.category == "word" else "the number of letters of the word beside it"


def _test(line: HopLine, asked: Condition, here: str) -> str:
    if line.hop.read is Read.NUMBER:
        return f"{_number(line)} is greater than {asked.asked}"
    if line.hop.read is Read.TEXT:
        word = "it" if line.hop.category == "word" else "the word beside it"
        return f"{word} has more than {asked.asked} letters"
    return f"{here} is mainly {asked.asked}"


def _formula(names: Sequence[str], signs: Sequence[str]) -> str:
    text, last = names[0], "*"
    for name, sign in zip(names[1:], signs, strict=True):
        left = f"({text})" if sign == "*" and last in "+-" else text
        text = f"{left} {sign.replace('*', '×').replace('-', '−')} {name}"
        last = sign
    return text
