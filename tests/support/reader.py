"""A second opinion: reads a multi-hop question as a careful person would and answers it from a list of what is seen.

It shares nothing with the code that writes the questions: it starts from the English sentences alone, and it refuses
where a person would have to ask back. Uncertain instances do not exist for it, as no person knows of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction

Box = tuple[float, float, float, float]


class CannotReadError(ValueError):
    """The sentence makes no sense to this reader."""


class UnclearError(ValueError):
    """The sentence is understood, but what it speaks of fits nothing in the picture, or several things."""


@dataclass(frozen=True)
class ReadInstance:
    """One thing seen: box x1 y1 x2 y2 and area in px; ``colours`` holds all that anyone might see on it."""

    category: str
    box: Box
    area: float
    text: str | None = None
    colour: str | None = None
    colours: frozenset[str] = frozenset()
    certain: bool = True


# What people can tell apart at a glance. Sizes that differ by less than a tenth look alike, and so do distances.
NOTICEABLE = 0.9
# Two things share a row (column) if a fair part of the smaller lies beside the other; a mere touch is arguable.
TOUCH, FAIR = 0.05, 0.35

COLOURS = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey", "gray"]
PLURALS = {"people": "person", "persons": "person", "mice": "mouse", "knives": "knife", "skis": "skis", "men": "man"}
SIDES = {
    "left": ("left", "to the left of", "left of", "on the left of", "further left", "farther left", "more to the left"),
    "right": ("right", "to the right of", "right of", "on the right of", "further right", "farther right",
              "more to the right"),
    "above": ("above", "over", "higher up", "higher", "further up", "farther up", "nearer the top"),
    "below": ("below", "under", "beneath", "lower down", "lower", "further down", "farther down", "nearer the bottom"),
}  # fmt: skip
SIDE_OF = {phrase: side for side, phrases in SIDES.items() for phrase in phrases}
OUTERMOST = {
    "leftmost": "left", "furthest to the left": "left", "farthest to the left": "left", "furthest left": "left",
    "rightmost": "right", "furthest to the right": "right", "farthest to the right": "right", "furthest right": "right",
    "topmost": "above", "uppermost": "above", "highest": "above", "highest up": "above", "furthest up": "above",
    "bottommost": "below", "lowest": "below", "lowest down": "below", "furthest down": "below",
}  # fmt: skip
BIG, SMALL = {"largest", "biggest", "tallest"}, {"smallest", "littlest", "shortest"}


def either(words: Iterable[str]) -> str:
    """A pattern that fits any of the words, longest first."""
    return "(?:" + "|".join(sorted(words, key=len, reverse=True)) + ")"


# Patterns for parts of sentences. Names of readings are single capital letters even where case is ignored elsewhere.
NAME = r"(?-i:[A-Z])"
CONST = r"-?\d+(?:\.\d+)?"
NOUN = r"(?P<noun>lines? of text|[a-z]+(?: [a-z]+)??)"
SIDE = f"(?P<side>{either(SIDE_OF)})"
COLOUR = f"(?P<colour>{either(COLOURS)})"
IN_PICTURE = r"(?: in the (?:whole |entire )?(?:picture|image|photo|scene))"
IT = r"(?:it|this one|that one|(?:this|that) [a-z]+)"


def side_view(box: Box, side: str) -> Box:
    """The box turned so that ``side`` becomes left: every relation below is worked out for the left only."""
    x1, y1, x2, y2 = box
    return {
        "left": (x1, y1, x2, y2),
        "right": (-x2, y1, -x1, y2),
        "above": (y1, x1, y2, x2),
        "below": (-y2, x1, -y1, x2),
    }[side]


def shared_rows(a: Box, b: Box) -> float:
    """How much of the lower box's height lies beside the other, 0 to 1."""
    return max(0.0, min(a[3], b[3]) - max(a[1], b[1])) / max(1e-9, min(a[3] - a[1], b[3] - b[1]))


def gap(a: Box, b: Box) -> float:
    """The distance from edge to edge, 0 where the boxes meet."""
    dx, dy = (max(0.0, a[k] - b[k + 2], b[k] - a[k + 2]) for k in (0, 1))
    return float((dx * dx + dy * dy) ** 0.5)


