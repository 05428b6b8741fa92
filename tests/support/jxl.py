"""JPEG XL headers made bit by bit, for what Pillow's plugin cannot write: turns, animations, huge sides."""

from __future__ import annotations

from itertools import pairwise


def codestream(
    width: int, height: int, *, orientation: int = 1, is_animation: bool = False, frame: bytes = bytes(16)
) -> bytes:
    """Return a codestream of ``frame``, as a lossy 8-bit RGB picture has it."""
    bits = "0" + _side(height) + "000" + _side(width)
    bits += "01" + _number(orientation - 1, 3) + "00" + ("1" if is_animation else "0")
    if is_animation:
        bits += "00" + "00" + "00" + "0"  # 100 ticks a second, for ever, without time codes
    bits += "000" + "1" + "00" + "1" + "1" + "1" + "00" + "1"  # 8 bits, no extra channels, XYB, sRGB, all defaults
    bits += "0" * (-len(bits) % 8)
    body = bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))
    return b"\xff\x0a" + body + frame


def frame_of(data: bytes, width: int, height: int) -> bytes:
    """Return what follows the header in a bare codestream of the plugin's encoder, sides being multiples of 8."""
    assert data[:2] == b"\xff\x0a"
    assert width * 10 == height * 12  # one of the ratios: 9 bits of size, two of defaults
    return data[4:]


def in_boxes(stream: bytes, parts: int) -> bytes:
    """Return a file of boxes with the codestream in one box, or in several parts."""
    head = b"\0\0\0\x0cJXL \r\n\x87\n" + _box(b"ftyp", b"jxl \0\0\0\0jxl ")
    if parts == 1:
        return head + _box(b"jxlc", stream)
    cuts = [*range(0, 2 * parts, 2), len(stream)]
    pieces = [stream[one:other] for one, other in pairwise(cuts)]
    return head + b"".join(_box(b"jxlp", at.to_bytes(4, "big") + piece) for at, piece in enumerate(pieces))


def _box(name: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + name + body


def _number(value: int, count: int) -> str:
    return format(value, f"0{count}b")[::-1]


def _side(value: int) -> str:
    for selector, count in enumerate((9, 13, 18, 30)):
        if value <= 1 << count:
            return _number(selector, 2) + _number(value - 1, count)
    raise ValueError(value)
