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
    Relation.LEFT_OF: "further left in the picture than it",
    Relation.RIGHT_OF: "further right in the picture than it",
    Relation.ABOVE: "higher up in the picture than it",
    Relation.BELOW: "lower down in the picture than it",
    Relation.IN: "in it or a part of it",
    Relation.ON: "on it",
}
_OUTERMOST = {
    Relation.LEFT_OF: ("the leftmost {}", "the {} furthest to the left in the picture"),
    Relation.RIGHT_OF: ("the rightmost {}", "the {} furthest to the right in the picture"),
    Relation.ABOVE: ("the topmost {}", "the {} highest up in the picture"),
    Relation.BELOW: ("the {} lowest down in the picture",),  # "the lowest person" might be the shortest
}
_START = ("Start at {it}.", "Find {it}.", "Begin with {it}.", "Look for {it}.")
_MOVE = ("Go on to {it}.", "Next, find {it}.", "From there, go to {it}.", "Then look at {it}.")
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
    """Return the question text for ``lines``, whose readings are combined from left to right by ``signs``."""
    letters = iter(rng.choice(_LETTERS))
    sentences: list[str] = []
    names: list[str] = []
    for place, line in enumerate(lines):
        if line.hop.referent and not (line.hop.rel is Relation.NAMED and line.hop.to):
            sentences.append(rng.choice(_MOVE if place else _START).format(it=_noun_phrase(line.hop, rng)))
        if line.is_term:
            names.append(next(letters))
            sentences.append(_reading(line, names[-1], rng))
    sentences.append(_final(names, signs, rng))
    return " ".join(sentences)


def _noun_phrase(hop: Hop, rng: random.Random) -> str:
    """Return the noun phrase ("the ...") for a hop's target, relative to "it", the instance found last."""
    colour, noun, reading = parse_phrase(hop.category)
    name = _name(noun)
    if reading is not None:
        return f'the {name} "{reading}"' if noun != "text" else f'the text "{reading}"'
    thing = f"{colour} {name}" if colour else name
    if hop.rel in _SIDE and hop.to is None:
        return rng.choice(_OUTERMOST[hop.rel]).format(thing)
    if hop.rel in _SIDE:
        return f"the {thing} directly {_SIDE[hop.rel]} it"
    phrases = {
        Relation.NAMED: (f"the only {thing} in the picture", f"the {thing} in the picture"),
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


def _reading(line: HopLine, letter: str, rng: random.Random) -> str:
    hop = line.hop
    if hop.read is Read.COUNT:
        return _count(hop, letter, rng)
    if line.condition is not None:
        return _condition(line, line.condition, letter, rng)
    if hop.read is Read.NUMBER and hop.category != "number":
        value = _value(line)
        return rng.choice((f"Let {letter} be {value}.", f"Note down {value} as {letter}."))
    if hop.read is Read.NUMBER:
        return rng.choice(
            (f"Call this number {letter}.", f"Let {letter} be this number.", f"Note it down as {letter}.")
        )
    if hop.category != "word":
        return rng.choice(
            (
                f"Count the letters of {_word(line)}; that is {letter}.",
                f"Let {letter} be how many letters {_word(line)} has.",
            )
        )
    return rng.choice(
        (
            f"Count the letters of this word; that is {letter}.",
            f"Let {letter} be the number of letters in this word.",
            f"Call the number of its letters {letter}.",
        )
    )


def _value(line: HopLine) -> str:
    """Return what to call the number that a hop reads: a number, or the value of a part of a chart."""
    if line.hop.category == "number" or line.about is None:
        return "this number"
    return f"the value printed {'in' if line.about.category == 'cell' else 'at'} it"


def _word(line: HopLine) -> str:
    """Return what to call the word that a hop reads: a word, or what a legend says of a colour."""
    return "this word" if line.hop.category == "word" else "the word beside it"


def _count(hop: Hop, letter: str, rng: random.Random) -> str:
    many = "lines of text" if hop.category == "text" else plural(hop.category)
    if hop.to is None:
        return rng.choice(
            (
                f"Count all the {many} in the picture; that is {letter}.",
                f"Let {letter} be how many {many} there are in the whole picture.",
            )
        )
    where = _WHERE[hop.rel]
    lie = "that are " if hop.rel is Relation.IN else ""
    return rng.choice(
        (f"Count the {many} {lie}{where}; that is {letter}.", f"Let {letter} be how many {many} are {where}.")
    )


def _condition(line: HopLine, asked: Condition, letter: str, rng: random.Random) -> str:
    test = {
        Read.COLOUR: f"it is mainly {asked.asked}",
        Read.NUMBER: f"{_value(line)} is greater than {asked.asked}",
        Read.TEXT: f"{_word(line)} has more than {asked.asked} letters",
    }[line.hop.read or Read.COLOUR]
    return rng.choice(
        (
            f"If {test}, {letter} is {asked.then}; otherwise {letter} is {asked.otherwise}.",
            f"Let {letter} be {asked.then} if {test}, and {asked.otherwise} if not.",
        )
    )


def _final(names: Sequence[str], signs: Sequence[str], rng: random.Random) -> str:
    if not signs or rng.random() < 0.5:
        return f"What is {_formula(names, signs)}?"
    words = {"+": "add {}", "-": "subtract {}", "*": "multiply the result by {}"}
    steps = [words[sign].format(name) for name, sign in zip(names[1:], signs, strict=True)]
    steps[0] = steps[0].replace("the result", "it")
    listed = steps[0] if len(steps) == 1 else f"{', '.join(steps[:-1])} and then {steps[-1]}"
    return f"Take {names[0]}{' and ' if len(steps) == 1 else ', '}{listed}. What number do you get?"


def _formula(names: Sequence[str], signs: Sequence[str]) -> str:
    text, last = names[0], "*"
    for name, sign in zip(names[1:], signs, strict=True):
        left = f"({text})" if sign == "*" and last in "+-" else text
        text = f"{left} {sign.replace('*', '×').replace('-', '−')} {name}"
        last = sign
    return text
