"""Converts untrusted image bytes to one normal form, upright 8-bit RGB without metadata, or rejects them with a reason.

``normalise`` is pure and knows nothing of files or S3. It runs native decoders on untrusted bytes, so call it through
``decode_pool``, which survives decoder crashes.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field

import imagehash
from PIL import Image, UnidentifiedImageError

from hopchain_etl.imaging.colour import srgb_transform
from hopchain_etl.imaging.formats import FORMATS, open_image, source_format
from hopchain_etl.imaging.jpeg import decode_jpeg
from hopchain_etl.imaging.metadata import strip_jpeg, strip_png, strip_webp
from hopchain_etl.imaging.pixels import TURNS, orientation, upright_rgb8
from hopchain_etl.imaging.rejection import ImageRejectedError, Limits, RejectReason, of_damaged, of_unidentified

_HASHED_SIDE = 128  # px, minimum side after reduction; pHash itself uses 32


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
        opened = open_image(data, limits)
        kind, size, blob = source_format(opened), opened.size, _jpeg_as_it_is(data, opened)
        if blob is None:
            decoded = _decoded(data, opened)
            image = upright_rgb8(decoded)
            size, blob = image.size, _encode(data, image, kind if image is decoded else None)
        else:
            image = _shrunk(data, opened)
    except ImageRejectedError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRejectedError(RejectReason.TOO_MANY_PIXELS, str(error)) from error
    except MemoryError as error:
        raise ImageRejectedError(RejectReason.DECODER_CRASHED, "out of memory") from error
    except UnidentifiedImageError as error:
        raise of_unidentified(data, FORMATS) from error
    except Exception as error:  # decoders raise any kind of exception on damaged files
        raise of_damaged(data, str(error), f"{type(error).__name__}: {error}") from error
    return NormalisedImage(blob, *size, kind, perceptual_hash(image))


def perceptual_hash(image: Image.Image) -> str:
    """Return the 64-bit pHash of an RGB image as 16 hex digits.

    Large images are box-reduced first: hashing a 12-megapixel photo would otherwise take as long as decoding it.
    """
    return str(imagehash.phash(image.reduce(max(1, min(image.size) // _HASHED_SIDE))))


def _decoded(data: bytes, opened: Image.Image) -> Image.Image:
    """Return the picture with all its pixels."""
    if source_format(opened) == "JPEG":
        return decode_jpeg(data, opened)
    opened.load()
    return opened


def _shrunk(data: bytes, opened: Image.Image) -> Image.Image:
    """Return a JPEG decoded at the scale that its hash needs: the whole file is read, but few pixels are computed."""
    scale = _HASHED_SIDE / min(opened.size)
    opened.draft("RGB", (int(opened.width * scale), int(opened.height * scale)))
    return decode_jpeg(data, opened)


# Bytes


_STRIPPERS = {"JPEG": strip_jpeg, "PNG": strip_png, "WEBP": strip_webp}


def _stripped(data: bytes, kind: str) -> bytes | None:
    """Return the file without its metadata, ``data`` itself if it has none; None if stripping is not possible."""
    strip = _STRIPPERS.get(kind)
    stripped = strip(data) if strip else None
    return data if stripped == data else stripped


def _jpeg_as_it_is(data: bytes, opened: Image.Image) -> bytes | None:
    """Return a JPEG without metadata if its pixels need no change (decided without decoding); otherwise None."""
    if source_format(opened) != "JPEG" or opened.mode != "RGB" or orientation(opened) in TURNS:
        return None
    profile = opened.info.get("icc_profile")
    return None if profile and srgb_transform(profile, "RGB") else _stripped(data, "JPEG")


def _encode(data: bytes, image: Image.Image, kept: str | None) -> bytes:
    """Return the bytes to keep: ``data`` without metadata if its pixels in format ``kept`` are ``image``; or a PNG."""
    if kept and (stripped := _stripped(data, kept)) is not None:
        return stripped
    image.info = {}  # Pillow would write the profile and transparency in it
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)  # level 6 takes three times as long for 7 % less
    return buffer.getvalue()
