"""How a person goes from thing to thing and takes readings."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from .arithmetic import compares
from .geometry import FAIR, QUARTER, TOUCH, between, holds, rests_on, shared_rows, side_view
from .things import (
    CannotReadError,
    ReadInstance,
    UnclearError,
    apart,
    foremost,
    is_called,
    is_coloured,
    is_number,
    label,
    lies_further,
    one,
)
from .words import (
    BIG,
    COLOUR,
    CONST,
    HELD,
    IN_PICTURE,
    IT,
    NOUN,
    OUTERMOST,
    SHORT,
    SIDE,
    SIDE_OF,
    SMALL,
    TALL,
    THING,
    WIDE,
    either,
)


@dataclass
class Walk:
    """What a person holds in mind while following a question: the thing found last, and the readings noted so far."""

    things: list[ReadInstance]
    quotes: list[str]
    it: ReadInstance | None = None
    just_found: bool = False
    noted: dict[str, Fraction] = field(default_factory=dict)
    result: Fraction | None = None

    # -- going from thing to thing ------------------------------------------------------------------------------

    def here(self) -> ReadInstance:
        if self.it is None:
            raise UnclearError("'it' stands for nothing yet")
        return self.it

    def called(self, noun: str, colour: str | None = None) -> list[ReadInstance]:
        found = [t for t in self.things if is_called(noun, t)]
        return [t for t in found if is_coloured(t, colour)] if colour else found

    def others(self, noun: str, colour: str | None = None) -> list[ReadInstance]:
        return [t for t in self.called(noun, colour) if t is not self.here()]

    def quoted(self, m: re.Match[str]) -> ReadInstance:
        said = self.quotes[int(m["quote"])]
        found = [t for t in self.things if t.text == said and is_called(m["noun"], t)]
        return one(found, said)

    def plain(self, m: re.Match[str]) -> ReadInstance:
        return one(self.called(m["noun"], m["colour"]), m[0])

    def sized(self, m: re.Match[str]) -> ReadInstance:
        def size(thing: ReadInstance) -> float:
            if m["size"].lower() in TALL | SHORT | WIDE:
                along = 0 if m["size"].lower() in WIDE else 1
                length = max(thing.box[along + 2] - thing.box[along], 1e-9)
                return length if m["size"].lower() in SHORT else 1 / length
            return 1 / max(thing.area, 1e-9) if m["size"].lower() in BIG else thing.area

        return foremost(self.called(m["noun"], m["colour"]), size, m[0])

    def outermost(self, m: re.Match[str]) -> ReadInstance:
        """The one that lies furthest to that side, by its outer edge and by its middle; unclear where they disagree."""
        side = OUTERMOST[m["most"].lower()]
        if m["most"].lower() in {"lowest", "highest"} and m["noun"].lower() == "number":
            raise UnclearError(f"{m[0]!r} may be said of the value or of the place")
        ranked = sorted(self.called(m["noun"], m["colour"]), key=lambda t: side_view(t.box, side)[0])
        if not ranked:
            raise UnclearError(f"nothing fits {m[0]!r}")
        first = side_view(ranked[0].box, side)
        for other in ranked[1:]:
            box = side_view(other.box, side)
            ahead = (box[0] + box[2] - first[0] - first[2]) / 2
            if ahead <= 0.2 * min(box[2] - box[0], first[2] - first[0]):
                raise UnclearError(f"{m[0]!r} may be {label(ranked[0])} or {label(other)}")
        return ranked[0]

    def lettered(self, m: re.Match[str]) -> ReadInstance:
        found = self.called(m["noun"])
        big = m["size"].lower() in BIG | TALL
        return foremost(found, lambda t: (t.box[3] - t.box[1]) ** (-1 if big else 1), m[0])

    def beside(self, m: re.Match[str]) -> ReadInstance:
        """The next one on that side that shares rows with it, seen with ``side`` turned to the left.

        Unclear where it hangs over by much, where anything stands in between, or where another of its kind is nearer.
        """
        side = SIDE_OF[m["side"].lower()]
        it = side_view(self.here().box, side)
        clear: list[ReadInstance] = []
        arguable: list[ReadInstance] = []
        for thing in self.others(m["noun"]):
            box = side_view(thing.box, side)
            if box[0] + box[2] < it[0] + it[2] and shared_rows(box, it) > TOUCH:
                fully = box[2] <= it[0] + QUARTER * min(box[2] - box[0], it[2] - it[0]) and shared_rows(box, it) >= FAIR
                (clear if fully else arguable).append(thing)

        def away(thing: ReadInstance) -> float:
            return max(1.0, it[0] - side_view(thing.box, side)[2])

        found = foremost(clear, away, m[0])
        if any(away(t) <= away(found) for t in arguable):
            raise UnclearError(f"{m[0]!r} may be {label(found)} or another")
        for thing in self.things:
            if thing not in (found, self.here()) and self.jumped(thing, found, side):
                raise UnclearError(f"{label(thing)} stands between it and {m[0]!r}")
        return found

    def jumped(self, thing: ReadInstance, found: ReadInstance, side: str) -> bool:
        """Whether a thing stands between the one at hand and the one found on that side of it."""
        here = self.here()
        if any(holds(a.box, b.box) for one in (here, found) for a, b in ((one, thing), (thing, one))):
            return False  # a part of it, or what it is on
        it, to, box = (side_view(t.box, side) for t in (here, found, thing))
        between_them = to[0] + to[2] < box[0] + box[2] < it[0] + it[2]
        in_the_way = min(shared_rows(box, it), shared_rows(box, to)) > FAIR
        return between_them and in_the_way and box[2] - box[0] > 0.1 * (to[2] - to[0])

    def nearest(self, m: re.Match[str]) -> ReadInstance:
        """The nearest one, whether a person goes by edges or by middles; unclear where the two disagree."""
        it = self.here()

        def middles(thing: ReadInstance) -> float:
            return between(thing.box, it.box)

        def edges(thing: ReadInstance) -> float:
            return apart(thing, it)

        others = self.others(m["noun"], m["colour"])
        found = foremost(others, lambda t: edges(t) + middles(t), m[0])
        for distance in (edges, middles):
            if any(distance(t) < distance(found) for t in others):
                raise UnclearError(f"{m[0]!r} may be {label(found)} or another")
        return found

    def printed(self, m: re.Match[str]) -> ReadInstance:
        """The text that stands wholly within it; unclear where that may be printed on a smaller thing as well."""
        it = self.here()
        within = [t for t in self.called(m["noun"]) if t is not it and holds(it.box, t.box)]
        found = one(within, m[0])
        for thing in self.things:
            if thing.text is None and thing is not it and holds(it.box, thing.box) and holds(thing.box, found.box):
                raise UnclearError(f"{m[0]!r} may be on {label(thing)}")
        return found

    def held(self, m: re.Match[str]) -> ReadInstance:
        return one(self.all_held(m), m[0])

    def all_held(self, m: re.Match[str]) -> list[ReadInstance]:
        """What is in or on the thing at hand, as far as boxes tell; unclear where something reaches out of it."""
        it, found = self.here(), []
        for thing in self.others(m["noun"], m["colour"]):
            if holds(it.box, thing.box) or (m["held"].lower().startswith("on") and rests_on(thing.box, it.box)):
                found.append(thing)
            elif apart(thing, it) == 0:
                raise UnclearError(f"{label(thing)} is only partly {m['held']}")
        return found

    def other(self, m: re.Match[str]) -> ReadInstance:
        if not is_called(m["noun"], self.here()) or (m["colour"] and not is_coloured(self.here(), m["colour"])):
            raise UnclearError(f"{m[0]!r}: the thing at hand is none itself")
        return one(self.others(m["noun"], m["colour"]), m[0])

    def alike(self, m: re.Match[str]) -> ReadInstance:
        """The only one of the colour that the thing at hand has."""
        colour = self.here().colour
        if colour is None:
            raise UnclearError(f"{label(self.here())} has no one colour")
        return one([t for t in self.others(m["noun"]) if is_coloured(t, colour)], m[0])

    def closest_value(self, m: re.Match[str]) -> ReadInstance:
        value = self.value()
        ranked = sorted((abs(Fraction(t.text or 0) - value), n) for n, t in enumerate(self.others("number")))
        if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
            raise UnclearError("no single number comes closest in value")
        return self.others("number")[ranked[0][1]]

    def find(self, phrase: str) -> None:
        for pattern, meaning in REFERENCES:
            if m := re.fullmatch(pattern, phrase, re.I):
                self.it, self.just_found = meaning(self, m), True
                return
        raise CannotReadError(f"no idea what this is: {phrase!r}")

    # -- taking readings ----------------------------------------------------------------------------------------

    def spoken_of(self, noun: str | None) -> ReadInstance:
        """What "this number" or "this word" points at: unclear when something else was spoken of in between."""
        thing = self.here()
        if not self.just_found or (noun and not is_called(noun, thing)):
            raise UnclearError(f"this {noun or 'thing'} may be something else")
        return thing

    def value(self) -> Fraction:
        thing = self.here()
        if not is_number(thing):
            raise UnclearError(f"{label(thing)} is no number")
        return Fraction(thing.text or 0)

    def letters(self) -> Fraction:
        text = self.here().text
        if text is None:
            raise UnclearError("there are no letters on it")
        return Fraction(sum(c.isalpha() for c in text))

    def holds(self, condition: str) -> bool:
        """Whether the condition is true of the thing at hand."""
        if m := re.fullmatch(rf"{IT} (?:is|looks) (?P<not>not )?(?:mainly|mostly) {COLOUR}", condition, re.I):
            return is_coloured(self.here(), m["colour"]) != bool(m["not"])
        number = rf"(?:this number|that number|it|its value) is (?P<than>[a-z]+) than (?P<const>{CONST})"
        printed = rf"(?:the value printed (?:at|in) it|its printed value) is (?P<than>[a-z]+) than (?P<const>{CONST})"
        letters = rf"(?:this word|that word|it) has (?P<than>[a-z]+) than (?P<const>{CONST}) letters"
        if m := re.fullmatch(
            rf"the word beside it has (?P<than>[a-z]+) than (?P<const>{CONST}) letters", condition, re.I
        ):
            return compares(self.letters(), m["than"], Fraction(m["const"]))
        if m := re.fullmatch(number, condition, re.I):
            self.spoken_of("number")
            return compares(self.value(), m["than"], Fraction(m["const"]))
        if m := re.fullmatch(printed, condition, re.I):
            return compares(self.value(), m["than"], Fraction(m["const"]))
        if m := re.fullmatch(letters, condition, re.I):
            self.spoken_of("word")
            return compares(self.letters(), m["than"], Fraction(m["const"]))
        raise CannotReadError(f"no such condition: {condition!r}")

    def count(self, phrase: str) -> Fraction:
        """How many there are, for "dogs further left in the picture than it" and the like."""
        phrase = re.sub(r"^(?:all )?(?:of )?(?:the )?|\b(?:there )?(?:are|is) ", "", phrase, flags=re.I)
        if m := re.fullmatch(rf"{THING}(?: there are)?{IN_PICTURE}", phrase, re.I):
            return Fraction(len(self.called(m["noun"], m["colour"])))
        if m := re.fullmatch(rf"{THING} (?:that lie |lying )?{SIDE}{IN_PICTURE}? than {IT}", phrase, re.I):
            side = SIDE_OF[m["side"].lower()]
            return Fraction(sum(lies_further(t, self.here(), side) for t in self.others(m["noun"], m["colour"])))
        if m := re.fullmatch(rf"{THING} (?:that )?{HELD}", phrase, re.I):
            return Fraction(len(self.all_held(m)))
        raise CannotReadError(f"count what? {phrase!r}")

    def read(self, phrase: str) -> Fraction:
        """The number that a phrase stands for."""
        if re.fullmatch(CONST, phrase):
            return Fraction(phrase)
        if re.fullmatch(r"(?:this|that|the) number|(?:its|the) value(?: of (?:this|that) number)?|it", phrase, re.I):
            self.spoken_of("number")
            return self.value()
        if re.fullmatch(r"the value (?:that is )?printed (?:at|in) it|its printed value", phrase, re.I):
            return self.value()
        if re.fullmatch(
            r"(?:the number of|count the) letters of the word beside it|how many letters the word beside it has",
            phrase,
            re.I,
        ):
            return self.letters()
        word = r"(?:this|that|the) word"
        if re.fullmatch(
            rf"(?:the number of |count )?(?:all )?(?:its|the) letters(?: (?:in|of) (?:{word}|it))?"
            rf"|the number of letters (?:in|of) (?:{word}|it)|its number of letters"
            rf"|how many letters (?:(?:{word}|it) has|there are in (?:{word}|it))",
            phrase, re.I,
        ):  # fmt: skip
            self.spoken_of("word")
            return self.letters()
        if m := re.fullmatch(r"(?:how many|the number of|count) (.+)", phrase, re.I):
            return self.count(m[1])
        if m := re.fullmatch(rf"({CONST}) if (.+?),? and ({CONST}) (?:if not|otherwise|if it is not|if it does not)|"
                             rf"({CONST}) if (.+?),? (?:otherwise|else) ({CONST})", phrase, re.I):  # fmt: skip
            yes, condition, no = [g for g in m.groups() if g]
            return Fraction(yes if self.holds(condition) else no)
        raise CannotReadError(f"no idea what number this is: {phrase!r}")

    def note(self, name: str, value: Fraction) -> None:
        if name in self.noted:
            raise UnclearError(f"{name} is used twice")
        self.noted[name] = value


REFERENCES: list[tuple[str, Callable[[Walk, re.Match[str]], ReadInstance]]] = [
    (rf"(?:the )?{NOUN}(?: that reads| reading)? #(?P<quote>\d+)#{IN_PICTURE}?", Walk.quoted),
    (rf"the (?:only |single )?(?:{COLOUR} )?{NOUN}{IN_PICTURE}", Walk.plain),
    (rf"the only (?:{COLOUR} )?{NOUN}", Walk.plain),
    (rf"the {COLOUR} {NOUN}", Walk.plain),
    (rf"the (?P<size>{either(BIG | SMALL | TALL | SHORT | WIDE)}) {THING}{IN_PICTURE}?", Walk.sized),
    (rf"the (?P<most>{either(OUTERMOST)}) {THING}{IN_PICTURE}?", Walk.outermost),
    (rf"the {THING} (?:that is |which is )?(?P<most>{either(OUTERMOST)}){IN_PICTURE}?", Walk.outermost),
    (rf"the {NOUN} (?:in|with|written in) the (?P<size>{either(BIG | SMALL | TALL | SHORT)}) letters{IN_PICTURE}?",
     Walk.lettered),
    (rf"the other number (?:whose value (?:comes|is)|with the value) (?:closest|nearest) to (?:{IT}|its own)",
     Walk.closest_value),
    (rf"the {NOUN} (?:of|that has) the same colour", Walk.alike),
    (rf"the other {THING}{IN_PICTURE}?", Walk.other),
    (rf"the {NOUN} (?:printed|written) on {IT}", Walk.printed),
    (rf"the {THING} (?:that is )?{HELD}", Walk.held),
    (rf"the {NOUN} (?:that is |which is |lying )?(?:directly |immediately |just )?{SIDE} {IT}", Walk.beside),
    (rf"the next {NOUN} {SIDE} {IT}", Walk.beside),
    (rf"the {THING} (?:that is |which is |lying )?(?:nearest|closest) to {IT}", Walk.nearest),
    (rf"the (?:nearest|closest) {THING} to {IT}", Walk.nearest),
]  # fmt: skip
