"""Reads the size of a JPEG XL file from its header: Pillow's plugin tells it only once all pixels are decoded.

Source of the layout: ISO/IEC 18181-1 (codestream, annex D) and 18181-2 (boxes).
"""

from __future__ import annotations

from dataclasses import dataclass

_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}  # width to height
_SIDE = ((9, 1), (13, 1), (18, 1), (30, 1))  # bits, and what is added, by the two bits before
_PREVIEW_SIDE = ((6, 1), (8, 65), (10, 321), (12, 1345))
_PREVIEW_EIGHTHS = ((0, 16), (0, 32), (5, 1), (9, 33))
_ENOUGH = 64  # bytes; a header is shorter
_MOST_BOXES = 10_000  # before the header is complete; an empty box takes 8 bytes
_LAST_PART = 1 << 31  # bit of a part's number


@dataclass(frozen=True)
class JxlHeader:
    """What a header says; sides in px, as stored."""

    width: int
    height: int
    is_animation: bool


def jxl_header(data: bytes) -> JxlHeader:
    """Return the header of a JPEG XL file; raise ValueError if it ends before or is none."""
    stream = data if data.startswith(b"\xff\x0a") else _codestream(data)
    if not stream.startswith(b"\xff\x0a") or len(stream) < 16:
        raise ValueError("truncated JPEG XL header")
    bits = _Bits(stream[2:_ENOUGH])
    width, height = bits.size()
    is_animation = False
    if not bits.read(1) and bits.read(1):  # metadata are not the usual ones, and have extra fields
        bits.read(3)  # the turn, which the decoder applies
        if bits.read(1):
            bits.size()  # intrinsic size
        if bits.read(1):
            bits.skip_preview()
        is_animation = bool(bits.read(1))
    return JxlHeader(width, height, is_animation)


def _codestream(data: bytes) -> bytes:
    """Return the beginning of the codestream in a file of boxes: of one box ``jxlc`` or of parts ``jxlp`` in order.

    Raise ValueError for anything else: the decoder might take another header for the picture's than is checked here.
    """
    found, at, parts = b"", 0, 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data) or len(found) >= _ENOUGH:
            return found
        size, name, start = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        if size == 1:
            size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        end = at + size if size else len(data)
        if end < start:
            return found
        if name == b"jxlc":
            if parts:
                raise ValueError("a JPEG XL header in parts and in one piece")
            return data[start : min(end, start + _ENOUGH)]
        if name == b"jxlp":
            if int.from_bytes(data[start : start + 4], "big") & ~_LAST_PART != parts:
                raise ValueError("parts of a JPEG XL header out of order")
            parts += 1
            found += data[start + 4 : min(end, start + 4 + _ENOUGH)]
        at = end
    raise ValueError("too many boxes before the JPEG XL header")


class _Bits:
    """Reads numbers bit by bit, the lowest first; beyond the end there are zeros."""

    def __init__(self, data: bytes) -> None:
        self._rest = int.from_bytes(data, "little")

    def read(self, count: int) -> int:
        value = self._rest & ((1 << count) - 1)
        self._rest >>= count
        return value

    def size(self) -> tuple[int, int]:
        """Read a SizeHeader; return width and height."""
        in_eighths = self.read(1)

        def side() -> int:
            return 8 * (self.read(5) + 1) if in_eighths else self._choice(_SIDE)

        height = side()
        if ratio := self.read(3):
            across, down = _RATIOS[ratio]
            return height * across // down, height
        return side(), height

    def skip_preview(self) -> None:
        """Read a PreviewHeader."""
        sides = _PREVIEW_EIGHTHS if self.read(1) else _PREVIEW_SIDE
        self._choice(sides)
        if not self.read(3):
            self._choice(sides)

    def _choice(self, ranges: tuple[tuple[int, int], ...]) -> int:
        count, added = ranges[self.read(2)]
        return self.read(count) + added
