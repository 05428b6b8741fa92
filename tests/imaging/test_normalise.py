"""Normalisation: one kind of picture out of every kind of file, or a reason."""

from __future__ import annotations

import io
import struct
import zlib

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from hopchain_etl.imaging.normalise import NormalisedImage, normalise, perceptual_hash
from hopchain_etl.imaging.rejection import ImageRejectedError, Limits, RejectReason
from support.photo_files import (
    SIZE,
    XMP,
    dirty_jpeg,
    every_kind,
    exif,
    grey16,
    pixels,
    png_text,
    rounded_profile,
    saved,
    scene,
    swapped_profile,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow warns about files that are broken on purpose
LIMITS = Limits(max_pixels=1_000_000)
FILES = every_kind()
WHOLE = {name: normalise(data, LIMITS) for name, data in FILES.items()}


def reason(data: bytes, limits: Limits = LIMITS) -> RejectReason:
    with pytest.raises(ImageRejectedError) as caught:
        normalise(data, limits)
    assert caught.value.detail
    return caught.value.reason


def on_white(image: Image.Image) -> np.ndarray:
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image.convert("RGBA")).convert("RGB"))


# What comes out


@pytest.mark.parametrize("name", FILES)
def test_every_kind_becomes_a_clean_rgb_picture(name: str) -> None:
    result = WHOLE[name]
    image = Image.open(io.BytesIO(result.blob))
    assert (image.mode, image.size) == ("RGB", (result.width, result.height))
    assert not {"exif", "icc_profile", "xmp", "comment", "photoshop", "transparency"} & set(image.info)
    kind = name.removeprefix("grey16 ").removesuffix("-BE").split()[0].upper()
    assert result.format == ("JPEG" if kind == "MPO" else kind)
    for secret in (b"Exif", b"eXIf", b"EXIF", b"GPS", b"SecretCam", b"xmp", b"XMP", b"Photoshop", b"ICC"):
        assert secret not in result.blob


@pytest.mark.parametrize("name", FILES)
def test_normalising_again_changes_nothing(name: str) -> None:
    again = normalise(WHOLE[name].blob, LIMITS)
    assert again.blob is WHOLE[name].blob
    assert again.phash == WHOLE[name].phash


@pytest.mark.parametrize(
    "name", ["jpeg", "jpeg progressive", "jpeg restarts", "webp lossy", "webp lossless", "png RGB"]
)
def test_clean_files_keep_their_bytes(name: str) -> None:
    assert WHOLE[name].blob is FILES[name]


@pytest.mark.parametrize("name", ["jpeg dirty", "mpo", "webp dirty", "png dirty"])
def test_metadata_goes_without_reencoding(name: str) -> None:
    assert np.array_equal(pixels(WHOLE[name].blob), np.asarray(Image.open(io.BytesIO(FILES[name]))))
    assert len(WHOLE[name].blob) < len(FILES[name])
    assert Image.open(io.BytesIO(WHOLE[name].blob)).format == WHOLE[name].format


def test_secrets_are_in_the_sources() -> None:
    """Guards the test above: it can only fail if the secrets were there."""
    assert all(secret in FILES["jpeg dirty"] for secret in (b"Exif", b"GPS", b"SecretCam", b"Photoshop", b"ICC"))
    assert all(secret in FILES["webp dirty"] for secret in (b"EXIF", b"GPS", b"SecretCam", b"XMP"))
    assert all(secret in FILES["png dirty"] for secret in (b"eXIf", b"GPS", b"SecretCam", b"xmp"))


# Orientation


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_exactly_once(kind: str, orientation: int) -> None:
    options = {"WEBP": {"lossless": True}, "TIFF": {"compression": "tiff_lzw"}}.get(kind, {})
    plain = saved(scene(), kind, **options)
    result = normalise(saved(scene(), kind, exif=exif(orientation), **options), LIMITS)
    stored = Image.open(io.BytesIO(plain))
    stored.getexif()[0x0112] = orientation
    assert np.array_equal(pixels(result.blob), np.asarray(ImageOps.exif_transpose(stored)))
    assert (result.width, result.height) == (SIZE if orientation < 5 else SIZE[::-1])


