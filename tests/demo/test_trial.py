"""Which files are tried, how they are called, and that a trial ends when it is told to."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from PIL import Image

from hopchain_etl.demo.trial import Trial, choose, plain_name
from hopchain_etl.errors import StoppedError
from hopchain_etl.scenes import KINDS, draw
from hopchain_etl.settings import Profile
from hopchain_etl.stages.runner import NoProgress
from support.labelled import coco_of, plain, png
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


def test_labels_may_tell_photos_apart_by_their_folders(tmp_path: Path) -> None:
    scenes = {name: draw(KINDS[0], seed) for seed, name in enumerate(("train/1.png", "val/1.png"), start=1)}
    for name, scene in scenes.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True)
        (tmp_path / "photos" / name).write_bytes(png(scene))
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps(coco_of([(f"images/{name}", scene) for name, scene in scenes.items()])))

    def asked(*photos: str) -> dict[str, int]:
        folder = tmp_path / f"trial of {len(photos)}"
        trial = Trial(folder, [tmp_path / photo for photo in photos], Profile.LABELS, labels)
        return {one.name: one.certain for one in trial.run(NoProgress(), threading.Event())}

    both = asked("photos/train/1.png", "photos/val/1.png")
    assert both.keys() == scenes.keys()
    assert all(both.values())
    assert asked("photos/val/1.png") == {"1.png": both["val/1.png"]}, "the folder of a single photo counts as well"


_HARD_NAMES = ["a\x1b/b\n.png", f"{'/'.join(['long' * 40] * 12)}/b.png", "a/../../b.png", "a b/#?%.png"]


@pytest.mark.parametrize("name", _HARD_NAMES)
def test_a_photo_is_linked_below_its_own_folder_however_it_is_called(tmp_path: Path, name: str) -> None:
    photo = tmp_path / "one" / "two" / name
    (tmp_path / "one" / "two" / "a").mkdir(parents=True)
    photo.parent.mkdir(parents=True, exist_ok=True)
    photo.write_bytes(plain((90, 90, 90)))
    other = tmp_path / "other.png"
    other.write_bytes(plain((10, 90, 90)))
    Trial(tmp_path / "trial", [photo, other])
    photos = tmp_path / "trial" / "photos"
    links = {link.relative_to(photos).parts[0]: link for link in photos.rglob("*.*")}
    assert [links[number].resolve() for number in ("000000", "000001")] == [photo.resolve(), other]
    assert all(str(link).isprintable() for link in links.values())
