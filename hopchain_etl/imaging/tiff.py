"""Looks at the tags of a TIFF before its pixels are decoded: what Pillow would show wrongly is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image

from hopchain_etl.imaging.rejection import ImageRejectedError, RejectReason

# TIFF 6.0 and DNG 1.7
_SUBFILE_TYPE, _BITS, _COMPRESSION, _COLOUR, _PLANES, _SAMPLES, _DNG_VERSION = 254, 258, 259, 262, 284, 339, 50706
_STRIPS, _TILES = (273, 279), (324, 325)  # offsets, byte counts
_REDUCED = 1  # bit of the subfile type: a smaller version of another picture in the file
_RAW, _YCBCR, _SEPARATE, _SIGNED = 1, 6, 2, 2


def check_tiff(data: bytes, opened: Image.Image) -> None:
    """Raise ImageRejectedError if the first picture is a preview, has pixels that are not read, or lacks some of them.

    Cameras' raw files are TIFFs too: the first picture is a preview, the photo lies behind it as the sensor saw it.
    """
    tags: Mapping[int, Any] = getattr(opened, "tag_v2", {})
    subfile = tags.get(_SUBFILE_TYPE, 0)
    if _DNG_VERSION in tags or data[8:10] == b"CR" or (isinstance(subfile, int) and subfile & _REDUCED):
        detail = "a camera's raw file, or a TIFF that begins with a preview; export it as JPEG, PNG or plain TIFF"
        raise ImageRejectedError(RejectReason.UNSUPPORTED_FORMAT, detail)
    if kind := _unread_pixels(tags):
        raise ImageRejectedError(RejectReason.UNSUPPORTED_FORMAT, f"a TIFF of {kind}")
    if _lacks_data(tags, len(data)):
        raise ImageRejectedError(RejectReason.TRUNCATED, "strips or tiles lie behind the end of the file, or are empty")


def _unread_pixels(tags: Mapping[int, Any]) -> str | None:
    """Return what kind of pixels these are if Pillow opens such a file and decodes it wrongly."""
    bits = max(tags.get(_BITS, (1,)))
    if tags.get(_PLANES) == _SEPARATE and bits > 8:
        return f"separate planes of {bits} bits"
    if bits == 8 and _SIGNED in tags.get(_SAMPLES, ()):
        return "signed 8-bit numbers"
    if tags.get(_COLOUR) == _YCBCR and tags.get(_COMPRESSION, _RAW) == _RAW:
        return "uncompressed YCbCr"
    return None


def _lacks_data(tags: Mapping[int, Any], size: int) -> bool:
    """Return whether a strip or tile is missing.

    Counts of uncompressed ones are not used by decoders, and some programs write too large ones, or zeros.
    """
    offsets, counts = next(((tags[at], tags.get(long, ())) for at, long in (_STRIPS, _TILES) if at in tags), ((), ()))
    is_exact = tags.get(_COMPRESSION, _RAW) != _RAW
    return any(
        at + count * is_exact > size or (count == 0 and (is_exact or at == 0))
        for at, count in zip(offsets, counts, strict=False)
    )
