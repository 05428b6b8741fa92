"""Takes the typography off a declared answer: scripts, LaTeX, emphasis, quotes. What is left is plain ASCII."""

from __future__ import annotations

import re
import unicodedata

_SPACES = "\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t\r\n"
_QUOTES = "\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a\u300c\u300d\u300e\u300f"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d"
_SPELLED = {
    **dict.fromkeys(map(ord, _SPACES), " "),
    **dict.fromkeys(map(ord, _DASHES), "-"),
    **dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"), ""),  # zero-width, and of direction
    **dict.fromkeys(map(ord, _QUOTES), '"'),
    **dict.fromkeys(map(ord, "\u2018\u2019\u201a\u02bc"), "'"),
    **{ord(full): chr(ord(full) - 0xFEE0) for full in "\uff0b\uff0c\uff0e\uff0f\uff05\uff1d\uff1a"},
    **dict(zip(map(ord, "\u066b\u066c\u066a\u3002"), ".,%.", strict=True)),  # Arabic marks, an ideographic stop
    **{ord("\u03bc"): "\u00b5", ord("\u2103"): "\u00b0C", ord("\u2109"): "\u00b0F"},
    ord("\u00d7"): r"\times ",
    **dict.fromkeys(map(ord, "\u00b7\u22c5"), r"\cdot "),
    ord("\u2044"): "/",
}

_RAISED_DIGITS = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b"
_LOWERED = str.maketrans(_RAISED_DIGITS, "0123456789+-")
_TEN_RAISED = re.compile(f"(?<=10)[{_RAISED_DIGITS}]{{1,4}}")
_SCALE = re.compile(
    r"\s*(?:\\times|\\cdot|\*|x)\s*10\s*\^\s*(?:\{\s*([+-]?\d{1,2})\s*\}|([+-]?\d{1,2})(?!\d))", re.IGNORECASE
)
_LATEX = (
    (re.compile(r"\\[()\[\]]|\\(?:left|right|displaystyle)(?![A-Za-z])"), " "),
    (re.compile(r"\\(?:text)?color\s*\{[A-Za-z]{1,20}\}"), " "),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\!"), ""),
    (re.compile(r"\\[,;: ]|\\q?quad(?![A-Za-z])|(?<=\S)~(?=\S)"), " "),
    (re.compile(r"\^\s*(?:\\circ|\{\s*\\circ\s*\})|\\degree"), "\u00b0"),
    (re.compile(r"\\([%$])"), r"\1"),
    (re.compile(r"\^\s*\{\s*(-?[1-3])\s*\}"), r"^\1"),
    (re.compile(r"\\[cdt]?frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))"), r" \1\2/\3\4 "),
)
_WRAPPED = re.compile(
    r"(?:\\(?:text(?:bf|it|rm|sf|tt|up|normal)?|math(?:rm|bf|it|sf|tt|normal)|operatorname|boldsymbol|pmb|bm|emph"
    r"|underline|num|mbox|boxed|fbox))?\s*\{([^{}]*)\}"
)
_POWER = re.compile(r"(?<=[a-zµ]) ?\^ ?(-?[1-3])(?!\d)", re.IGNORECASE)
_PER = re.compile(r"(?<=[a-zµ0-9]) ?/ ?(?=[a-zµ])", re.IGNORECASE)
_PRODUCT = re.compile(r"(?<=[a-zµ]) ?\\cdot ?(?=[a-zµ])", re.IGNORECASE)
_MARKS = ("**", "__", "*", "_", "```", "`", '"', "'", "$$", "$")
CLOSING = (".", ",", ";")


def plain_text(text: str) -> str:
    """Return a declared answer without its typography: spaces, minus signs and digits plain, LaTeX unwrapped.

    Closing marks stay, behind everything else.
    """
    if not text.isascii():
        text = "".join(map(_spelled, text.translate(_SPELLED)))
        text = _TEN_RAISED.sub(lambda found: f"^{found[0].translate(_LOWERED)}", text)
    if "\\" in text or "{" in text or "^" in text or "~" in text:
        text = _SCALE.sub(lambda found: f"e{found[1] or found[2]}", text)
        for pattern, plain in _LATEX:
            text = pattern.sub(plain, text)
        for _ in range(4):  # layers of wrapping; deeper ones stay, and are not a number
            text, unwrapped = _WRAPPED.subn(r" \1 ", text)
            if not unwrapped:
                break
        text = _PRODUCT.sub("-", _PER.sub("/", _POWER.sub(r"^\1", text)))
    return undressed(" ".join(text.split()))


def undressed(text: str) -> str:
    """Return a text without emphasis and quotes; closing marks inside and outside of them stand together at its end."""
    closing = ""
    for _ in range(4):
        dressed = text
        text = text.rstrip("".join((" ", *CLOSING)))
        closing += dressed[len(text) :].replace(" ", "")
        for mark in _MARKS:
            if len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark):
                text = text[len(mark) : -len(mark)].strip()
        if text == dressed:
            break
    return text + closing


def _spelled(char: str) -> str:
    """Return the ASCII form of a character: digits of any script, fractions as ``1/2``, money of any country as $."""
    if char.isascii():
        return char
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    category = unicodedata.category(char)
    if category == "Sc":
        return "$"
    if category == "No" and "fraction" in unicodedata.name(char, "").lower():
        return f" {unicodedata.normalize('NFKC', char)} ".replace("\u2044", "/")
    return char
