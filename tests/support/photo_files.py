"""Small photo files of every kind, made with Pillow and numpy, for the tests of imaging."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401 - registers itself
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

pillow_heif.register_heif_opener()

SIZE = (96, 80)  # px, not square: a wrong turn shows


def scene() -> Image.Image:
    """Return a picture with gradients, edges and noise, different in all four quadrants."""
    x, y = np.meshgrid(np.linspace(0, 1, SIZE[0]), np.linspace(0, 1, SIZE[1]))
    noise = np.random.default_rng(7).integers(0, 24, (SIZE[1], SIZE[0], 3))
    rgb = np.stack([220 * x, 200 * y, 230 * (1 - x) * y], axis=-1) + noise
    rgb[10:30, 8:40] = (250, 20, 30)
    rgb[50:74, 60:70] = (10, 240, 60)
    return Image.fromarray(rgb.clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray[Any, Any]:
    """Return the decoded RGB pixels of a blob that needs no conversion."""
    image = Image.open(io.BytesIO(data))
    assert image.mode == "RGB"
    return np.asarray(image)


def exif(orientation: int = 1) -> Image.Exif:
    """Return EXIF with a camera, an orientation and a place."""
    tags = Image.Exif()
    tags[0x0110] = "SecretCam"
    tags[0x0112] = orientation
    tags.get_ifd(0x8825).update({1: "N", 2: (51.0, 30.0, 26.5), 29: "2026:01:02"})
    return tags


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:li>exif:GPSLatitude 51,30.44N</rdf:li></x:xmpmeta>'
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """Return an ICC profile under which stored red is shown as blue: sRGB with two tags renamed."""
    return SRGB.replace(b"rXYZ", b"tmp!", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"tmp!", b"bXYZ", 1)


def rounded_profile() -> bytes:
    """Return sRGB as another program would write it: its red differs in the third decimal."""
    entry = SRGB.index(b"rXYZ")
    at = struct.unpack(">I", SRGB[entry + 4 : entry + 8])[0] + 8
    red = struct.unpack(">i", SRGB[at : at + 4])[0] + 80  # in 1/65536; moves some colours by 2 levels
    return SRGB[:at] + struct.pack(">i", red) + SRGB[at + 4 :]


def png_text() -> PngInfo:
    info = PngInfo()
    info.add_text("Comment", "GPS 51.5 N")
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return info


def dirty_jpeg(image: Image.Image | None = None, orientation: int = 1, **options: Any) -> bytes:
    """Return a JPEG with EXIF, XMP, IPTC, a profile, a comment and something after its end."""
    options = {"quality": 90, "exif": exif(orientation), "xmp": XMP, "icc_profile": SRGB, "comment": b"GPS"} | options
    iptc = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", 8) + b"GPS here"
    data = saved(image or scene(), "JPEG", **options)
    return data[:2] + b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc + data[2:] + b"GPS after the end"


def rle8_bmp() -> bytes:
    """Return a run-length encoded BMP of 64 x 64 px: 64 rows, each one run of its own grey."""
    rows = b"".join(bytes([64, 4 * row, 0, 0]) for row in range(64)) + b"\0\1"
    palette = b"".join(bytes([n, n, n, 0]) for n in range(256))
    info = struct.pack("<IiiHHIIiiII", 40, 64, 64, 1, 8, 1, len(rows), 0, 0, 256, 256)
    start = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + info + palette + rows


def grey16(kind: str) -> tuple[bytes, np.ndarray[Any, Any]]:
    """Return a 16-bit greyscale file and its 16-bit values; ``kind``: PNG, TIFF (little-endian), TIFF-BE."""
    values = np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE[1], SIZE[0]) * 8
    if kind == "TIFF-BE":
        return saved(Image.fromarray(values.astype(">u2")), "TIFF"), values
    return saved(Image.fromarray(values), kind), values


def every_kind() -> dict[str, bytes]:
    """Return one valid file for each mode and format that ingest accepts, by name."""
    rgb, rng = scene(), np.random.default_rng(3)
    alpha = Image.fromarray(rng.integers(0, 256, (SIZE[1], SIZE[0])).astype(np.uint8))
    rgba, la = rgb.copy(), rgb.convert("L")
    rgba.putalpha(alpha)
    la.putalpha(alpha)
    paletted, floats = rgb.quantize(64), np.asarray(rgb.convert("L"), np.float32)
    files = {
        "jpeg": saved(rgb, "JPEG", quality=90),
        "jpeg progressive": saved(rgb, "JPEG", progressive=True, subsampling=0),
        "jpeg restarts": saved(rgb, "JPEG", restart_marker_rows=1),
        "jpeg grey": saved(rgb.convert("L"), "JPEG"),
        "jpeg cmyk": saved(rgb.convert("CMYK"), "JPEG", quality=95),
        "jpeg dirty": dirty_jpeg(),
        "jpeg turned": dirty_jpeg(orientation=6),
        "jpeg other profile": dirty_jpeg(icc_profile=swapped_profile()),
        "mpo": saved(rgb, "MPO", save_all=True, append_images=[rgb.rotate(180)]),
        "webp lossy": saved(rgb, "WEBP"),
        "webp lossless": saved(rgb, "WEBP", lossless=True),
        "webp dirty": saved(rgb, "WEBP", exif=exif(), xmp=XMP, icc_profile=SRGB),
        "webp alpha": saved(rgba, "WEBP", lossless=True),
        "png dirty": saved(rgb, "PNG", exif=exif(), pnginfo=png_text(), icc_profile=SRGB),
        "png palette transparent": saved(paletted, "PNG", transparency=5),
        "png palette alphas": saved(paletted, "PNG", transparency=bytes(range(0, 256, 4))),
        "png colour key": saved(rgb, "PNG", transparency=(250, 20, 30)),
        "gif transparent": saved(paletted, "GIF", transparency=5),
        "bmp rle": rle8_bmp(),
        "tiff float": saved(Image.fromarray(floats / 255), "TIFF"),
        "tiff int": saved(Image.fromarray(floats.astype(np.int32) * 257), "TIFF"),
        "tiff lab": saved(_lab(rgb), "TIFF"),
        "tiff cmyk": saved(rgb.convert("CMYK"), "TIFF"),
        "png gamma": png_with(saved(rgb, "PNG"), gAMA=struct.pack(">I", 100_000)),
        "avif turned": saved(rgb, "AVIF", exif=exif(6)),
        "heif turned": saved(_turned(rgb), "HEIF"),
        "jxl": saved(rgb, "JXL"),
        "jxl lossless": saved(rgb, "JXL", lossless=True),
    }
    for kind in ("AVIF", "HEIF"):
        files[kind.lower()] = saved(rgb, kind, exif=exif(), xmp=XMP, icc_profile=SRGB)
        files[f"{kind.lower()} alpha"] = saved(rgba, kind)
    files |= {f"grey16 {kind}": grey16(kind)[0] for kind in ("PNG", "TIFF", "TIFF-BE")}
    for kind in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        files[f"tiff {kind}"] = saved(rgb, "TIFF", compression=kind)
    for image in (rgb, rgba, rgb.convert("L"), la, paletted, rgb.convert("1")):
        files[f"png {image.mode}"] = saved(image, "PNG")
        if image.mode != "LA":
            files[f"bmp {image.mode}"] = saved(image, "BMP")
        files[f"tiff {image.mode}"] = saved(image, "TIFF")
    for image in (paletted, rgb.convert("L"), rgb.convert("1")):
        files[f"gif {image.mode}"] = saved(image, "GIF")
    return files


def png_with(data: bytes, **chunks: bytes) -> bytes:
    """Return the PNG with more chunks behind its header."""
    parts = [(name.encode(), body) for name, body in chunks.items()]
    more = b"".join(struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in parts)
    return data[:33] + more + data[33:]


def _turned(rgb: Image.Image) -> Image.Image:
    image = rgb.copy()
    image.getexif()[0x0112] = 6
    return image


def _lab(rgb: Image.Image) -> Image.Image:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.applyTransform(rgb, ImageCms.buildTransform(srgb, lab, "RGB", "LAB"))
    assert image is not None
    image.info.clear()
    return image
