"""The demonstration's rows are rows of a release, no scene is in both splits, and its interval is one of a gain."""

from __future__ import annotations

import io
import json
import random
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from examples.train_demo.compare import check_curves
from examples.train_demo.curves import smooth, svg
from examples.train_demo.data import INSTRUCTION, rows_of, worked, write_set
from examples.train_demo.figures import interval
from examples.train_demo.layout import GRID
from examples.train_demo.plan import SMALL, Job
from examples.train_demo.scenes import MARK, draw
from hopchain_etl.training_set.dataset import VARIANTS, TrainingSet
from hopchain_etl.training_set.rewards import grade
from hopchain_etl.training_set.verify_row import verify_any


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo")
    assert write_set(path, train=12, validation=6) > 20
    return path


def test_the_same_seed_draws_the_same_scene() -> None:
    assert draw(5) == draw(5)
    assert draw(5).image_id != draw(6).image_id


def test_every_row_passes_the_checks_of_a_release(folder: Path) -> None:
    for row in TrainingSet(folder):
        assert verify_any(dict(row)) == ([], 0.0)
        assert row.image().size == (row["width"], row["height"])
        assert row.prompt().endswith(INSTRUCTION)


def test_the_worked_answer_of_each_variant_is_right(folder: Path) -> None:
    for row in TrainingSet(folder):
        for variant in VARIANTS:
            assert grade(worked(row, variant), row.answer(variant)).correct
        assert not grade(worked(row, "full"), str(int(row["answer"]) + 1)).correct


def test_a_worked_answer_names_the_tiles_that_are_found(folder: Path) -> None:
    moves = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}
    for row in TrainingSet(folder):
        start, named, end, colour, *_ = worked(row, "full").split()
        (dx, dy) = next(move for words, move in moves.items() if words in row["question"])
        assert ord(end) - ord(start) == dx + GRID * dy
        assert f"on the {colour} tile" in row["question_half"]
        assert f"the {named} tile" in row["question"]
        assert worked(row, "half").split()[:2] == [end, colour]


def test_a_tile_shows_as_many_marks_as_the_number_on_it() -> None:
    picture = draw(7)
    pixels = np.asarray(Image.open(io.BytesIO(picture.png)))
    texts = [one for one in picture.instances if one["text"]]
    assert texts
    for one in texts:
        x1, y1, x2, y2 = map(int, one["box"])
        white = (pixels[y1:y2, x1:x2] == 255).all(axis=2).sum()
        assert white == MARK**2 * int(one["text"])


def test_no_scene_is_in_both_splits(folder: Path) -> None:
    train, validation = ({row["image_id"] for row in TrainingSet(folder, split=one)} for one in ("train", "validation"))
    assert train
    assert validation
    assert not train & validation


def test_a_scene_without_neighbours_has_no_question() -> None:
    picture = draw(0)
    apart = [one for one in picture.instances if one["category"] != "tile"]
    assert list(rows_of(type(picture)(picture.image_id, picture.png, tuple(apart)), "train", 0)) == []


def test_the_interval_covers_a_known_gain_and_leaves_out_zero_only_where_there_is_one() -> None:
    chance = random.Random(1)
    pictures = [[2 * place, 2 * place + 1] for place in range(200)]
    base = {seed: [int(chance.random() < 0.3) for _ in range(400)] for seed in range(3)}
    better = {seed: [int(chance.random() < 0.5) for _ in range(400)] for seed in range(3)}
    same = {seed: [int(chance.random() < 0.3) for _ in range(400)] for seed in range(3)}
    low, high = interval(better, [base], pictures)
    assert 0.05 < low < 0.2 < high < 0.35
    low, high = interval(same, [base], pictures)
    assert low < 0 < high
    assert interval(better, [same, better], pictures)[1] <= 0  # never above the best of the others


def test_what_others_start_from_comes_first(tmp_path: Path) -> None:
    jobs = SMALL.jobs()
    assert jobs[0].kind == "warm"
    assert len({job.name for job in jobs}) == len(jobs) == 5 * len(SMALL.seeds)
    elsewhere = replace(SMALL, folder=tmp_path)
    assert Job("blind", 0, elsewhere).ready
    assert not Job("full", 0, elsewhere).ready
    (tmp_path / "results").mkdir()
    Job("warm", 0, elsewhere).file("json").write_text("{}")
    assert Job("full", 0, elsewhere).ready


def test_a_loss_that_stays_and_rewards_that_are_missing_are_told(tmp_path: Path) -> None:
    plan = replace(SMALL, folder=tmp_path, reinforce_steps=2)
    (tmp_path / "results").mkdir()

    def write(kind: str, name: str, values: list[float]) -> None:
        curve = [{name: value} for value in values]
        Job(kind, 0, plan).file("json").write_text(json.dumps({"curve": curve}))

    for kind in VARIANTS:
        write(kind, "reward", [0.0, 0.5])
    write("warm", "loss", [2.0, 1.5, 1.0, 0.8, 0.7])
    check_curves(plan)
    write("half", "reward", [0.5])
    with pytest.raises(ValueError, match="half-0"):
        check_curves(plan)
    write("warm", "loss", [2.0, 2.1, 2.0, 2.0, 1.9])
    with pytest.raises(ValueError, match="did not fall"):
        check_curves(plan)


def test_curves_are_well_formed_and_keep_their_points() -> None:
    lines = [("full", [(1.0, 0.0), (2.0, 1.0)]), ("half", [(1.0, 0.5), (2.0, 0.5)])]
    drawn = ElementTree.fromstring(svg("a & b < c", lines, 0.2))
    strokes = [one.get("points", "") for one in drawn.iter() if one.tag.endswith("polyline")]
    assert len(strokes) == 5 + 1 + 2  # grid, the constant, the lines
    assert len(strokes[-1].split()) == 2
    assert smooth([(place, float(place)) for place in range(10)])[-1] == (9, 7.0)
