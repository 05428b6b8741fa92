"""Why an image is rejected: limits, reasons, and what bytes are that no decoder could read."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from PIL import Image

from hopchain_etl.imaging.vision_tokens import MAX_RATIO


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
    TOO_ELONGATED = "too_elongated"
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

    def check_size(self, width: int, height: int) -> None:
        """Raise ImageRejectedError for a size in px beyond the limits, or a shape that no model takes."""
        size = f"{width} x {height} px"
        if width * height > self.max_pixels:
            raise ImageRejectedError(RejectReason.TOO_MANY_PIXELS, f"{size}, at most {self.max_pixels}")
        if min(width, height) < self.min_side:
            raise ImageRejectedError(RejectReason.TOO_SMALL, f"{size}, at least {self.min_side} a side")
        if max(width, height) > MAX_RATIO * min(width, height):
            raise ImageRejectedError(RejectReason.TOO_ELONGATED, f"{size}, sides at most {MAX_RATIO} : 1")


# Bytes that no decoder could read

_SIGNATURES = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|BM|II[*+]\0|MM\0[*+]|RIFF.{4}WEBP"
    rb"|.{4}ftyp(hei[cxms]|hev[cxms]|mif1|msf1|avi)|\xff\x0a|\x00\x00\x00\x0cJXL ",
    re.DOTALL,
)
_OTHER_IMAGES = re.compile(
    rb"8BPS|\x00\x00\x01\x00|\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51|qoif|DDS |v/1\x01|#\?RADIANCE|%!PS|FUJIFILMCCD-RAW"
    rb"|II(RO|RS|U\0)|P[1-7]\s|.{4}ftyp(crx|heif|miaf|MiHE|1pic)|\s*(<\?xml.{0,500})?<svg",
    re.DOTALL,
)
_UNSUPPORTED = re.compile("unknown pixel mode|cannot handle|un-?supported|not supported|no codec", re.IGNORECASE)
_LAST_TAG = 532  # of TIFF 6.0; Pillow's error is the number of a tag that is missing, or of an unknown compression
_CUT = re.compile("truncated|premature end|end of file|extraneous bytes|instead of RST|bad Huffman", re.IGNORECASE)


def of_unidentified(data: bytes, formats: Iterable[str]) -> ImageRejectedError:
    """Return why Pillow did not recognise the bytes as any of ``formats``."""
    if _SIGNATURES.match(data):
        message = _why_not_opened(data, formats)
        return of_damaged(data, message, message or "the header cannot be read")
    if _OTHER_IMAGES.match(data):
        return ImageRejectedError(RejectReason.UNSUPPORTED_FORMAT, "a picture in a format that is not read")
    return ImageRejectedError(RejectReason.NOT_AN_IMAGE, f"starts with {data[:8].hex(' ')}")


def of_damaged(data: bytes, message: str, detail: str) -> ImageRejectedError:
    """Return why a decoder failed with ``message``: pixels of a kind that is not read, a cut file or a broken one."""
    if _UNSUPPORTED.search(message):
        reason = RejectReason.UNSUPPORTED_FORMAT
    else:
        reason = RejectReason.TRUNCATED if _CUT.search(message) or _ends_early(data) else RejectReason.BROKEN
    return ImageRejectedError(reason, " ".join(detail.split())[:200])


def _why_not_opened(data: bytes, formats: Iterable[str]) -> str:
    """Return what the decoder says that claims these bytes; ``Image.open`` keeps it to itself."""
    for factory, accept in (Image.OPEN[name] for name in formats if name in Image.OPEN):
        if accept and accept(data[:16]) is True:
            try:
                factory(io.BytesIO(data), "")
            except Exception as error:  # noqa: BLE001 - decoders raise any kind of exception on damaged files
                is_code = isinstance(error.__cause__, KeyError) and str(error).isdigit() and int(str(error)) > _LAST_TAG
                return f"unsupported compression {error}" if is_code else str(error)
    return ""


def _ends_early(data: bytes) -> bool:
    """Return whether the file ends before its format allows."""
    if data.startswith(b"\xff\xd8"):
        scan = data.rfind(b"\xff\xda")
        return scan < 0 or data.rfind(b"\xff\xd9") < scan
    if data.startswith(b"\x89PNG"):
        return b"IEND" not in data
    if data.startswith(b"GIF8"):
        return not data.rstrip(b"\0").endswith(b";")
    if data.startswith(b"RIFF"):
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if data.startswith(b"BM"):
        return int.from_bytes(data[2:6], "little") > len(data)
    if data.startswith((b"II", b"MM")):
        return int.from_bytes(data[4:8], "little" if data.startswith(b"II") else "big") >= len(data)
    return data[4:8] in (b"ftyp", b"JXL ") and _last_box_is_cut(data)


def _last_box_is_cut(data: bytes) -> bool:
    """Return whether a file of boxes (AVIF, HEIF, JPEG XL) ends inside one of them."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:  # a longer number follows
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:  # 0: up to the end
            return False
        at += size
    return at != len(data)