@pytest.mark.parametrize("block", [b"Exif\0\0", b"Exif\0\0garbage garbage", b"Exif\0\0MM\0*\xff\xff\xff\xff"])
def test_damaged_exif_does_not_cost_the_photo(block: bytes) -> None:
    assert normalise(saved(scene(), "JPEG", exif=block), LIMITS).blob == saved(scene(), "JPEG")


# Pixels


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "TIFF-BE"])
def test_16_bit_grey_keeps_its_high_byte(kind: str) -> None:
    data, values = grey16(kind)
    assert np.array_equal(pixels(normalise(data, LIMITS).blob), np.repeat((values >> 8)[..., None], 3, axis=2))


def test_16_bit_colour_is_written_anew_in_8_bit() -> None:
    rows = (np.arange(64 * 64 * 3) * 5).astype(">u2").reshape(64, 64, 3)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", 64, 64, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    parts = [struct.pack(">I", len(body)) + n + body + struct.pack(">I", zlib.crc32(n + body)) for n, body in chunks]
    result = normalise(b"\x89PNG\r\n\x1a\n" + b"".join(parts), LIMITS)
    assert result.blob[24] == 8
    assert np.array_equal(pixels(result.blob), rows >> 8)


@pytest.mark.parametrize("scale", [1.0, 255.0, 65535.0])
def test_float_grey_is_scaled_not_clipped(scale: float) -> None:
    grey = np.asarray(scene().convert("L"))
    result = normalise(
        saved(Image.fromarray((grey / np.float32(255) * np.float32(scale)).astype(np.float32)), "TIFF"), LIMITS
    )
    assert np.abs(pixels(result.blob)[..., 0].astype(int) - grey).max() <= 1


def test_float_grey_with_holes_and_negative_values() -> None:
    values = np.linspace(-5, 5, 64 * 64, dtype=np.float32).reshape(64, 64)
    values[0, 5] = np.nan
    grey = pixels(normalise(saved(Image.fromarray(values), "TIFF"), LIMITS).blob)[..., 0]
    assert (grey.min(), grey.max()) == (0, 255)
    assert grey[0, 5] in (127, 128)


@pytest.mark.parametrize("top", [255, 65535, 2**31 - 1])
def test_32_bit_integer_grey_is_scaled_not_clipped(top: int) -> None:
    values = np.linspace(0, top, 64 * 64).astype(np.int32).reshape(64, 64)
    grey = pixels(normalise(saved(Image.fromarray(values), "TIFF"), LIMITS).blob)[..., 0]
    brightest = 255 if top <= 65535 else 127  # half of what 32 bits hold
    assert grey.max() in (brightest, brightest + 1)
    assert len(np.unique(grey)) >= 128


@pytest.mark.parametrize(
    "name", ["png RGBA", "png LA", "tiff RGBA", "webp alpha", "gif transparent", "png palette alphas", "png colour key"]
)
def test_transparency_is_composited_over_white(name: str) -> None:
    expected = on_white(Image.open(io.BytesIO(FILES[name])))
    assert np.abs(pixels(WHOLE[name].blob).astype(int) - expected).max() <= 1
    assert not np.array_equal(pixels(WHOLE[name].blob), np.asarray(Image.open(io.BytesIO(FILES[name])).convert("RGB")))


def test_transparent_16_bit_grey() -> None:
    values = np.full((64, 64), 4000, np.uint16)
    values[:, 32:] = 4001  # the same high byte: only the exact value is transparent
    grey = pixels(normalise(saved(Image.fromarray(values), "PNG", transparency=4001), LIMITS).blob)[..., 0]
    assert np.all(grey[:, :32] == 4000 >> 8)
    assert np.all(grey[:, 32:] == 255)


