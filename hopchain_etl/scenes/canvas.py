"""A canvas that records the ground truth of everything drawn: box, mask, colour and text.

Only Pillow's built-in font is used, with Pillow's own layout, so a seed gives the same pixels on each machine that has
the same Pillow.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hopchain_etl.scenes.words import WORDS

Box = tuple[int, int, int, int]

# OCR misses single digits and sometimes a leading 1, and rotates lines that it believes are upside down: 66, 90, 93 or
# 97 upside down read 99, 06, E6 or L6. A number with a 2, 4 or 5 cannot be mistaken so.
NUMBERS = tuple(number for number in range(20, 100) if set(str(number)) & set("245") and number % 10 != 1)
SMALLEST = 38  # font size whose capitals and digits are 26 px high; smaller text is no longer read without errors

COLOURS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "cream": (252, 246, 228),
    "yellow": (250, 208, 60),
    "orange": (243, 146, 40),
    "pink": (248, 178, 196),
    "red": (186, 28, 42),
    "purple": (92, 44, 130),
    "blue": (24, 78, 168),
    "green": (16, 104, 58),
    "brown": (104, 62, 30),
    "grey": (92, 98, 104),
    "black": (18, 18, 20),
}
PAPERS = ("white", "cream", "yellow", "pink")
BOARDS = ("black", "blue", "green", "purple", "brown")
PAINTS = ("yellow", "orange", "pink", "red", "purple", "blue", "green", "brown", "grey")


def ink_on(background: str) -> str:
    """Return black or white, whichever has more contrast to the named background."""
    red, green, blue = COLOURS[background]
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "white"


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's own scalable font at ``size`` px."""
    loaded = ImageFont.load_default(size=size)
    if not isinstance(loaded, ImageFont.FreeTypeFont):
        raise TypeError("this Pillow was built without FreeType and cannot draw text of a chosen size; install a wheel")
    return loaded


def text_width(text: str, size: int) -> float:
    """Return the width of ``text`` in px at font size ``size``."""
    return font(size).getlength(text)


@dataclass(frozen=True)
class TruthInstance:
    """One drawn object.

    ``box`` is xyxy in px, ``x2`` and ``y2`` exclusive, tight around ``cutout``, the object's own pixels inside the box:
    the ink of a text, the whole panel of a sign (with what is written on it).
    """

    category: str  # text, title, or a drawn object such as bar, sign, box
    box: tuple[float, float, float, float]
    cutout: NDArray[np.bool_] = field(repr=False, compare=False)
    attributes: dict[str, str]
    text: str | None = None


