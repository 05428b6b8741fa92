"""Which files are tried, how they are called, and that a trial ends when it is told to."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from PIL import Image

from hopchain_etl.demo.trial import Trial, choose, plain_name
from hopchain_etl.scenes import KINDS, draw
from hopchain_etl.stages.runner import NoProgress, StoppedError
from support.labelled import coco_of, png
from support.toy_engines import toy_engines


def names(paths: tuple[Path, ...]) -> list[str]:
    return [path.name for path in paths]


def test_folders_give_their_pictures_in_order_and_each_is_tried_once(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.heic", "deep/c.png", ".cache/d.png", "list.csv", "deep/e"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"")
    (tmp_path / "again.png").symlink_to(tmp_path / "b.JPG")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    chosen = choose([tmp_path / "deep", tmp_path / "list.csv", tmp_path])
    assert names(chosen.photos) == ["c.png", "list.csv", "a.heic", "again.png"], (
        "named files are tried, whatever they are"
    )
    assert names(chosen.left_out) == ["e"]


def test_names_print_as_one_line_of_text() -> None:
    assert plain_name(Path("a\x1b[31m\n\udcff‮ b.png")) == "a�[31m��� b.png"


def test_a_trial_that_is_stopped_says_so_and_leaves_its_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engines, stop = toy_engines(tmp_path / "calls"), threading.Event()
    monkeypatch.setattr("hopchain_etl.pipeline.build.create_engines", lambda _: engines)
    photos = []
    for number in range(3):
        photos.append(tmp_path / f"{number}.png")
        Image.new("RGB", (320, 400), (number * 80, 0, 0)).save(photos[-1])
    done = []

    def run() -> None:
        for one in Trial(tmp_path / "trial", photos).run(NoProgress(), stop):
            done.append(one.name)
            stop.set()

    with pytest.raises(StoppedError):
        run()
    assert done == ["0.png"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ingest")]


def test_labels_are_asked_before_the_engines_of_the_profile(tmp_path: Path) -> None:
    scene = draw(KINDS[0], 1)
    photos, labels = [tmp_path / "scene.png"], tmp_path / "labels.json"
    photos[0].write_bytes(png(scene))
    labels.write_text(json.dumps(coco_of([("scene.png", scene)])))
    trial = Trial(tmp_path / "trial", photos, labels=labels)
    assert trial.settings.engines.roles.detector == ("labels", "local")
    (tried,) = trial.run(NoProgress(), threading.Event())
    assert tried.cards
