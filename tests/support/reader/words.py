"""The words that the reader knows, and patterns for sentences and their parts."""

from __future__ import annotations

from collections.abc import Iterable

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
BIG, SMALL = {"largest", "biggest"}, {"smallest", "littlest"}
TALL, SHORT = {"tallest"}, {"shortest"}
WIDE = {"widest"}


def either(words: Iterable[str]) -> str:
    """A pattern that fits any of the words, longest first."""
    return "(?:" + "|".join(sorted(words, key=len, reverse=True)) + ")"


# Patterns for parts of sentences. Names of readings are single capital letters even where case is ignored elsewhere.
NAME = r"(?-i:[A-Z])"
CONST = r"-?\d+(?:\.\d+)?"
NOUN = r"(?P<noun>lines? of text|[a-z]+(?: [a-z]+)??)"
SIDE = f"(?P<side>{either(SIDE_OF)})"
COLOUR = f"(?P<colour>{either(COLOURS)})"
THING = f"(?:{COLOUR} )?{NOUN}"
HELD = r"(?P<held>in (?:it|this [a-z ]+) or a part of it|on (?:it|this [a-z ]+))"
IN_PICTURE = r"(?: in the (?:whole |entire )?(?:picture|image|photo|scene))"
IT = r"(?:it|this one|that one|(?:this|that) [a-z]+(?: [a-z]+){0,2})"

# Patterns for whole sentences.
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