class Canvas:
    """A page with a random (seeded) size and style; each word and number is used only once."""

    def __init__(self, kind: str, seed: int) -> None:
        self.rng = random.Random(f"{kind}/{seed}")  # noqa: S311 - for variety, not for security
        self.width = self.rng.randrange(1000, 1401, 40)
        self.height = self.rng.randrange(800, 1401, 40)
        self.size = self.rng.choice((SMALLEST, 42, 46))
        self.instances: list[TruthInstance] = []
        self._capitals = self.rng.random() < 0.5
        self._bold = self.rng.random() < 0.5
        self._words = self.rng.sample(WORDS, len(WORDS))
        self._numbers = self.rng.sample(NUMBERS, len(NUMBERS))

    def start(self, background: str) -> None:
        """Fill the page with the named colour."""
        self.background = background
        self.image = Image.new("RGB", (self.width, self.height), COLOURS[background])
        self.draw = ImageDraw.Draw(self.image)

    def word(self, room: float, size: int | None = None) -> str:
        """Return an unused word at most ``room`` px wide at font size ``size``."""
        for index, word in enumerate(self._words):
            shown = word.upper() if self._capitals else word.title()
            if text_width(shown, size or self.size) + 4 <= room:
                del self._words[index]
                return shown
        raise ValueError(f"no unused word is narrower than {room} px at size {size or self.size}; widen the layout")

    def number(self) -> str:
        """Return an unused number of two digits."""
        return str(self._numbers.pop())

    def write(
        self, text: str, x: float, y: float, *, anchor: str = "mm", on: str | None = None, size: int | None = None
    ) -> None:
        """Write one line at ``(x, y)``; ``anchor`` is Pillow's, ``on`` the colour beneath, ``size`` the font size."""
        background, size = on or self.background, size or self.size
        colour = ink_on(background)
        face, stroke = font(size), int(self._bold)
        left, top, right, bottom = (round(edge) for edge in face.getbbox(text, anchor=anchor, stroke_width=stroke))
        ink = Image.new("L", (right - left + 4, bottom - top + 4))
        ImageDraw.Draw(ink).text((2 - left, 2 - top), text, fill=255, font=face, anchor=anchor, stroke_width=stroke)
        corner = (round(x) + left - 2, round(y) + top - 2)
        self.image.paste(COLOURS[colour], corner, ink)
        reads = "number" if text.isdigit() else "word"
        self._keep("text", ink, corner, {"colour": colour, "background": background, "reads": reads}, text)

    def shape(self, category: str, box: Box, colour: str, *, radius: int = 0, outline: str | None = None) -> None:
        """Draw a filled rectangle with corners rounded by ``radius`` px; half the side length gives a disc."""
        x1, y1, x2, y2 = box
        area = Image.new("L", (x2 - x1, y2 - y1))
        ImageDraw.Draw(area).rounded_rectangle((0, 0, x2 - x1 - 1, y2 - y1 - 1), radius, fill=255)
        self.image.paste(COLOURS[colour], (x1, y1), area)
        if outline:
            self.draw.rounded_rectangle((x1, y1, x2 - 1, y2 - 1), radius, outline=COLOURS[outline], width=4)
        form = "round" if radius * 2 >= min(x2 - x1, y2 - y1) - 1 else "rectangular"
        self._keep(category, area, (x1, y1), {"colour": colour, "shape": form}, None)

    def figure(self, category: str, corner: tuple[int, int], silhouette: Image.Image, colour: str) -> None:
        """Paint a silhouette over existing figures; covered pixels are removed from them."""
        self.image.paste(COLOURS[colour], corner, silhouette)
        covered = np.zeros((self.height, self.width), np.bool_)
        x, y = corner
        covered[y : y + silhouette.height, x : x + silhouette.width] = np.asarray(silhouette) >= 128
        self.instances = [_without(one, covered) for one in self.instances]
        self._keep(category, silhouette, corner, {"colour": colour, "shape": category}, None)

    def stripe(self, box: Box) -> None:
        """Stripe the newest shape, which fills ``box``, in the page's colour: OCR reads a plain block as a dash."""
        x1, y1, x2, y2 = box
        for x in range(x1 + 22, x2 - 4, 22):
            self.draw.rectangle((x, y1, x + 3, y2 - 1), fill=COLOURS[self.background])
        self.instances[-1].attributes["pattern"] = "striped"

    def line(self, x1: float, y1: float, x2: float, y2: float, *, width: int = 3, colour: str | None = None) -> None:
        """Draw a decorative line that is not an instance."""
        shade = COLOURS[colour or ink_on(self.background)]
        self.draw.line((round(x1), round(y1), round(x2), round(y2)), fill=shade, width=width)

    def rows(self, top: float, bottom: float, count: int) -> list[float]:
        """Return the centres of ``count`` rows, fewer if the distance would be below two font sizes."""
        count = min(count, int((bottom - top) / (2 * self.size)))
        pitch = (bottom - top) / count
        return [top + pitch * (row + 0.5) for row in range(count)]

    def title(self, y: float) -> float:
        """Write a larger word at ``y``, centred or from the left margin; return the y below it for the first row."""
        size = self.size + self.rng.choice((10, 18, 26))
        word = self.word(self.width - 160, size)
        if self.rng.random() < 0.5:
            self.write(word, self.width / 2, y, size=size)
        else:
            self.write(word, 80, y, anchor="lm", size=size)
        return y + size

    def _keep(
        self, category: str, drawn: Image.Image, corner: tuple[int, int], attributes: dict[str, str], text: str | None
    ) -> None:
        pixels = np.asarray(drawn) >= 128
        ys, xs = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
        x1, y1, x2, y2 = int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1
        left, top = corner
        box = (float(left + x1), float(top + y1), float(left + x2), float(top + y2))
        self.instances.append(TruthInstance(category, box, pixels[y1:y2, x1:x2].copy(), attributes, text))


def _without(one: TruthInstance, covered: NDArray[np.bool_]) -> TruthInstance:
    """Return an instance without the pixels that are covered; an instance is never covered completely."""
    x1, y1, x2, y2 = (int(edge) for edge in one.box)
    left = one.cutout & ~covered[y1:y2, x1:x2]
    ys, xs = np.flatnonzero(left.any(axis=1)), np.flatnonzero(left.any(axis=0))
    box = (float(x1 + xs[0]), float(y1 + ys[0]), float(x1 + xs[-1] + 1), float(y1 + ys[-1] + 1))
    return replace(one, box=box, cutout=left[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1].copy())