def holds(outer: Box, inner: Box) -> bool:
    """Whether a box lies wholly within another, but for the width of a pen."""
    return all(o - 3 <= i for o, i in zip(outer[:2], inner[:2], strict=True)) and all(
        i <= o + 3 for o, i in zip(outer[2:], inner[2:], strict=True)
    )


def between(a: Box, b: Box) -> float:
    """The distance from middle to middle."""
    dx, dy = ((a[k] + a[k + 2] - b[k] - b[k + 2]) / 2 for k in (0, 1))
    return float((dx * dx + dy * dy) ** 0.5)


def lies_further(thing: ReadInstance, it: ReadInstance, side: str) -> bool:
    """Whether the thing lies further to that side, wherever it is otherwise; unclear where the edges disagree."""
    a, b = side_view(thing.box, side), side_view(it.box, side)
    middle = (b[0] + b[2] - a[0] - a[2]) / 2
    # A "p" that reaches below its line does not make the word lie lower than the number next to it.
    if abs(middle) <= 0.2 * min(a[2] - a[0], b[2] - b[0]):
        return False
    if middle > 0 and not (a[0] < b[0] and a[2] < b[2]):
        raise UnclearError(f"{label(thing)} is only partly {side} of {label(it)}")
    return middle > 0


def label(thing: ReadInstance) -> str:
    return repr(thing.text) if thing.text else f"{thing.category} {thing.box}"


def one(found: list[ReadInstance], what: str) -> ReadInstance:
    """The only one found; UnclearError if there is none or another."""
    if len(found) != 1:
        raise UnclearError(f"{len(found)} things fit {what!r}")
    return found[0]


def foremost(found: list[ReadInstance], amount: Callable[[ReadInstance], float], what: str) -> ReadInstance:
    """The one with the least amount; UnclearError if there is none or the next one is hardly different."""
    ranked = sorted(found, key=amount)
    if not ranked or (len(ranked) > 1 and amount(ranked[0]) > NOTICEABLE * amount(ranked[1])):
        raise UnclearError(f"nothing stands out as {what!r}")
    return ranked[0]


def is_word(thing: ReadInstance) -> bool:
    return thing.text is not None and thing.text.isalpha() and len(thing.text) >= 3


def is_number(thing: ReadInstance) -> bool:
    return thing.text is not None and re.fullmatch(r"[0-9]+(\.[0-9]+)?", thing.text) is not None


def is_called(noun: str, thing: ReadInstance) -> bool:
    """Whether a person calls the thing by this noun, singular or plural."""
    noun = noun.lower()
    if noun in {"word", "words"}:
        return is_word(thing)
    if noun in {"number", "numbers"}:
        return is_number(thing)
    if noun in {"text", "texts", "line of text", "lines of text"}:
        return thing.text is not None
    names = {noun, PLURALS.get(noun, noun), re.sub("s$", "", noun), re.sub("es$", "", noun), re.sub("ies$", "y", noun)}
    return thing.text is None and thing.category in names


