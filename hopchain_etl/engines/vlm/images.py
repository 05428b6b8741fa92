"""How Qwen-VL models cut an image into tokens, and how an image travels to the server.

Qwen3-VL cuts 16 px patches and merges 2 x 2 of them into one token, so sides are rounded to multiples of 32 px and
1,024 px make one token. The arithmetic is that of the model's own image processor (``smart_resize`` in transformers).
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image

PATCH = 16  # px, the side of a patch of Qwen3-VL
MERGE = 2  # patches a side that become one token
FACTOR = PATCH * MERGE
MIN_PIXELS = 65_536  # Qwen3-VL's own bounds on the resized image
MAX_PIXELS = 16_777_216
_MAX_RATIO = 200  # of the sides; the model's processor refuses longer strips
_AS_THEY_ARE = {"JPEG": "image/jpeg", "PNG": "image/png"}  # what every server decodes

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Picture:
    """An image in a prompt: the whole of it, or what lies in ``box`` (xyxy in px of the whole), within a pixel budget.

    Pictures that share one ``load`` are decoded once a call.
    """

    load: Callable[[], bytes] = field(repr=False)
    max_pixels: int = MAX_PIXELS
    box: Box | None = None


@dataclass(frozen=True)
class Encoded:
    """A picture as it is sent: a data URI, its size in px, and the tokens that it costs."""

    uri: str
    width: int
    height: int
    tokens: int


def resized(width: int, height: int, *, max_pixels: int = MAX_PIXELS, min_pixels: int = MIN_PIXELS) -> tuple[int, int]:
    """Return the size (width, height) in px at which the model sees an image: multiples of 32 px near its own ratio.

    Raises ValueError for a strip more than 200 times as long as it is wide, which the model's processor refuses.
    """
    if min(width, height) < 1 or max(width, height) > _MAX_RATIO * min(width, height):
        raise ValueError(f"an image of {width} x {height} px: the model takes sides up to {_MAX_RATIO} : 1")
    wide, high = (round(side / FACTOR) * FACTOR for side in (width, height))
    if wide * high > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        wide, high = (max(FACTOR, math.floor(side / shrink / FACTOR) * FACTOR) for side in (width, height))
    elif wide * high < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        wide, high = (math.ceil(side * grow / FACTOR) * FACTOR for side in (width, height))
    return wide, high


def image_tokens(width: int, height: int, *, max_pixels: int = MAX_PIXELS, min_pixels: int = MIN_PIXELS) -> int:
    """Return how many tokens of Qwen3-VL an image of ``width`` x ``height`` px becomes within a pixel budget.

    The two markers around an image are not counted. Raises ValueError as ``resized`` does.
    """
    wide, high = resized(width, height, max_pixels=max_pixels, min_pixels=min_pixels)
    return wide * high // FACTOR**2


def encoded(pictures: list[Picture]) -> list[Encoded]:
    """Return pictures ready to be sent, in order.

    A whole JPEG or PNG within its budget goes as it is, which costs nothing; anything else is decoded, cut, shrunk and
    written as JPEG of quality 95 with full colour, which keeps small print legible.
    """
    sources: dict[Callable[[], bytes], bytes] = {}
    opened: dict[Callable[[], bytes], Image.Image] = {}
    made = []
    for picture in pictures:
        if picture.load not in sources:
            sources[picture.load] = picture.load()
            opened[picture.load] = Image.open(io.BytesIO(sources[picture.load]))
        made.append(_encode(picture, sources[picture.load], opened[picture.load]))
    return made


def _encode(picture: Picture, source: bytes, image: Image.Image) -> Encoded:
    fits = image.width * image.height <= picture.max_pixels
    if not picture.box and fits and image.format in _AS_THEY_ARE:
        return _sent(source, _AS_THEY_ARE[image.format], image.size)
    part = (image.crop(_whole_pixels(picture.box, image.size)) if picture.box else image).convert("RGB")
    if part.width * part.height > picture.max_pixels:
        wide, high = resized(*part.size, max_pixels=picture.max_pixels, min_pixels=0)
        part = part.resize((max(FACTOR, wide), max(FACTOR, high)), Image.Resampling.BICUBIC, reducing_gap=3.0)
    sink = io.BytesIO()
    part.save(sink, "JPEG", quality=95, subsampling=0)
    return _sent(sink.getvalue(), "image/jpeg", part.size)


def _sent(data: bytes, kind: str, size: tuple[int, int]) -> Encoded:
    return Encoded(f"data:{kind};base64,{base64.b64encode(data).decode()}", *size, image_tokens(*size))


def _whole_pixels(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return ``box`` grown to whole pixels inside the image; raise ValueError where nothing is left of it."""
    x1, y1 = (max(0, math.floor(edge)) for edge in box[:2])
    x2, y2 = (min(limit, math.ceil(edge)) for edge, limit in zip(box[2:], size, strict=True))
    if x2 <= x1 or y2 <= y1:
        raise ValueError(f"box {box} holds no pixel of an image of {size[0]} x {size[1]} px")
    return x1, y1, x2, y2
