"""Removes all metadata from JPEG, PNG and WebP files without decoding them.

Each function copies the parts of the file that a decoder needs and leaves out the rest: EXIF with its location, XMP,
IPTC, comments, colour profiles, previews, any data after the end marker. What is copied is copied byte for byte, so the
pixels cannot change. A file that does not follow its format standard gives None; the caller then encodes the decoded
pixels again. Running a function on its own output returns that output.
"""

from __future__ import annotations

import re
import zlib

_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_JPEG_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # 00 is an escaped FF, D0-D7 restart the same scan
_EOI, _SOS, _COM, _APP0, _APP14, _APP15 = 0xD9, 0xDA, 0xFE, 0xE0, 0xEE, 0xEF
# Huffman-coded sequential and progressive frames and their tables. Arithmetic-coded and lossless JPEG is left out on
# purpose: browsers cannot show it.
_JPEG_KEPT = {0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, _SOS}

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_RGB8 = b"\x08\x02\x00\x00"  # bit depth, colour type, compression, filter


def strip_jpeg(data: bytes) -> bytes | None:
    """Return the JPEG with only its frame, tables, scans and the two segments that define its colour space.

    A missing end marker is added. Source of the layout: ITU-T T.81, Annex B.
    """
    parts, at = [b"\xff\xd8"], 2
    while marker := _JPEG_MARKER.match(data, at):
        code, at = marker[1][0], marker.end()
        if code == _EOI:
            break
        length = int.from_bytes(data[at : at + 2], "big")
        body = data[at + 2 : at + length]
        if length < 2 or len(body) != length - 2:
            return None
        at += length
        if code in _JPEG_KEPT:
            parts.append(bytes([0xFF, code]) + length.to_bytes(2, "big") + body)
        elif code in (_APP0, _APP14):
            parts.append(_colour_segment(code, body))
        elif not (_APP0 < code <= _APP15 or code == _COM):
            return None
        if code == _SOS:
            end = _JPEG_SCAN_END.search(data, at)
            stop = end.start() if end else len(data)
            parts.append(data[at:stop])
            at = stop
    if not marker and at < len(data):
        return None
    return b"".join([*parts, b"\xff\xd9"])


def _colour_segment(code: int, body: bytes) -> bytes:
    """Return the JFIF or Adobe segment without its thumbnail or padding, empty if decoders ignore the segment."""
    if code == _APP0 and body.startswith(b"JFIF\0") and len(body) >= 14:
        return b"\xff\xe0\x00\x10" + body[:12] + b"\0\0"
    if code == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
        return b"\xff\xee\x00\x0e" + body[:12]
    return b""


def strip_png(data: bytes) -> bytes | None:
    """Return the 8-bit RGB PNG with only its IHDR, IDAT and IEND chunks; None for other pixels and wrong checksums."""
    if not data.startswith(_PNG_START) or data[24:28] != _PNG_RGB8:
        return None
    parts, at = [_PNG_START], len(_PNG_START)
    while True:
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        chunk = data[at : at + 12 + length]
        if len(chunk) != 12 + length or name == b"tRNS":
            return None
        at += len(chunk)
        if name in (b"IHDR", b"IDAT", b"IEND"):
            if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
                return None
            parts.append(chunk)
        elif name != b"PLTE" and not name[0] & 0x20:  # an unknown critical chunk
            return None
        if name == b"IEND":
            return b"".join(parts)


def strip_webp(data: bytes) -> bytes | None:
    """Return the opaque still WebP in the simple layout: exactly one VP8 or VP8L chunk.

    Source of the layout: RFC 9649, section 2.
    """
    end = int.from_bytes(data[4:8], "little") + 8
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or end > len(data):
        return None
    images, at = [], 12
    while at + 8 <= end:
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > end:  # a chunk that is cut
            return None
        if name in (b"VP8 ", b"VP8L"):
            images.append(data[at : at + 8 + length] + b"\0" * (length % 2))
        elif name in (b"ALPH", b"ANIM", b"ANMF"):
            return None
        at += 8 + length + length % 2
    if len(images) != 1:
        return None
    return b"RIFF" + (4 + len(images[0])).to_bytes(4, "little") + b"WEBP" + images[0]