def is_coloured(thing: ReadInstance, colour: str) -> bool:
    """Whether the thing is mainly of this colour; unclear where no colour prevails and some would call it so."""
    colour = colour.lower().replace("gray", "grey")
    if thing.colour is None and colour in thing.colours:
        raise UnclearError(f"{label(thing)} may or may not be called {colour}")
    return thing.colour == colour


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

    def others(self, noun: str) -> list[ReadInstance]:
        return [t for t in self.called(noun) if t is not self.here()]

    def quoted(self, m: re.Match[str]) -> ReadInstance:
        said = self.quotes[int(m["quote"])]
        found = [t for t in self.things if t.text == said and is_called(m["noun"], t)]
        return one(found, said)

    def plain(self, m: re.Match[str]) -> ReadInstance:
        return one(self.called(m["noun"], m["colour"]), m[0])

    def sized(self, m: re.Match[str]) -> ReadInstance:
        found = self.called(m["noun"])
        big = m["size"].lower() in BIG
        return foremost(found, lambda t: 1 / max(t.area, 1e-9) if big else t.area, m[0])

    def outermost(self, m: re.Match[str]) -> ReadInstance:
        """The one that lies furthest to that side, by its outer edge and by its middle; unclear where they disagree."""
        side = OUTERMOST[m["most"].lower()]
        if m["most"].lower() in {"lowest", "highest"} and m["noun"].lower() == "number":
            raise UnclearError(f"{m[0]!r} may be said of the value or of the place")
        ranked = sorted(self.called(m["noun"]), key=lambda t: side_view(t.box, side)[0])
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
        big = m["size"].lower() in BIG
        return foremost(found, lambda t: (t.box[3] - t.box[1]) ** (-1 if big else 1), m[0])

    def beside(self, m: re.Match[str]) -> ReadInstance:
        """The next one on that side that shares rows with it, seen with ``side`` turned to the left."""
        side = SIDE_OF[m["side"].lower()]
        it = side_view(self.here().box, side)
        clear: list[ReadInstance] = []
        arguable: list[ReadInstance] = []
        for thing in self.others(m["noun"]):
            box = side_view(thing.box, side)
            if box[0] + box[2] < it[0] + it[2] and shared_rows(box, it) > TOUCH:
                fully = box[2] <= it[0] + 0.1 * min(box[2] - box[0], it[2] - it[0]) and shared_rows(box, it) >= FAIR
                (clear if fully else arguable).append(thing)

        def away(thing: ReadInstance) -> float:
            return max(1.0, it[0] - side_view(thing.box, side)[2])

        found = foremost(clear, away, m[0])
        if any(away(t) <= away(found) for t in arguable):
            raise UnclearError(f"{m[0]!r} may be {label(found)} or another")
        return found

    def nearest(self, m: re.Match[str]) -> ReadInstance:
        """The nearest one, whether a person goes by edges or by middles; unclear where the two disagree."""
        it = self.here().box
        found = foremost(self.others(m["noun"]), lambda t: gap(t.box, it) + between(t.box, it), m[0])
        for distance in (gap, between):
            if any(distance(t.box, it) < distance(found.box, it) for t in self.others(m["noun"])):
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

    def other(self, m: re.Match[str]) -> ReadInstance:
        if not is_called(m["noun"], self.here()):
            raise UnclearError(f"{m[0]!r}: the thing at hand is none itself")
        return one(self.others(m["noun"]), m[0])

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
        letters = rf"(?:this word|that word|it) has (?P<than>[a-z]+) than (?P<const>{CONST}) letters"
        if m := re.fullmatch(number, condition, re.I):
            self.spoken_of("number")
            return compares(self.value(), m["than"], Fraction(m["const"]))
        if m := re.fullmatch(letters, condition, re.I):
            self.spoken_of("word")
            return compares(self.letters(), m["than"], Fraction(m["const"]))
        raise CannotReadError(f"no such condition: {condition!r}")

    def count(self, phrase: str) -> Fraction:
        """How many there are, for "dogs further left in the picture than it" and the like."""
        phrase = re.sub(r"^(?:all )?(?:of )?(?:the )?|\b(?:there )?(?:are|is) ", "", phrase, flags=re.I)
        if m := re.fullmatch(rf"{NOUN}(?: there are)?{IN_PICTURE}", phrase, re.I):
            return Fraction(len(self.called(m["noun"])))
        if m := re.fullmatch(rf"{NOUN} (?:that lie |lying )?{SIDE}{IN_PICTURE}? than {IT}", phrase, re.I):
            side = SIDE_OF[m["side"].lower()]
            return Fraction(sum(lies_further(t, self.here(), side) for t in self.others(m["noun"])))
        raise CannotReadError(f"count what? {phrase!r}")

    def read(self, phrase: str) -> Fraction:
        """The number that a phrase stands for."""
        if re.fullmatch(CONST, phrase):
            return Fraction(phrase)
        if re.fullmatch(r"(?:this|that|the) number|(?:its|the) value(?: of (?:this|that) number)?|it", phrase, re.I):
            self.spoken_of("number")
            return self.value()
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

    # -- the last step ------------------------------------------------------------------------------------------

    def operand(self, token: str) -> Fraction:
        if re.fullmatch(CONST, token):
            return Fraction(token)
        if token not in self.noted:
            raise UnclearError(f"nothing was called {token}")
        return self.noted[token]

    def formula(self, text: str) -> Fraction:
        """The value of a formula by school rules: parentheses, then × and ÷, then + and −, from left to right."""
        tokens = re.findall(r"[A-Z]|\d+(?:\.\d+)?|[-+−–×*·÷/()]", text)
        if re.sub(r"\s", "", text) != "".join(tokens) or not tokens:
            raise CannotReadError(f"not a formula: {text!r}")
        tokens.append("end")

        def atom() -> Fraction:
            token = tokens.pop(0)
            if token != "(":
                if not re.fullmatch(r"[A-Z]|\d.*", token):
                    raise CannotReadError(f"{token!r} is out of place in {text!r}")
                return self.operand(token)
            inner = total()
            if tokens.pop(0) != ")":
                raise CannotReadError(f"a parenthesis stays open in {text!r}")
            return inner

        def product() -> Fraction:
            value = atom()
            while tokens[0] in "×*·÷/":
                value = combine(value, "multiply" if tokens.pop(0) in "×*·" else "divide", atom())
            return value

        def total() -> Fraction:
            value = product()
            while tokens[0] in "+-−–":
                value = combine(value, "add" if tokens.pop(0) == "+" else "subtract", product())
            return value

        value = total()
        if tokens != ["end"]:
            raise CannotReadError(f"not a formula: {text!r}")
        return value

    def steps(self, text: str) -> Fraction:
        """The value of "Take A, add B and then multiply the result by C", one step after the other."""
        first, *rest = re.split(r",? and then |,? then |, and |, | and ", text)
        value = self.operand(first)
        result = r"(?:it|the result|this|that|the total|the sum|the difference)"
        for step in rest:
            m = re.fullmatch(rf"(?P<do>add|subtract|take away) (?P<by>{NAME}|{CONST})(?: (?:to|from) {result})?|"
                             rf"(?P<do2>multiply|divide) {result} by (?P<by2>{NAME}|{CONST})", step, re.I)  # fmt: skip
            if not m:
                raise CannotReadError(f"no such step: {step!r}")
            value = combine(value, (m["do"] or m["do2"]).lower(), self.operand(m["by"] or m["by2"]))
        return value


