"""Converts untrusted image bytes to one normal form, upright 8-bit RGB without metadata, or rejects them with a reason.

``normalise`` is pure and knows nothing of files or S3. It runs native decoders on untrusted bytes, so call it through
``decode_pool``, which survives decoder crashes.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass, field
from enum import StrEnum

import imagehash
from PIL import Image, UnidentifiedImageError

from hopchain_etl.imaging.metadata import strip_jpeg, strip_png, strip_webp
from hopchain_etl.imaging.pixels import TURNS, orientation, srgb_transform, upright_rgb8

_HASHED_SIDE = 128  # px, minimum side after reduction; pHash itself uses 32
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")


class RejectReason(StrEnum):
    """Why an image is rejected."""

    EMPTY = "empty"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_FORMAT = "unsupported_format"
    TRUNCATED = "truncated"
    BROKEN = "broken"
    ANIMATED = "animated"
    MULTI_PAGE = "multi_page"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_SMALL = "too_small"
    DECODER_CRASHED = "decoder_crashed"
    DECODER_TIMEOUT = "decoder_timeout"


class ImageRejectedError(Exception):
    """This image cannot be used; ``reason`` is a code for counting, ``detail`` a text for people."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True)
class Limits:
    """Size limits of images. Pillow's own limit of 179 million pixels applies in addition to ``max_pixels``."""

    min_side: int = 64  # px
    max_pixels: int = 64_000_000
    max_bytes: int = 100_000_000


@dataclass(frozen=True)
class NormalisedImage:
    """A normalised image as used by all later stages. ``blob`` is the source object itself if nothing changed."""

    blob: bytes = field(repr=False)
    width: int  # px, upright
    height: int
    format: str  # of the source, one of FORMATS
    phash: str  # 64-bit perceptual hash, 16 hex digits


def image_id(data: bytes) -> str:
    """Return the id of a photo: sha256 (hex) of its source bytes."""
    return hashlib.sha256(data).hexdigest()


def normalise(data: bytes, limits: Limits) -> NormalisedImage:
    """Return the picture in ``data``, upright, in 8-bit sRGB, without metadata; its format is detected from the bytes.

    JPEG, PNG and WebP that already have such pixels keep them unchanged and only lose their metadata; all others become
    PNG. Raises only ImageRejectedError, whatever the bytes contain.
    """
    if not data:
        raise ImageRejectedError(RejectReason.EMPTY, "no bytes")
    if len(data) > limits.max_bytes:
        raise ImageRejectedError(RejectReason.TOO_MANY_BYTES, f"{len(data)} bytes, at most {limits.max_bytes}")
    try:
        opened = Image.open(io.BytesIO(data), formats=FORMATS)
        _check_header(opened, limits)
        size, blob = opened.size, _jpeg_as_it_is(data, opened)
        if blob is None:
            opened.load()
            image = upright_rgb8(opened)
            size, blob = image.size, _encode(data, image, untouched=image is opened)
        else:
            image = _shrunk(opened)
    except ImageRejectedError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRejectedError(RejectReason.TOO_MANY_PIXELS, str(error)) from error
    except MemoryError as error:
        raise ImageRejectedError(RejectReason.DECODER_CRASHED, "out of memory") from error
    except UnidentifiedImageError as error:
        raise ImageRejectedError(*_unidentified(data)) from error
    except Exception as error:  # decoders raise any kind of exception on damaged files
        raise ImageRejectedError(_damage(data, str(error)), f"{type(error).__name__}: {error}"[:200]) from error
    return NormalisedImage(blob, *size, _source_format(opened), perceptual_hash(image))


