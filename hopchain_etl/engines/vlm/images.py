"""How an image is sent to the server: whole or cropped, within a budget of pixels, as a data URI."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image, ImageDraw, ImageFont

from hopchain_etl.engines.photo_bytes import readable
from hopchain_etl.imaging.vision_tokens import FACTOR, MAX_PIXELS, image_tokens, resized

_FRAME, _FRAME_OF_START = "#ffd400", "#00e0ff"  # readable on light and dark photos, each with a black edge
_AS_THEY_ARE = {"JPEG": "image/jpeg", "PNG": "image/png"}  # what every server decodes

Box = tuple[float, float, float, float]
Mark = tuple[str, tuple[float, ...]]  # a label, and the box (xyxy px of the whole photo) that it frames


@dataclass(frozen=True)
class PromptImage:
    """An image in a prompt: the whole image or the region ``box`` (xyxy in px of the whole), within a pixel budget.

    ``marks`` are framed and labelled in it. Pictures that share one ``load`` are decoded once a call.
    """

    load: Callable[[], bytes] = field(repr=False)
    max_pixels: int = MAX_PIXELS
    box: Box | None = None
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Encoded:
    """A picture as it is sent: a data URI, its size in px, and the tokens that it costs."""

    uri: str
    width: int
    height: int
    tokens: int


def encoded(pictures: list[PromptImage]) -> list[Encoded]:
    """Return pictures ready to be sent, in order.

    A whole JPEG or PNG within its budget is sent unchanged, which is free; other pictures are decoded, cropped, scaled
    down and encoded as JPEG quality 95 without chroma subsampling, which keeps small text readable. Raises
    UnreadablePhotoError for a damaged photo, and ValueError for a shape that the model refuses.
    """
    sources: dict[Callable[[], bytes], bytes] = {}
    opened: dict[Callable[[], bytes], Image.Image] = {}
    made = []
    for picture in pictures:
        if picture.load not in sources:
            sources[picture.load] = picture.load()
            with readable():
                opened[picture.load] = Image.open(io.BytesIO(sources[picture.load]))
        with readable():
            made.append(_encode(picture, sources[picture.load], opened[picture.load]))
    return made


def _encode(picture: PromptImage, source: bytes, image: Image.Image) -> Encoded:
    fits = image.width * image.height <= picture.max_pixels
    if not picture.box and not picture.marks and fits and image.format in _AS_THEY_ARE:
        return _sent(source, _AS_THEY_ARE[image.format], image.size)
    part = (image.crop(_whole_pixels(picture.box, image.size)) if picture.box else image).convert("RGB")
    if part.width * part.height > picture.max_pixels:
        wide, high = resized(*part.size, max_pixels=picture.max_pixels, min_pixels=0)
        part = part.resize((max(FACTOR, wide), max(FACTOR, high)), Image.Resampling.BICUBIC, reducing_gap=3.0)
    elif min(part.size) < FACTOR:  # Ollama's server breaks down at such a picture; the model enlarges it anyway
        resized(*part.size)  # raises if the model refuses the shape: enlarged, it may be too long for a JPEG
        grow = FACTOR / min(part.size)
        part = part.resize((round(part.width * grow), round(part.height * grow)), Image.Resampling.BICUBIC)
    _draw(part, picture.marks, part.width / image.width, part.height / image.height)
    sink = io.BytesIO()
    part.save(sink, "JPEG", quality=95, subsampling=0)
    return _sent(sink.getvalue(), "image/jpeg", part.size)


def _draw(part: Image.Image, marks: tuple[Mark, ...], across: float, down: float) -> None:
    """Frame and label the marks in a whole picture, with ``across`` and ``down`` its pixels per pixel of the photo.

    Frames lie just outside their boxes, labels beside a corner where no other label is, so that little is covered.
    """
    pen, side = ImageDraw.Draw(part), max(14, round(0.022 * max(part.size)))
    font, line = ImageFont.load_default(side), max(2, side // 8)
    frames: list[Box] = []
    for label, (x1, y1, x2, y2) in marks:
        left, top = max(1.0, x1 * across - line - 1), max(1.0, y1 * down - line - 1)
        right, bottom = min(part.width - 2.0, x2 * across + line + 1), min(part.height - 2.0, y2 * down + line + 1)
        frames.append((left, top, right, bottom))
        pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline="black", width=line + 2)
        pen.rectangle(frames[-1], outline=_colour(label), width=line)
    placed: list[Box] = []
    for (label, _), frame in zip(marks, frames, strict=True):
        size = pen.textlength(label, font) + side // 2, side + 4.0
        spots = [_inside(spot, size, part) for spot in _corners(frame, size)]
        placed.append(next((spot for spot in spots if not any(_meet(spot, other) for other in placed)), spots[0]))
        pen.rectangle(placed[-1], fill=_colour(label), outline="black")
        pen.text((placed[-1][0] + side // 4, placed[-1][1] + 1), label, fill="black", font=font)


def _colour(label: str) -> str:
    return _FRAME_OF_START if label == "A" else _FRAME


def _corners(frame: Box, size: tuple[float, float]) -> list[tuple[float, float]]:
    """Return where a label may stand: above or below a corner of its frame, or beside it."""
    (left, top, right, bottom), (width, height) = frame, size
    beside = [(left - width, top), (right, top), (left - width, bottom - height), (right, bottom - height)]
    return [(left, top - height), (right - width, top - height), (left, bottom), (right - width, bottom), *beside]


def _inside(corner: tuple[float, float], size: tuple[float, float], part: Image.Image) -> Box:
    x, y = max(0.0, min(corner[0], part.width - size[0])), max(0.0, min(corner[1], part.height - size[1]))
    return x, y, x + size[0], y + size[1]


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _sent(data: bytes, kind: str, size: tuple[int, int]) -> Encoded:
    return Encoded(f"data:{kind};base64,{base64.b64encode(data).decode()}", *size, image_tokens(*size))


def _whole_pixels(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return ``box`` grown to whole pixels inside the image; raise ValueError if the result is empty."""
    x1, y1 = (max(0, math.floor(edge)) for edge in box[:2])
    x2, y2 = (min(limit, math.ceil(edge)) for edge, limit in zip(box[2:], size, strict=True))
    if x2 <= x1 or y2 <= y1:
        raise ValueError(f"box {box} holds no pixel of an image of {size[0]} x {size[1]} px")
    return x1, y1, x2, y2