def compares(value: Fraction, how: str, bound: Fraction) -> bool:
    if how in {"greater", "larger", "more", "higher", "bigger"}:
        return value > bound
    if how in {"less", "smaller", "fewer", "lower"}:
        return value < bound
    raise CannotReadError(f"{how} than?")


def combine(value: Fraction, do: str, by: Fraction) -> Fraction:
    if do == "divide" and by == 0:
        raise UnclearError("nothing can be divided by 0")
    return {"add": lambda: value + by, "multiply": lambda: value * by, "divide": lambda: value / by}.get(
        do, lambda: value - by
    )()


REFERENCES: list[tuple[str, Callable[[Walk, re.Match[str]], ReadInstance]]] = [
    (rf"(?:the )?{NOUN}(?: that reads| reading)? #(?P<quote>\d+)#{IN_PICTURE}?", Walk.quoted),
    (rf"the (?:only |single )?(?:{COLOUR} )?{NOUN}{IN_PICTURE}", Walk.plain),
    (rf"the only (?:{COLOUR} )?{NOUN}", Walk.plain),
    (rf"the {COLOUR} {NOUN}", Walk.plain),
    (rf"the (?P<size>{either(BIG | SMALL)}) {NOUN}{IN_PICTURE}?", Walk.sized),
    (rf"the (?P<most>{either(OUTERMOST)}) {NOUN}{IN_PICTURE}?", Walk.outermost),
    (rf"the {NOUN} (?:that is |which is )?(?P<most>{either(OUTERMOST)}){IN_PICTURE}?", Walk.outermost),
    (rf"the {NOUN} (?:in|with|written in) the (?P<size>{either(BIG | SMALL)}) letters{IN_PICTURE}?", Walk.lettered),
    (rf"the other number (?:whose value (?:comes|is)|with the value) (?:closest|nearest) to (?:{IT}|its own)",
     Walk.closest_value),
    (rf"the other {NOUN}{IN_PICTURE}?", Walk.other),
    (rf"the {NOUN} (?:printed|written) on {IT}", Walk.printed),
    (rf"the {NOUN} (?:that is |which is |lying )?(?:directly |immediately |just )?{SIDE} {IT}", Walk.beside),
    (rf"the next {NOUN} {SIDE} {IT}", Walk.beside),
    (rf"the {NOUN} (?:that is |which is |lying )?(?:nearest|closest) to {IT}", Walk.nearest),
    (rf"the (?:nearest|closest) {NOUN} to {IT}", Walk.nearest),
]  # fmt: skip