@pytest.mark.parametrize("name", ["jpeg cmyk", "tiff cmyk"])
def test_cmyk_is_not_inverted(name: str) -> None:
    far = np.abs(pixels(WHOLE[name].blob).astype(int) - np.asarray(scene())).mean()
    assert far < 12  # an inverted picture is about 120 away


def test_a_colour_profile_is_applied_before_it_goes() -> None:
    red = Image.new("RGB", SIZE, (200, 0, 0))
    shown = pixels(normalise(saved(red, "PNG", icc_profile=swapped_profile()), LIMITS).blob)[0, 0]
    assert shown[2] > 150
    assert shown[0] < 60


def test_another_spelling_of_srgb_does_not_cost_a_reencoding() -> None:
    assert normalise(saved(scene(), "JPEG", icc_profile=rounded_profile()), LIMITS).blob == saved(scene(), "JPEG")


@pytest.mark.parametrize("profile", [b"nonsense", swapped_profile()[:200]])
def test_a_broken_colour_profile_is_ignored(profile: bytes) -> None:
    assert normalise(saved(scene(), "JPEG", icc_profile=profile), LIMITS).blob == saved(scene(), "JPEG")


def test_an_rgb_profile_on_cmyk_pixels_is_ignored() -> None:
    cmyk = scene().convert("CMYK")
    with_profile = saved(cmyk, "TIFF", icc_profile=swapped_profile())
    assert np.array_equal(pixels(normalise(with_profile, LIMITS).blob), pixels(WHOLE["tiff cmyk"].blob))


# Perceptual hash


def bits_apart(one: str, other: str) -> int:
    return imagehash.hex_to_hash(one) - imagehash.hex_to_hash(other)


def test_the_hash_is_imagehash_phash_and_survives_resizing_and_recompression() -> None:
    large = scene().resize((1200, 1000), Image.Resampling.BICUBIC)
    assert perceptual_hash(scene()) == str(imagehash.phash(scene()))
    assert bits_apart(perceptual_hash(large), str(imagehash.phash(large))) <= 2
    for near in (large, large.resize((600, 500)), Image.open(io.BytesIO(saved(large, "JPEG", quality=40)))):
        assert bits_apart(perceptual_hash(near), perceptual_hash(scene())) <= 6
    assert bits_apart(perceptual_hash(ImageOps.flip(large)), perceptual_hash(large)) > 16


# Rejections


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", RejectReason.EMPTY),
        (b"\0" * 5000, RejectReason.NOT_AN_IMAGE),
        (b"<html><body>404</body></html>", RejectReason.NOT_AN_IMAGE),
        (b"\0\0\0\x1cftypisom" + b"\0" * 100, RejectReason.NOT_AN_IMAGE),
        (b"\0\0\0\x1cftypheic" + b"\0" * 100, RejectReason.BROKEN),
        (b"\0\0\0\x1cftypcrx " + b"\0" * 100, RejectReason.UNSUPPORTED_FORMAT),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', RejectReason.UNSUPPORTED_FORMAT),
        (saved(scene(), "JPEG2000"), RejectReason.UNSUPPORTED_FORMAT),
        (saved(scene(), "PPM"), RejectReason.UNSUPPORTED_FORMAT),
        (saved(scene(), "ICO"), RejectReason.UNSUPPORTED_FORMAT),
        (FILES["jpeg"][:1000], RejectReason.TRUNCATED),
        (FILES["png RGB"][:1000], RejectReason.TRUNCATED),
        (FILES["webp lossy"][:1000], RejectReason.TRUNCATED),
        (FILES["gif P"][:2000], RejectReason.TRUNCATED),
        (FILES["bmp RGB"][:2000], RejectReason.TRUNCATED),
        (FILES["tiff RGB"][:2000], RejectReason.TRUNCATED),
        (FILES["png RGB"].replace(b"IHDR", b"IHDX"), RejectReason.BROKEN),
        (saved(scene().resize((63, 500)), "PNG"), RejectReason.TOO_SMALL),
        (saved(scene().resize((64, 12_801)), "PNG"), RejectReason.TOO_ELONGATED),
        (saved(scene().resize((12_801, 64)), "PNG"), RejectReason.TOO_ELONGATED),
        (saved(scene(), "GIF", save_all=True, append_images=[scene().rotate(180)]), RejectReason.ANIMATED),
        (saved(scene(), "WEBP", save_all=True, append_images=[scene().rotate(180)]), RejectReason.ANIMATED),
        (saved(scene(), "PNG", save_all=True, append_images=[scene().rotate(180)]), RejectReason.ANIMATED),
        (saved(scene(), "TIFF", save_all=True, append_images=[scene().rotate(180)]), RejectReason.MULTI_PAGE),
    ],
)
def test_reason(data: bytes, expected: RejectReason) -> None:
    assert reason(data) == expected


