"""Numbers in English words, read strictly: "twenty-four", "a hundred and five", "minus two and a half"."""

from __future__ import annotations

import re
from fractions import Fraction

_SPOKEN = """
zero one two three four five six seven eight nine
ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen
_ _ twenty thirty forty fifty sixty seventy eighty ninety
_ _ half third quarter fifth sixth seventh eighth ninth
"""
_DIGITS, _TEENS, _DECADES, _SHARES = (line.split() for line in _SPOKEN.strip().splitlines())
_SMALL = {word: n for n, word in enumerate(_DIGITS + _TEENS)}
_TENS = {word: 10 * n for n, word in enumerate(_DECADES) if n >= 2}
_THOUSANDS = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PART = {word: n for n, word in enumerate(_SHARES) if n >= 2} | {"fourth": 4, "tenth": 10}
_PARTS = {f"{word}s": n for word, n in _PART.items() if n > 2} | {"halves": 2}

_SINGULAR = {"hundred": 100, "dozen": 12, "lakh": 10**5, "lac": 10**5, "crore": 10**7, **_THOUSANDS}
MAGNITUDES = _SINGULAR | {f"{word}s": n for word, n in _SINGULAR.items()}  # after digits: 2 million, 2 millions
NUMBER_WORDS = frozenset(_SMALL) | frozenset(_TENS) | {"point"}
_NTH = ["first", *_SHARES[3:], "fourth", "twelfth"] + [f"{word}th" for word in (*_TEENS, *_SINGULAR)]
_NTH += [f"{word[:-1]}ieth" for word in _DECADES[2:]]
ORDINALS = frozenset(_NTH) | {f"{word}s" for word in _NTH}  # places and parts; "second" may be a time

_FIRST, _NEXT = re.compile("([a-z]+)", re.IGNORECASE), re.compile("[ -]([a-z]+)", re.IGNORECASE)


def number_from_words(text: str) -> tuple[Fraction, str] | None:
    """Return the number at the start of ``text`` and the rest; None if there is no number.

    Words must be in the normal order: "four twenty" and "one two" are not numbers. Neither is "forty second"; "one
    second" and "half a second" are times.
    """
    words = _Words(text)
    sign = words.take("minus", "negative", "plus", "positive")
    value = _number(words)
    if value is None or (value > 1 and words.peek() == "second"):
        return None
    return (-value if sign in ("minus", "negative") else value), text[words.at :]


class _Words:
    """A cursor in a text that moves word by word."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.at = 0

    def peek(self) -> str:
        """Return the next word in lower case, or "" at the end."""
        found = (_NEXT if self.at else _FIRST).match(self._text, self.at)
        return found[1].lower() if found else ""

    def take(self, *wanted: str) -> str:
        """Move past the next word if it is one of ``wanted``, and return it; "" otherwise."""
        word = self.peek()
        if word not in wanted:
            return ""
        self.at += len(word) + (self.at > 0)
        return word


def _number(words: _Words) -> Fraction | None:
    if words.take("half"):  # half a dozen
        words.take("a", "an")
        return Fraction(1, 2) * _magnitude(words)
    whole = _whole(words)
    if whole is None:
        return None
    if part := _part(words, whole):
        return Fraction(whole, part)
    if words.take("point"):
        return _decimals(words, whole)
    if words.take("dozen"):
        return Fraction(12 * whole)
    before = words.at
    if words.take("and"):  # two and a half
        top = 1 if words.take("a") else _below_hundred(words) or 0
        bottom = _part(words, top)
        if bottom and top < bottom:
            times = _magnitude(words) if whole < 100 else 1  # a larger number has its magnitude already
            return (whole + Fraction(top, bottom)) * times
        words.at = before
    return Fraction(whole)


def _whole(words: _Words) -> int | None:
    """Return an integer: groups below a thousand, each with a smaller power of a thousand than the one before."""
    total, limit = None, 10**15
    while limit > 1:
        before = words.at
        if total is not None:
            words.take("and")
        group = _below_thousand(words)
        scale = _THOUSANDS.get(words.take(*_THOUSANDS), 1)
        if group is None or scale >= limit or (group == 0 and total is not None):
            words.at = before
            break
        total, limit = (total or 0) + group * scale, scale
    return total


def _below_thousand(words: _Words) -> int | None:
    before = words.at
    if words.take("a"):
        small: int | None = 1
        if words.peek() not in MAGNITUDES and words.peek() not in _PART:  # "a" alone is not a number
            words.at = before
            return None
    else:
        small = _below_hundred(words)
    if not small or not words.take("hundred"):
        return small
    before = words.at
    words.take("and")
    rest = _below_hundred(words)
    if not rest:
        words.at = before
    return 100 * small + (rest or 0)


def _below_hundred(words: _Words) -> int | None:
    if unit := words.take(*_SMALL):
        return _SMALL[unit]
    if not (tens := words.take(*_TENS)):
        return None
    return _TENS[tens] + _SMALL.get(words.take(*_DIGITS[1:]), 0)


def _decimals(words: _Words, whole: int) -> Fraction | None:
    digits = ""
    while word := words.take(*_DIGITS):
        digits += str(_SMALL[word])
    return Fraction(f"{whole}.{digits}") * _magnitude(words) if digits else None


def _magnitude(words: _Words) -> int:
    """Return what follows a number that is not whole and multiplies it, such as million; 1 if nothing does."""
    return _SINGULAR.get(words.take(*_SINGULAR), 1)


def _part(words: _Words, top: int) -> int | None:
    """Return the denominator that follows: "third" after one, "thirds" after more; "twentieth" is an ordinal."""
    named = _PART if top == 1 else _PARTS
    word = words.take(*named) if top else ""
    return named[word] if word else None
