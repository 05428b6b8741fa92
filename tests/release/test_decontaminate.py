"""Copies of a benchmark's images are found and leave every later release; other photos stay."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from pydantic import ValidationError
from typer.testing import CliRunner

from benchmarks.documents import draw
from hopchain_etl.cli import app
from hopchain_etl.imaging.similarity import LOOK_ALIKE, compute_descriptor, is_copy, similarity
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import StoreError
from hopchain_etl.lake.stores import open_store
from hopchain_etl.release.assemble import Params, assemble
from hopchain_etl.release.card import write_card
from hopchain_etl.release.decontaminate import KEY, contamination, decontaminate, normal
from hopchain_etl.release.snapshot import take_snapshot
from hopchain_etl.settings import BenchmarkSettings, LakeSettings, Settings
from support import drawn_lake


def picture(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), np.uint8)
    return Image.fromarray(pixels).resize((480, 360), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, **how: Any) -> bytes:
    sink = io.BytesIO()
    image.save(sink, "JPEG", **how)
    return sink.getvalue()


COPIES = {
    "same": lambda one: encoded(one),
    "small": lambda one: encoded(one.resize((150, 112))),
    "poor": lambda one: encoded(one, quality=20),
    "cropped": lambda one: encoded(one.crop((20, 10, 460, 345))),
    "mirrored": lambda one: encoded(ImageOps.mirror(one)),
    "all of it": lambda one: encoded(ImageOps.mirror(one.crop((0, 20, 450, 360))).resize((220, 170)), quality=50),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_found_whichever_of_the_two_was_cropped(kind: str) -> None:
    for seed in range(5):
        original, copy = compute_descriptor(encoded(picture(seed))), compute_descriptor(COPIES[kind](picture(seed)))
        others = [compute_descriptor(encoded(picture(seed + 10 + n))) for n in range(3)]
        assert similarity(copy, [*others, original]).argmax() == 3
        for one, another in ((copy, original), (original, copy)):
            assert similarity(one, [another])[0] >= LOOK_ALIKE
            assert is_copy(one, another)
        assert not any(is_copy(copy, other) for other in others)


def test_an_image_of_one_colour_is_like_nothing() -> None:
    plain = compute_descriptor(encoded(Image.new("RGB", (99, 99), "red")))
    assert similarity(plain, [plain]).tolist() == [0.0]


def test_questions_are_compared_by_their_words() -> None:
    assert normal(" How many\tCUPS, are there? ") == normal("how many cups are there")


def fill(
    lake: Lake, seeds: Iterable[int], drawn: Callable[[int], Image.Image] = picture, **more: Any
) -> tuple[drawn_lake.Lineages, list[drawn_lake.Row]]:
    """Fill the lake with photos that look like ``picture`` of their seed: those of ``drawn_lake`` are all alike."""
    photos = {seed: encoded(drawn(seed)) for seed in seeds}
    shas = {seed: hashlib.sha256(data).hexdigest() for seed, data in photos.items()}
    filled = drawn_lake.fill(lake, seeds, changes={seed: {"blob_sha": sha} for seed, sha in shas.items()}, **more)
    for seed, data in photos.items():
        lake.put_blob(data, shas[seed])
    return filled


def benchmark_at(bucket: Any, uri: str) -> BenchmarkSettings:
    return BenchmarkSettings(uri=uri, endpoint_url=bucket.endpoint_url, path_style=True)


@pytest.mark.s3
@pytest.mark.parametrize("where", ["folder", "s3"])
def test_what_a_benchmark_holds_is_not_released(bucket: Any, tmp_path: Path, where: str) -> None:
    place = tmp_path / "bench"
    place.mkdir()
    benchmark = benchmark_at(bucket, f"s3://{bucket.bucket}/bench" if where == "s3" else str(place))

    def put(name: str, data: bytes) -> None:
        if where == "s3":
            open_store(benchmark).put(name, data)
        else:
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_bytes(data)

    settings = drawn_lake.settings_for(bucket)
    lake = Lake(settings.lake)
    prints, queries = fill(lake, range(3), queries_each=2)
    with pytest.raises(ValueError, match=r"bench holds no image .* correct HOPCHAIN_BENCHMARKS__URI"):
        decontaminate(lake, benchmark)
    put("broken.png", b"no image")
    with pytest.raises(ValueError, match=r"broken\.png of .*bench.*repair it"):
        decontaminate(lake, benchmark)
    assert contamination(lake)["images"] == {}
    release = {"lineages": [prints.queries], "policy": "unreviewed"}
    settings = drawn_lake.settings_for(bucket, benchmarks=benchmark, release=release)
    put("broken.png", encoded(picture(9)))
    put("questions.txt", f"\n{queries[0]['question'].upper()}\n\n".encode())
    counts, _ = released(lake, settings, tmp_path / "a")
    assert counts["dropped"]["contaminated"] >= 1
    assert contamination(lake)["images"] == {}

    put("sub/first.png", COPIES["cropped"](picture(1)))
    counts, card = released(lake, settings, tmp_path / "b")
    found = contamination(lake)["images"]
    assert found.keys() == {queries[2]["image_id"]}
    copy = found[queries[2]["image_id"]]
    assert copy["benchmark"] == "bench/sub/first.png"
    assert LOOK_ALIKE < copy["likeness"] == round(copy["likeness"], 4) < 1
    gone, asked = queries[2]["image_id"], normal(queries[0]["question"])
    named = sum(row["image_id"] == gone or normal(row["question"]) == asked for row in queries)
    assert (counts["read"], counts["dropped"]["contaminated"]) == (6, named)
    assert "held against bench (2 images, 1 questions)" in card
    assert "1 photos of the lake are" in card
    assert f"left out for that: {named}." in card


def released(lake: Lake, settings: Settings, out: Path) -> tuple[dict[str, Any], str]:
    snapshot = take_snapshot(lake, settings)
    assert take_snapshot(lake, settings) == snapshot
    counts = assemble(snapshot, Params(diversity=drawn_lake.ANY_MIX), lake, "default", out)
    write_card(snapshot, "default", out)
    return counts, (out / "README.md").read_text()


@pytest.mark.s3
def test_a_photo_is_held_against_a_benchmark_once(bucket: Any, tmp_path: Path) -> None:
    lake, benchmark = Lake(drawn_lake.settings_for(bucket).lake), benchmark_at(bucket, str(tmp_path))
    (tmp_path / "a.png").write_bytes(COPIES["small"](picture(5)))
    fill(lake, range(2))

    def fetched() -> int:
        before = lake.store.calls["get"]
        decontaminate(lake, benchmark)
        return lake.store.calls["get"] - before

    first, again = fetched(), fetched()
    assert first - again >= 2
    fill(lake, [5], intake="second")
    assert fetched() - again >= 1
    assert len(contamination(lake)["images"]) == 1
    (tmp_path / "b.png").write_bytes(COPIES["poor"](picture(0)))
    decontaminate(lake, benchmark)
    assert len(contamination(lake)["images"]) == 2


@pytest.mark.parametrize(("encoding", "line"), [("utf-16", 1), ("cp1252", 2)])
def test_questions_in_another_encoding_are_refused_because_no_question_would_be_found(
    tmp_path: Path, encoding: str, line: int
) -> None:
    place = tmp_path / "bench"
    place.mkdir()
    (place / "asked.txt").write_bytes("How many cups?\nIs it a café?\n".encode(encoding))
    lake = Lake(LakeSettings(uri=f"file://{tmp_path}/lake"))
    with pytest.raises(ValueError, match=rf"asked\.txt of .*bench: line {line} is not UTF-8; save the file as UTF-8"):
        decontaminate(lake, BenchmarkSettings(uri=str(place)))
    (place / "asked.txt").write_bytes("How many cups?\r\nIs it a café?\r\n".encode("utf-8-sig"))
    found = decontaminate(lake, BenchmarkSettings(uri=str(place)))["questions"]
    assert found == {"how many cups": "bench", "is it a café": "bench"}


def form(seed: int) -> Image.Image:
    return draw("form", seed)


@pytest.mark.s3
def test_one_page_of_a_benchmark_does_not_take_all_forms_of_the_lake(bucket: Any, tmp_path: Path) -> None:
    lake, benchmark = Lake(drawn_lake.settings_for(bucket).lake), benchmark_at(bucket, str(tmp_path))
    (tmp_path / "form.png").write_bytes(COPIES["poor"](form(2)))
    _, queries = fill(lake, range(4), form, queries_each=1)
    assert decontaminate(lake, benchmark)["images"].keys() == {queries[2]["image_id"]}


@pytest.mark.s3
def test_what_an_older_comparison_took_for_copies_is_forgotten(bucket: Any, tmp_path: Path) -> None:
    lake, benchmark = Lake(drawn_lake.settings_for(bucket).lake), benchmark_at(bucket, str(tmp_path))
    (tmp_path / "form.png").write_bytes(COPIES["poor"](form(2)))
    _, queries = fill(lake, range(3), form, queries_each=1)
    found = decontaminate(lake, benchmark)
    name = found["benchmarks"][benchmark.uri]["name"]
    stale = {one["image_id"]: {"benchmark": f"{name}/form.png", "likeness": 0.9} for one in queries}
    other = {"elsewhere": {"benchmark": "others/form.png", "likeness": 0.9}}
    found["benchmarks"][benchmark.uri]["version"] = "older"
    lake.put_json(KEY, found | {"images": stale | other})
    assert decontaminate(lake, benchmark)["images"].keys() == {queries[2]["image_id"], "elsewhere"}


@pytest.mark.s3
def test_a_benchmark_that_is_not_there_stops_the_release(bucket: Any, tmp_path: Path) -> None:
    lake = Lake(drawn_lake.settings_for(bucket).lake)
    prints, _ = fill(lake, range(1))
    for uri, error, match in (
        (str(tmp_path / "typo"), ValueError, "there is no folder"),
        (f"s3://{bucket.bucket}/typo", ValueError, "holds no image"),
        ("s3://no-such-bucket-here/bench", StoreError, "create the bucket .* or correct the `uri`"),
    ):
        release = {"lineages": [prints.queries]}
        settings = drawn_lake.settings_for(bucket, benchmarks=benchmark_at(bucket, uri), release=release)
        with pytest.raises(error, match=match):
            take_snapshot(lake, settings)
    with pytest.raises(ValidationError, match="not a folder and not an S3 location"):
        benchmark_at(bucket, "gs://elsewhere/bench")


@pytest.mark.s3
def test_the_command_takes_a_place_or_that_of_the_settings(bucket: Any, tmp_path: Path) -> None:
    lake = Lake(drawn_lake.settings_for(bucket).lake)
    _, queries = fill(lake, range(1))
    (tmp_path / "one.png").write_bytes(COPIES["poor"](picture(0)))
    env = {
        "HOPCHAIN_LAKE__URI": lake.settings.uri,
        "HOPCHAIN_LAKE__ENDPOINT_URL": bucket.endpoint_url,
        "HOPCHAIN_LAKE__PATH_STYLE": "true",
    }
    run = CliRunner()
    nothing = run.invoke(app, ["decontaminate"], env=env)
    assert nothing.exit_code == 2
    for arguments, more in (([str(tmp_path)], {}), ([], {"HOPCHAIN_BENCHMARKS__URI": str(tmp_path)})):
        done = run.invoke(app, ["decontaminate", "--json", *arguments], env=env | more)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["images"].keys() == {queries[0]["image_id"]}