LINK = r"(?:(?:and then|then|next|now|after that|from there|from here|finally|first|also|and),? )*"
GO = (r"(?:begin (?:with|at)|start (?:with|at|from)|find|look (?:for|at)|go (?:on )?to|move (?:on )?to|locate|"
      r"proceed to|continue (?:to|with)|turn to|consider|pick out)")  # fmt: skip
CALL_IT = rf"(?:that is|call (?:it|this|that)|this is|let (?:this|that) be) (?P<name>{NAME})"

# Ways of giving a number a name: each yields what is read and the name.
NAMINGS = [
    rf"let (?P<name>{NAME}) be (?P<what>.+)",
    rf"(?:call|name) (?P<what>.+?) (?P<name>{NAME})",
    rf"(?:note|write|jot) (?P<what>.+?) down as (?P<name>{NAME})",
    rf"(?:note|write|jot) down (?P<what>.+?) as (?P<name>{NAME})",
    rf"(?:remember|keep|note) (?P<what>.+?) as (?P<name>{NAME})",
    rf"(?P<what>count .+?)(?:;|,| and) {CALL_IT}",
    rf"(?P<name>{NAME}) is (?P<what>.+)",
]
CHOICE = (
    rf"if (?P<if>.+?), (?:let )?(?P<name>{NAME}) (?:is|be) (?P<yes>{CONST})[;,] (?:otherwise|else|if not),? "
    rf"(?:let )?(?:(?P<again>{NAME}) (?:is|be) |it is )?(?P<no>{CONST})"
)
FORMULAS = r"(?:what is|compute|calculate|work out|how much is) (?P<formula>[-A-Z0-9.() +−–×*·÷/]+)"


def read_sentence(walk: Walk, sentence: str) -> None:
    """Follow one sentence: find a thing, note a number, or work out the result."""
    s = re.sub("^" + LINK, "", sentence, flags=re.I)
    if walk.result is not None:
        if not re.fullmatch(r"what (?:number|value|result) do you get|what is the (?:result|outcome|number)", s, re.I):
            raise CannotReadError(f"something comes after the result: {sentence!r}")
        return
    if m := re.fullmatch(rf"(?i:{FORMULAS.replace('A-Z', '@')})".replace("@", "A-Z"), s):
        walk.result = walk.formula(m["formula"])
        return
    if m := re.fullmatch(rf"(?:take|start with|begin with) ({NAME}(?:,? .+)?)", s, re.I):
        walk.result = walk.steps(m[1])
        return
    if m := re.fullmatch(CHOICE, s, re.I):
        if m["again"] not in (None, m["name"]):
            raise CannotReadError(f"two names in {sentence!r}")
        value = Fraction(m["yes"] if walk.holds(m["if"]) else m["no"])
        walk.note(m["name"], value)
        walk.just_found = False
        return
    for naming in NAMINGS:
        if m := re.fullmatch(naming, s, re.I):
            walk.note(m["name"], walk.read(m["what"]))
            walk.just_found = False
            return
    if m := re.fullmatch(rf"{GO} (?P<what>.+)", s, re.I):
        walk.find(m["what"])
        return
    raise CannotReadError(f"this sentence makes no sense: {sentence!r}")


def answer(question: str, instances: list[ReadInstance], width: int, height: int) -> Fraction:
    """The number that a careful person gets for the question, given what is seen in a picture of width × height px.

    Raises CannotReadError for a sentence that is not understood, UnclearError for one that fits none or several things.
    """
    quotes: list[str] = []

    def hide(m: re.Match[str]) -> str:
        quotes.append(m[1])
        return f"#{len(quotes) - 1}#"

    text = re.sub(r'["“”]([^"“”]*)["“”]', hide, question.strip())
    if not re.search(r"[.?]$", text):
        raise CannotReadError("the question has no end")
    seen = [t for t in instances if t.certain and gap(t.box, (0, 0, width, height)) == 0]
    walk = Walk(seen, quotes)
    for sentence in re.split(r"[.?!](?:\s+|$)", text):
        if sentence:
            read_sentence(walk, sentence)
    if walk.result is None:
        raise CannotReadError("nothing is asked in the end")
    return walk.result
