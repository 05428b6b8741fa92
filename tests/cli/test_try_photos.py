"""``hopchain try`` over real photos in folders, as its user runs it: what is printed, the page, and exit codes."""

from __future__ import annotations

import io
import json
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from hopchain_etl.cli import app, main
from hopchain_etl.doctor.finding import Finding
from hopchain_etl.engines.base import EngineDownError, Reply, SegmentJob
from hopchain_etl.lake.lake import Lake
from hopchain_etl.scenes import KINDS, draw
from hopchain_etl.settings import LakeSettings
from support.labelled import coco_of
from support.toy_engines import ToySegmenter, toy_engines

HOSTILE = "[red]my <script>alert(1)</script> photo\n.png".replace("/", "∕")


def photo(seed: int) -> bytes:
    """A photo of noise; the toy engines see a price list in every photo."""
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 20, 3), np.uint8)
    sink = io.BytesIO()
    Image.fromarray(pixels).resize((320, 400), Image.Resampling.NEAREST).save(sink, "PNG")
    return sink.getvalue()


def tried(*words: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "400"}).invoke(app, ["try", *map(str, words)])


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engines = toy_engines(tmp_path / "calls")
    monkeypatch.setattr("hopchain_etl.pipeline.build.create_engines", lambda _: engines)


@pytest.mark.usefixtures("toys")
def test_photos_and_rubbish_each_get_their_row(tmp_path: Path) -> None:
    folder = tmp_path / "my photos"
    folder.mkdir()
    files = {
        HOSTILE: photo(1),
        "copy.png": photo(1),
        "empty.jpg": b"",
        "text.jpg": b"no picture",
        "cut.png": photo(2)[:600],
        "notes.md": b"left out",
        ".hidden.png": photo(3),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    Image.new("1", (9_000, 8_000)).save(folder / "huge.png")

    result = tried(folder, "-o", "out/page.html", "--json")
    assert result.exit_code == 0, result.output
    rows = {row["photo"]: row for row in json.loads(result.stdout)}
    shown = HOSTILE.replace("\n", "\N{REPLACEMENT CHARACTER}")
    assert rows.keys() == {shown, "copy.png", "empty.jpg", "text.jpg", "cut.png", "huge.png"}
    assert len(rows[shown]["questions"]) == 3
    assert rows[shown]["certain"] == 12
    assert rows[shown]["why"] == []
    assert rows["copy.png"]["why"] == [f"It is the same picture as {shown}."]
    assert rows["empty.jpg"]["why"] == ["The file is empty."]
    assert rows["text.jpg"]["why"] == ["The file is not a picture."]
    assert "damaged" in rows["cut.png"]["why"][0] or "missing" in rows["cut.png"]["why"][0]
    assert "too many pixels" in rows["huge.png"]["why"][0]
    assert "notes.md" in result.stderr

    page = Path("out/page.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "http" not in page.replace("http-equiv", ""), "one file, nothing of any server"
    for row in rows[shown]["questions"]:
        assert row["question"].split('"')[0] in page
    assert page.count('class="card"') == 3 + 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calls", "my photos", "out"], "the lake is gone"


@pytest.mark.usefixtures("toys")
def test_the_terminal_shows_questions_reasons_and_a_table(tmp_path: Path) -> None:
    (tmp_path / HOSTILE).write_bytes(photo(1))
    Path("grey.txt").write_text("no picture")
    result = tried(tmp_path / HOSTILE, "grey.txt")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("[red]my <script>") == 2, (
        "as it is called, not as markup: above its questions, in the table"
    )
    assert len(re.findall(r"^  \d\. .+ → -?\d", result.stdout, re.M)) == 3
    assert "2 photos tried, 1 with questions, 3 questions" in result.stdout
    assert result.stdout.count("The file is not a picture.") == 2
    assert "try.html" in result.stdout
    assert Path("try.html").is_file()


@pytest.mark.usefixtures("toys")
def test_a_kept_lake_can_be_used_on(tmp_path: Path) -> None:
    Path("one.png").write_bytes(photo(1))
    assert tried("one.png", "--keep", "lake here").exit_code == 0
    lake = Lake(LakeSettings(uri=f"file://{tmp_path}/lake here/lake"))
    assert [images.num_rows for _, images in lake.images()] == [1]
    again = tried("one.png", "--keep", "lake here")
    assert again.exit_code == 2
    assert "not empty" in again.output


def test_an_error_of_one_photo_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    asked_first: list[str] = []
    fails = ToySegmenter(calls, lambda sha: sha == (asked_first or asked_first.append(sha) or asked_first)[0])
    engines = replace(toy_engines(calls), segmenter=fails)
    monkeypatch.setattr("hopchain_etl.pipeline.build.create_engines", lambda _: engines)
    for seed in (1, 2):
        Path(f"{seed}.png").write_bytes(photo(seed))
    result = tried("1.png", "2.png", "--json")
    assert result.exit_code == 0, result.output
    first, second = json.loads(result.stdout)
    assert first["why"] == ["An error stopped it: out of memory."]
    assert second["questions"]


@pytest.mark.usefixtures("toys")
def test_a_stopped_trial_tells_what_is_done_and_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    stop.set()
    monkeypatch.setattr("hopchain_etl.cli.progress.stoppable", lambda: nullcontext(stop))
    Path("one.png").write_bytes(photo(1))
    result = tried("one.png")
    assert result.exit_code == 130, result.output
    assert "0 photos tried" in result.stdout
    assert Path("try.html").is_file()


class DyingSegmenter(ToySegmenter):
    """Serves ``served`` photos; then its server is gone."""

    served = 1

    def segment(self, jobs: Iterable[SegmentJob]) -> Iterator[Reply[SegmentJob]]:
        if self._calls.read_text().count("segment") == self.served:
            raise EngineDownError("the server is gone")
        yield from super().segment(jobs)


def test_what_is_done_when_the_engine_dies_is_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    engines = replace(toy_engines(calls), segmenter=DyingSegmenter(calls))
    monkeypatch.setattr("hopchain_etl.pipeline.build.create_engines", lambda _: engines)
    for seed in (1, 2):
        Path(f"{seed}.png").write_bytes(photo(seed))
    result = tried("1.png", "2.png", "--json")
    assert isinstance(result.exception, EngineDownError)
    assert [one["photo"] for one in json.loads(result.stdout)] == ["1.png"]
    assert Path("try.html").read_text("utf-8").count('class="card"') == 3


def test_an_engine_that_is_not_there_at_all_leaves_no_empty_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DyingSegmenter, "served", 0)
    engines = replace(toy_engines(tmp_path / "calls"), segmenter=DyingSegmenter(tmp_path / "calls"))
    monkeypatch.setattr("hopchain_etl.pipeline.build.create_engines", lambda _: engines)
    Path("1.png").write_bytes(photo(1))
    result = tried("1.png")
    assert isinstance(result.exception, EngineDownError)
    assert result.stdout == ""
    assert not Path("try.html").exists()


def test_escape_codes_of_an_error_do_not_reach_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hostile(ToySegmenter):
        def segment(self, jobs: Iterable[SegmentJob]) -> Iterator[Reply[SegmentJob]]:
            yield from (Reply(job, error="bad \x1b]0;title\x07 and \x1b[31m") for job in jobs)

    engines = replace(toy_engines(tmp_path / "calls"), segmenter=Hostile(tmp_path / "calls"))
    monkeypatch.setattr("hopchain_etl.pipeline.build.create_engines", lambda _: engines)
    Path("1.png").write_bytes(photo(1))
    result = tried("1.png")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("bad ]0;title and [31m") == 2, "below its name, and in the table"
    assert "\x1b" not in result.stdout
    assert "\x07" not in result.stdout


def test_labels_that_are_not_used_are_told_beside_their_photo_and_at_the_end() -> None:
    scene = draw(KINDS[0], 1)
    scene.image.save("a.png")
    labels = coco_of([("a.png", scene)])
    labels["annotations"].append({"id": "\x1b[31m", "image_id": 1, "category_id": 1, "bbox": [5, 5, 0, 3]})
    labels["images"].append({"id": "<b>9", "file_name": "b.png"})
    Path("labels.json").write_text(json.dumps(labels))
    words = ("a.png", "--labels", "labels.json", "--profile", "labels")
    of_photo = "Left out of the labels, because its outline holds nothing: labels.json, id [31m: a box of 0 x 3 px."
    of_files = "Left out of the labels, because the photo is not among these: labels.json, id <b>9: "

    result = tried(*words)
    assert result.exit_code == 0, result.output
    assert of_photo in result.stdout
    assert of_files in result.stdout
    page = Path("try.html").read_text("utf-8")
    assert page.count("Left out of the labels, because its outline holds nothing") == 1
    assert page.count("Left out of the labels, because the photo is not among these: labels.json, id &lt;b&gt;9") == 1

    result = tried(*words, "--json")
    (row,) = json.loads(result.stdout)
    assert row["notes"] == [of_photo.replace("[31m", "\x1b[31m")]
    assert of_files in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["[b]missing[/].jpg"], "[b]missing[/].jpg is neither a photo nor a folder"),
        (["empty"], "there are no photos in empty"),
        ([], "Missing argument"),
        (["one.png", "--preset", "none"], "--preset"),
        (["one.png", "-o", "empty"], "cannot be written"),
        (["one.png", "-o", "one.png/page.html"], "cannot be written"),
        (["one.png", "--keep", "one.png"], "--keep"),
    ],
)
def test_usage_errors_exit_with_2_and_leave_nothing(words: list[str], said: str) -> None:
    Path("empty").mkdir()
    Path("one.png").write_bytes(photo(1))
    result = tried(*words)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
    assert sorted(path.name for path in Path().iterdir()) == ["empty", "one.png"]


def test_missing_weights_are_told_in_one_line_with_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("one.png").write_bytes(photo(1))
    missing = [Finding("U2-Net", "missing", "is gone", "pip install it"), Finding("cv2", "missing", "is gone", "")]
    monkeypatch.setattr("hopchain_etl.doctor.models.local_weights", lambda: iter(missing))
    monkeypatch.setattr(sys, "argv", ["hopchain", "try", "one.png"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 1
    said = " ".join(capsys.readouterr().err.split())
    assert said == "the local engine lacks U2-Net, cv2; pip install it (hopchain doctor says more)"


@pytest.mark.slow
def test_the_local_engines_ask_about_a_drawn_price_list_and_say_why_not_about_an_empty_photo() -> None:
    draw("table", 7).image.save("table.png")
    Image.new("RGB", (400, 300), "grey").save("grey.png")
    result = tried("table.png", "grey.png", "--json")
    assert result.exit_code == 0, result.output
    table, grey = json.loads(result.stdout)
    assert table["questions"]
    assert grey["questions"] == []
    assert grey["why"][0].startswith("Nothing was found in it")
