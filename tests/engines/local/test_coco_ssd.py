"""Fusion of views by hand-made boxes, and the network itself on photos that ship with scikit-image."""

from __future__ import annotations

import numpy as np
import pytest

from hopchain_etl.engines.local.coco_ssd import NAMES, CocoSsd, _fuse, _Seen, windows

WIDTH, HEIGHT = 1000, 800
FRAMES = windows(WIDTH, HEIGHT)
Box = tuple[float, float, float, float]


def everywhere(box: Box, score: float = 0.9) -> list[_Seen]:
    """What every view that holds the box sees of it, and its mirror image."""
    whole = [i for i, (a, b, c, d) in enumerate(FRAMES) if a <= box[0] and b <= box[1] and c >= box[2] and d >= box[3]]
    return [_Seen(2 * i + mirror, score, box, False) for i in whole for mirror in (0, 1)]


def test_ninety_ids_eighty_names() -> None:
    named = [name for name in NAMES if name]
    assert len(NAMES) == 91
    assert len(named) == len(set(named)) == 80
    assert (NAMES[1], NAMES[17], NAMES[62], NAMES[72], NAMES[90]) == (
        *("person", "cat", "chair", "television", "toothbrush"),
    )


def test_tiles_cover_the_photo_and_overlap() -> None:
    covered = np.zeros((HEIGHT, WIDTH), dtype=int)
    for x1, y1, x2, y2 in FRAMES[1:]:
        covered[y1:y2, x1:x2] += 1
    assert covered.min() == 1
    assert covered.max() == 4


def test_what_all_views_see_keeps_its_score() -> None:
    (one,) = _fuse("cat", everywhere((100, 100, 200, 200)), FRAMES)
    assert one.score == 0.9
    assert one.box == (100, 100, 200, 200)


def test_what_one_view_alone_sees_ends_below_one_half() -> None:
    (one,) = _fuse("aeroplane", [_Seen(2, 0.75, (100, 100, 200, 200), False)], FRAMES)
    assert one.score < 0.5


def test_a_fragment_of_a_whole_object_disappears() -> None:
    dog = everywhere((300, 200, 800, 700))
    fragment = _Seen(2, 0.95, (300, 200, 600, 480), True)
    assert [one.box for one in _fuse("dog", [*dog, fragment], FRAMES)] == [(300, 200, 800, 700)]


def test_a_fragment_of_nothing_known_stays() -> None:
    assert len(_fuse("dog", [_Seen(2, 0.9, (300, 200, 600, 480), True)], FRAMES)) == 1


def test_two_neighbours_stay_two() -> None:
    pair = [*everywhere((100, 100, 200, 300)), *everywhere((180, 100, 280, 300), 0.8)]
    assert len(_fuse("horse", pair, FRAMES)) == 2


def test_a_weak_box_around_two_better_ones_disappears() -> None:
    group = _Seen(0, 0.5, (100, 100, 290, 300), False)
    pair = [*everywhere((100, 100, 200, 300)), *everywhere((190, 100, 290, 300))]
    assert len(_fuse("cat", [*pair, group], FRAMES)) == 2


@pytest.mark.parametrize(("photo", "category"), [("chelsea", "cat"), ("astronaut", "person"), ("coffee", "cup")])
def test_photos(photo: str, category: str) -> None:
    from skimage import data

    best = CocoSsd()(getattr(data, photo)())[0]
    assert best.category == category
    assert best.score > 0.7


def test_an_empty_wall_holds_nothing_sure() -> None:
    wall = np.full((300, 400, 3), 200, dtype=np.uint8)
    assert all(one.score < 0.5 for one in CocoSsd()(wall))