def test_a_strip_that_models_still_take_is_kept() -> None:
    assert normalise(saved(scene().resize((64, 12_800)), "PNG"), LIMITS).height == 12_800


def test_too_many_bytes() -> None:
    size = len(FILES["jpeg"])
    assert reason(FILES["jpeg"], Limits(max_bytes=size - 1)) == RejectReason.TOO_MANY_BYTES
    assert normalise(FILES["jpeg"], Limits(max_bytes=size)).blob == FILES["jpeg"]


@pytest.mark.parametrize("side", [1001, 12_000, 60_000])
def test_a_bomb_is_rejected_by_its_header(side: int) -> None:
    """The header alone: there are no pixels to decode behind it. The sizes pass Pillow's warning and error limits."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    assert reason(data + b"\0\0\0\0IDAT") == RejectReason.TOO_MANY_PIXELS


def test_a_compressed_text_bomb_does_not_fill_memory() -> None:
    text = b"zTXt" + b"Comment\0\0" + zlib.compress(b"\0" * 200_000_000, 9)
    plain = FILES["png RGB"]
    bomb = plain[:33] + struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text)) + plain[33:]
    assert reason(bomb) == RejectReason.BROKEN


# Any bytes

SAME_ON_DISK = st.sampled_from(sorted(FILES))


@settings(max_examples=400, deadline=None)
@given(name=SAME_ON_DISK, share=st.floats(0, 1, exclude_max=True), last=st.integers(0, 40))
def test_a_truncated_file_is_rejected_or_whole(name: str, share: float, last: int) -> None:
    data = FILES[name]
    cut = data[: -last or None] if share > 0.5 and last else data[: int(share * len(data))]
    try:
        result = normalise(cut, LIMITS)
    except ImageRejectedError:
        return
    assert np.array_equal(pixels(result.blob), pixels(WHOLE[name].blob))


@settings(max_examples=500, deadline=None)
@given(
    name=SAME_ON_DISK,
    flips=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=12),
    head=st.booleans(),
)
def test_flipped_bytes_raise_nothing_but_a_rejection(name: str, flips: list[tuple[int, int]], head: bool) -> None:
    data = bytearray(FILES[name])
    for at, value in flips:
        data[at % min(len(data), 160 if head else len(data))] = value
    try:
        result = normalise(bytes(data), LIMITS)
    except ImageRejectedError:
        return
    assert isinstance(result, NormalisedImage)
    assert normalise(result.blob, LIMITS).blob == result.blob


@settings(max_examples=200, deadline=None)
@given(
    data=st.binary(max_size=400),
    start=st.sampled_from([b"", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"RIFF\x90\1\0\0WEBPVP8 "]),
)
def test_arbitrary_bytes_raise_nothing_but_a_rejection(data: bytes, start: bytes) -> None:
    with pytest.raises(ImageRejectedError):
        normalise(start + data, LIMITS)


def test_metadata_written_by_every_route_is_gone_after_a_turn() -> None:
    turned = normalise(saved(scene(), "PNG", exif=exif(6), pnginfo=png_text()), LIMITS)
    assert (turned.width, turned.height) == SIZE[::-1]
    assert set(Image.open(io.BytesIO(turned.blob)).info) == set()
    assert XMP[:20] not in turned.blob
    assert dirty_jpeg()[-16:] not in turned.blob
