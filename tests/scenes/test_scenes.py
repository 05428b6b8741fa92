"""Scenes: the same each time, true to their pixels, and easy to keep apart."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hopchain_etl.scenes import ALL_KINDS, KINDS, DrawnScene, TruthInstance, draw
from hopchain_etl.scenes.canvas import COLOURS, NUMBERS
from hopchain_etl.scenes.words import WORDS

SEEDS = st.integers(min_value=0, max_value=2**40)
every_kind = pytest.mark.parametrize("kind", KINDS)


def gaps(a: TruthInstance, b: TruthInstance) -> tuple[float, float]:
    """Return the free px between two boxes, across and down; negative where they share a column or a row."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.box, b.box
    return max(ax1, bx1) - min(ax2, bx2), max(ay1, by1) - min(ay2, by2)


def holds(outer: TruthInstance, inner: TruthInstance) -> bool:
    (ox1, oy1, ox2, oy2), (ix1, iy1, ix2, iy2) = outer.box, inner.box
    return ox1 <= ix1 and oy1 <= iy1 and ix2 <= ox2 and iy2 <= oy2


def numbers(scene: DrawnScene) -> list[int]:
    return [int(one.text) for one in scene.texts if one.text and one.text.isdigit()]


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_seed_gives_the_same_pixels_and_truth(kind: str) -> None:
    first, again = draw(kind, 7), draw(kind, 7)
    assert first.image.tobytes() == again.image.tobytes()
    assert first.instances == again.instances
    assert all(np.array_equal(a.cutout, b.cutout) for a, b in zip(first.instances, again.instances, strict=True))


@every_kind
def test_seeds_differ_in_words_layout_and_size(kind: str) -> None:
    scenes = [draw(kind, seed) for seed in range(12)]
    assert len({scene.image.size for scene in scenes}) > 3
    assert len({tuple(one.text for one in scene.texts) for scene in scenes}) == 12
    assert len({len(scene.instances) for scene in scenes}) > 1


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'comic'.*poster, menu"):
        draw("comic", 0)


@every_kind
@settings(max_examples=12, deadline=None)
@given(seed=SEEDS)
def test_texts_stand_apart_inside_the_image(kind: str, seed: int) -> None:
    scene = draw(kind, seed)
    width, height = scene.image.size
    assert 800 <= height <= 1400
    assert 800 <= width <= 1400
    assert 8 <= len(scene.texts) <= 24
    for one in scene.instances:
        x1, y1, x2, y2 = one.box
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
    for a, b in itertools.combinations(scene.texts, 2):
        across, down = gaps(a, b)
        assert across >= 26 or down >= 14, f"{a.text} and {b.text} are {across} by {down} px apart"


@every_kind
@settings(max_examples=12, deadline=None)
@given(seed=SEEDS)
def test_each_word_and_number_comes_once_and_is_large(kind: str, seed: int) -> None:
    texts = draw(kind, seed).texts
    said = [str(one.text) for one in texts]
    assert len({text.casefold() for text in said}) == len(said)
    for one, text in zip(texts, said, strict=True):
        assert one.box[3] - one.box[1] >= 26
        if one.attributes["reads"] == "number":
            assert int(text) in NUMBERS
        else:
            assert text.casefold() in WORDS
            assert text in (text.upper(), text.title())
    assert sum(text.isdigit() for text in said) >= 4


@every_kind
@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_masks_fill_their_boxes_and_hold_their_colour(kind: str, seed: int) -> None:
    scene = draw(kind, seed)
    pixels = np.asarray(scene.image)
    for one in scene.instances:
        x1, y1, x2, y2 = (int(edge) for edge in one.box)
        assert one.cutout.shape == (y2 - y1, x2 - x1)
        for edge in (one.cutout[0], one.cutout[-1], one.cutout[:, 0], one.cutout[:, -1]):
            assert edge.any(), "the box is tight"
        own = pixels[y1:y2, x1:x2][one.cutout]
        right = (own == COLOURS[one.attributes["colour"]]).all(axis=1)
        assert right.mean() > 0.5, f"most of a {one.category} has its colour; anti-aliased edges and writing have not"
        if one.category == "bar":
            paper = (own == pixels[0, 0]).all(axis=1)
            assert (right | paper).all(), "a bar is striped in its own and the page's colour; the axis runs beside it"


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_full_mask_is_the_cutout_in_its_place(kind: str) -> None:
    scene = draw(kind, 1)
    for one in scene.instances:
        mask = scene.mask(one)
        ys, xs = np.nonzero(mask)
        assert mask.shape == (scene.image.height, scene.image.width)
        assert mask.sum() == one.cutout.sum()
        assert one.box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


