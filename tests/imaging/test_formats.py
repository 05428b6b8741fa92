"""Formats that plugins read: turned once, bounded before they are decoded, and named when the plugin is missing."""

from __future__ import annotations

import base64
import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from hopchain_etl.imaging import formats
from hopchain_etl.imaging.decode_pool import DecodePool
from hopchain_etl.imaging.formats import FORMATS, open_image, source_format
from hopchain_etl.imaging.normalise import normalise
from hopchain_etl.imaging.rejection import ImageRejectedError, Limits, RejectReason
from support.jxl import codestream, frame_of, in_boxes
from support.photo_files import SIZE, dirty_jpeg, every_kind, exif, pixels, saved, scene

FILES = every_kind()


def refused(data: bytes, limits: Limits | None = None) -> tuple[RejectReason, str]:
    with pytest.raises(ImageRejectedError) as caught:
        normalise(data, limits or Limits())
    return caught.value.reason, caught.value.detail


def turned(orientation: int) -> Image.Image:
    image = scene()
    image.getexif()[0x0112] = orientation
    return image


def far(data: bytes, expected: Image.Image) -> float:
    found = pixels(normalise(data, Limits()).blob).astype(int)
    assert found.shape[1::-1] == expected.size
    return float(np.abs(found - np.asarray(expected)).mean())


def test_every_format_is_read() -> None:
    assert {source_format(open_image(data, Limits())) for data in FILES.values()} == set(FORMATS)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turn_in_boxes_is_applied_once(kind: str, orientation: int) -> None:
    options = {"exif": exif(orientation)} if kind == "AVIF" else {}
    data = saved(turned(orientation), kind, quality=95, **options)
    assert (b"irot" in data) or (b"imir" in data) or orientation == 1
    assert far(data, ImageOps.exif_transpose(turned(orientation))) < 6  # a wrong turn is about 100 away


def test_a_turn_in_the_exif_of_a_heif_is_void() -> None:
    """The standard's boxes decide (ISO/IEC 23008-12, annex A.2.1), and every phone writes them."""
    data = saved(scene(), "HEIF", quality=95, exif=exif(6))
    assert b"irot" not in data
    assert far(data, scene()) < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turn_in_the_header_of_a_jxl_is_applied_once(orientation: int) -> None:
    frame = frame_of(saved(Image.fromarray(np.asarray(scene())), "JXL"), *SIZE)
    data = codestream(*SIZE, orientation=orientation, frame=frame)
    assert far(data, ImageOps.exif_transpose(turned(orientation))) < 8


def test_a_jpeg_inside_a_jxl_is_turned_once(tmp_path: Path) -> None:
    (tmp_path / "turned.jpg").write_bytes(dirty_jpeg(orientation=6))
    with Image.open(tmp_path / "turned.jpg") as image:
        image.save(tmp_path / "turned.jxl")
    expected = Image.open(io.BytesIO(normalise(dirty_jpeg(orientation=6), Limits()).blob))
    assert far((tmp_path / "turned.jxl").read_bytes(), expected) < 1


# Grey 0x40FF above 0xC0FF, half transparent on the left, of 16 bits (by libjxl's own encoder) and of floats.
DEEP_GREY_JXL = (
    "0000CN?1%F4GM<}0000KW^{RQYItlQ00000YItlQ00009YItmH3IG5AOlo*+WB&?I@S`X$1PBNa0N4OaIBA&5gZC>a2!Q*?-xy>37##l>H~>HZ0N|DYG"
    "(7nSNK*j-`T>C`{s5AG0KevmxH}x`00"
)
FLOAT_GREY_JXL = (
    "0000CN?1%F4GM<}0000KW^{RQYItlQ00000YItlQ00009YItmH3IG5AN@{p)WB&?I7zrbQqD2T05CF^oOE_tm%7gbSC<uV-#NQYkJ2CDB4ge4UfOiQ1"
    "`U(Ij-3<T%09XQm0mJ_RfFxz_j(<!"
)