def perceptual_hash(image: Image.Image) -> str:
    """Return the 64-bit pHash of an RGB image as 16 hex digits.

    Large images are box-reduced first: hashing a 12-megapixel photo would otherwise take as long as decoding it.
    """
    return str(imagehash.phash(image.reduce(max(1, min(image.size) // _HASHED_SIDE))))


def _shrunk(opened: Image.Image) -> Image.Image:
    """Return a JPEG decoded at the scale that its hash needs: the whole file is read, but few pixels are computed."""
    scale = _HASHED_SIDE / min(opened.size)
    opened.draft("RGB", (int(opened.width * scale), int(opened.height * scale)))
    opened.load()
    return opened


def _source_format(opened: Image.Image) -> str:
    # MPO is a phone's JPEG followed by a preview image; Pillow opens the first image, which is the photo.
    return "JPEG" if opened.format == "MPO" else str(opened.format)


def _check_header(opened: Image.Image, limits: Limits) -> None:
    """Raise ImageRejectedError if the header alone is enough to reject the image, before any pixel is decoded."""
    width, height = opened.size
    if width * height > limits.max_pixels:
        raise ImageRejectedError(RejectReason.TOO_MANY_PIXELS, f"{width} x {height} px, at most {limits.max_pixels}")
    if min(width, height) < limits.min_side:
        raise ImageRejectedError(RejectReason.TOO_SMALL, f"{width} x {height} px, at least {limits.min_side} a side")
    if opened.format != "MPO" and getattr(opened, "is_animated", False):
        reason = RejectReason.MULTI_PAGE if opened.format == "TIFF" else RejectReason.ANIMATED
        raise ImageRejectedError(reason, f"{opened.format} with more than one image")


# Bytes


_STRIPPERS = {"JPEG": strip_jpeg, "PNG": strip_png, "WEBP": strip_webp}


def _stripped(data: bytes, source: str | None) -> bytes | None:
    """Return the file without its metadata, ``data`` itself if it has none; None if stripping is not possible."""
    strip = _STRIPPERS.get(source or "")
    stripped = strip(data) if strip else None
    return data if stripped == data else stripped


def _jpeg_as_it_is(data: bytes, opened: Image.Image) -> bytes | None:
    """Return a JPEG without metadata if its pixels need no change (decided without decoding); otherwise None."""
    if _source_format(opened) != "JPEG" or opened.mode != "RGB" or orientation(opened) in TURNS:
        return None
    profile = opened.info.get("icc_profile")
    return None if profile and srgb_transform(profile, "RGB") else _stripped(data, "JPEG")


def _encode(data: bytes, image: Image.Image, untouched: bool) -> bytes:
    """Return the bytes to keep: ``data`` without metadata if its pixels equal ``image``, otherwise a new PNG."""
    if untouched and (stripped := _stripped(data, image.format)) is not None:
        return stripped
    image.info = {}  # Pillow would write the profile and transparency in it
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)  # level 6 takes three times as long for 7 % less
    return buffer.getvalue()


# Reasons

_SIGNATURES = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|BM|II[*+]\0|MM\0[*+]|RIFF.{4}WEBP", re.DOTALL)
_OTHER_IMAGES = re.compile(
    rb"8BPS|\x00\x00\x01\x00|\x00\x00\x00\x0c(jP  |JXL )|\xff\x4f\xff\x51|\xff\x0a|qoif|DDS |v/1\x01|#\?RADIANCE|%!PS"
    rb"|P[1-7]\s|.{4}ftyp(hei|hev|mif1|msf1|avi|crx)|\s*(<\?xml.{0,500})?<svg",
    re.DOTALL,
)


def _unidentified(data: bytes) -> tuple[RejectReason, str]:
    """Return why Pillow did not recognise the bytes."""
    if _SIGNATURES.match(data):
        return _damage(data, ""), "the header cannot be read"
    if _OTHER_IMAGES.match(data):
        return RejectReason.UNSUPPORTED_FORMAT, f"none of {', '.join(FORMATS)}"
    return RejectReason.NOT_AN_IMAGE, f"starts with {data[:8].hex(' ')}"


def _damage(data: bytes, message: str) -> RejectReason:
    """Return TRUNCATED if the file ends before its format allows, else BROKEN."""
    cut = "truncated" in message.lower()
    if data.startswith(b"\xff\xd8"):
        cut |= data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    elif data.startswith(b"\x89PNG"):
        cut |= b"IEND" not in data
    elif data.startswith(b"GIF8"):
        cut |= not data.rstrip(b"\0").endswith(b";")
    elif data.startswith(b"RIFF"):
        cut |= int.from_bytes(data[4:8], "little") + 8 > len(data)
    elif data.startswith(b"BM"):
        cut |= int.from_bytes(data[2:6], "little") > len(data)
    elif data.startswith((b"II", b"MM")):
        cut |= int.from_bytes(data[4:8], "little" if data.startswith(b"II") else "big") >= len(data)
    return RejectReason.TRUNCATED if cut else RejectReason.BROKEN