@every_kind
def test_text_lies_wholly_on_the_thing_it_is_written_on(kind: str) -> None:
    for scene in (draw(kind, seed) for seed in range(8)):
        things = [one for one in scene.instances if one.text is None]
        for text in scene.texts:
            for thing in things:
                across, down = gaps(text, thing)
                assert holds(thing, text) or across >= 0 or down >= 0, f"{text.text} straddles a {thing.category}"


@settings(max_examples=12, deadline=None)
@given(seed=SEEDS)
def test_longer_bars_stand_for_larger_values(seed: int) -> None:
    scene = draw("bars", seed)
    bars = [one.box for one in scene.instances if one.category == "bar"]
    feet, left_edges = {box[3] for box in bars}, {box[0] for box in bars}
    assert len(feet) == 1 or len(left_edges) == 1, "bars share an axis"
    lengths = [box[3] - box[1] if len(feet) == 1 else box[2] - box[0] for box in bars]
    values = numbers(scene)
    assert len(values) == len(lengths)
    assert sorted(range(len(bars)), key=lengths.__getitem__) == sorted(range(len(bars)), key=values.__getitem__)


@pytest.mark.parametrize("kind", ["menu", "poster", "timetable"])
@settings(max_examples=12, deadline=None)
@given(seed=SEEDS)
def test_a_number_stands_right_of_its_label_beyond_a_wide_gap(kind: str, seed: int) -> None:
    texts = draw(kind, seed).texts
    pairs = [
        (a, b)
        for a, b in itertools.pairwise(texts)
        if a.attributes["reads"] == "word" and b.attributes["reads"] == "number" and gaps(a, b)[1] < 0
    ]
    assert len(pairs) >= 4
    for label, number in pairs:
        height = max(one.box[3] - one.box[1] for one in (label, number))
        assert number.box[0] - label.box[2] >= 4 * height


def test_figures_of_several_forms_lie_over_one_another_and_masks_hold_what_is_seen() -> None:
    over = 0
    for seed in range(12):
        scene = draw("figures", seed)
        figures = [one for one in scene.instances if one.text is None]
        assert len({one.category for one in figures}) >= 2
        assert 2 <= len(scene.texts) <= 8
        pixels = np.asarray(scene.image)
        for one in figures:
            own = pixels[scene.mask(one)]
            assert (own == COLOURS[one.attributes["colour"]]).all(axis=1).mean() > 0.7  # the rest is writing
        for a, b in itertools.combinations(figures, 2):
            assert not (scene.mask(a) & scene.mask(b)).any()
            over += all(gap < 0 for gap in gaps(a, b))
        for text in scene.texts:
            assert any(holds(one, text) for one in figures)
    assert over >= 10


@pytest.mark.slow
def test_ocr_reads_what_is_written() -> None:
    rapidocr = pytest.importorskip("rapidocr")
    reader = rapidocr.RapidOCR(params={"Global.log_level": "error"})
    right, wrong = 0, []
    for kind in KINDS:
        scene = draw(kind, 0)
        found = reader(np.asarray(scene.image)[:, :, ::-1])
        for one in scene.texts:
            x, y = (one.box[0] + one.box[2]) / 2, (one.box[1] + one.box[3]) / 2
            read = [
                text
                for text, box in zip(found.txts, found.boxes, strict=True)
                if box[:, 0].min() < x < box[:, 0].max() and box[:, 1].min() < y < box[:, 1].max()
            ]
            if read == [one.text]:
                right += 1
            else:
                wrong.append((kind, one.text, read))
    assert right / (right + len(wrong)) >= 0.99, wrong