def test_deep_grey_with_transparency_in_a_jxl_is_read_and_not_taken_for_8_bits() -> None:
    found = pixels(normalise(base64.b85decode(DEEP_GREY_JXL), Limits()).blob).astype(int)
    assert found.shape == (64, 64, 3)
    grey = np.repeat([0x40, 0xC0], 32)[:, None] * np.ones((1, 64))
    alpha = np.repeat([0x80, 0xFF], 32)[None] / 255
    assert np.abs(found - (grey * alpha + 255 * (1 - alpha))[..., None]).max() <= 1
    reason, detail = refused(base64.b85decode(FLOAT_GREY_JXL))
    assert reason == RejectReason.UNSUPPORTED_FORMAT
    assert "float" in detail


def test_the_primary_picture_of_a_heif_is_the_photo() -> None:
    other = scene().rotate(180)
    data = saved(scene(), "HEIF", quality=95, save_all=True, append_images=[other])
    assert far(data, scene()) < 6
    assert refused(saved(scene(), "AVIF", save_all=True, append_images=[other]))[0] == RejectReason.ANIMATED
    assert refused(codestream(96, 80, is_animation=True))[0] == RejectReason.ANIMATED


@pytest.mark.parametrize("kind", ["avif", "heif", "heif turned"])
@pytest.mark.parametrize("brand", [b"heif", b"miaf", b"MiHE", b"1pic"])
def test_a_general_brand_is_read_by_its_codec(kind: str, brand: bytes) -> None:
    data = FILES[kind]
    codec = data[8:12]
    assert codec in data[16 : data[3]], "named among the compatible brands too"
    general = data[:8] + brand + data[12:]
    assert np.array_equal(pixels(normalise(general, Limits()).blob), pixels(normalise(data, Limits()).blob))
    unknown = general.replace(codec, b"abcd").replace(b"mif1", b"abcd")
    reason, detail = refused(unknown)
    assert reason == RejectReason.UNSUPPORTED_FORMAT
    assert "header" not in detail


@pytest.mark.parametrize("kind", ["avif", "heif", "jxl"])
def test_sizes_are_checked(kind: str) -> None:
    assert refused(FILES[kind], Limits(max_pixels=7_000))[0] == RejectReason.TOO_MANY_PIXELS
    assert refused(FILES[kind], Limits(min_side=90))[0] == RejectReason.TOO_SMALL
    assert normalise(FILES[kind], Limits(max_pixels=96 * 80, min_side=80)).width == 96


@pytest.mark.parametrize("parts", [0, 1, 2])
def test_a_bomb_is_rejected_by_its_header(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's plugin for JPEG XL decodes when it opens, so the header is read before."""
    monkeypatch.setattr("PIL.Image.open", lambda *args, **options: pytest.fail("opened"))
    stream = codestream(30_000, 30_000)
    assert refused(in_boxes(stream, parts) if parts else stream)[0] == RejectReason.TOO_MANY_PIXELS


def test_a_heif_that_claims_a_huge_size_is_rejected_before_it_is_decoded() -> None:
    data = FILES["heif"]
    at = data.index(b"ispe") + 8
    assert struct.unpack(">II", data[at : at + 8]) >= SIZE
    huge = data.replace(data[at : at + 8], struct.pack(">II", 20_000, 20_000))
    assert refused(huge)[0] in (RejectReason.TOO_MANY_PIXELS, RejectReason.BROKEN)


@pytest.mark.parametrize("kind", ["avif", "heif", "jxl", "jxl lossless"])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.99])
def test_a_cut_file_is_damaged(kind: str, share: float) -> None:
    reason, detail = refused(FILES[kind][: int(share * len(FILES[kind]))])
    assert reason in (RejectReason.TRUNCATED, RejectReason.BROKEN)
    assert detail


def test_the_pool_reads_them_too() -> None:
    with DecodePool(1, Limits()) as pool:
        for kind in ("avif turned", "heif turned", "jxl"):
            assert pool.submit(FILES[kind]).result() == normalise(FILES[kind], Limits())
        with pytest.raises(ImageRejectedError):
            pool.submit(FILES["heif"][:200]).result()


@pytest.mark.parametrize(("module", "kind"), [("pillow_heif", "heif"), ("pillow_jxl", "jxl")])
def test_a_missing_plugin_is_named(module: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    reason, detail = refused(FILES[kind])
    assert reason == RejectReason.UNSUPPORTED_FORMAT
    assert "hopchain-etl[formats]" in detail
    assert normalise(FILES["avif"], Limits()).format == "AVIF"  # Pillow's own
    assert formats.FORMATS[-2:] == ("HEIF", "JXL")
