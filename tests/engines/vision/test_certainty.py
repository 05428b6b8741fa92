"""Each doubt has a scene that raises it, and the same scene without its cause that does not."""

from __future__ import annotations

import pytest

from hopchain_etl.engines.vision.certainty import Candidate, uncertainty_reasons, without_misnamed

WIDTH, HEIGHT = 1000, 800
Box = tuple[float, float, float, float]
MIDDLE: Box = (300, 300, 500, 500)


def doubt(one: Candidate, *others: Candidate) -> str | None:
    return uncertainty_reasons([one, *others], WIDTH, HEIGHT)[0]


def thing(category: str = "cat", score: float = 0.9, box: Box = MIDDLE) -> Candidate:
    return Candidate(category, score, box)


def line(text: str, score: float = 0.99, box: Box = (100, 100, 300, 140)) -> Candidate:
    return Candidate("text", score, box, text)


def test_a_clear_object_alone_is_certain() -> None:
    assert doubt(thing()) is None


@pytest.mark.parametrize(("score", "reason"), [(0.49, "low_score"), (0.5, None)])
def test_score(score: float, reason: str | None) -> None:
    assert doubt(thing(score=score)) == reason


@pytest.mark.parametrize("box", [(300, 300, 350, 350), (20, 20, 900, 700)])
def test_unusual_sizes_need_more_score(box: Box) -> None:
    assert doubt(thing(score=0.6, box=box)) == "unusual_size"
    assert doubt(thing(score=0.8, box=box)) is None


@pytest.mark.parametrize("box", [(0, 300, 1000, 500), (300, 0, 500, 800), (0, 300, 50, 500), (300, 750, 600, 800)])
def test_objects_that_the_border_cuts_are_doubtful(box: Box) -> None:
    assert doubt(thing(box=box)) == "cut"


def test_touching_one_border_with_most_of_it_inside_is_fine() -> None:
    assert doubt(thing(box=(0, 300, 200, 500))) is None


def test_two_names_for_one_place() -> None:
    cup, bowl, poor_bowl = thing("cup", 0.97), thing("bowl", 0.7), thing("bowl", 0.4)
    assert without_misnamed([cup, bowl]) == ([cup, bowl], [])
    assert doubt(cup, bowl) == "rival"
    assert doubt(bowl, cup) == "rival"
    assert without_misnamed([cup, poor_bowl]) == ([cup], [poor_bowl])


def test_a_better_one_of_the_same_kind_in_the_same_place_makes_the_other_doubtful_only() -> None:
    whole, half = thing(score=0.95, box=(300, 300, 500, 600)), thing(score=0.6, box=(310, 300, 490, 440))
    assert doubt(half, whole) == "repeated"
    assert doubt(whole, half) is None


def test_a_box_around_several_of_its_kind_is_a_group() -> None:
    group = thing(score=0.9, box=(300, 300, 700, 500))
    assert doubt(group, thing(box=(300, 300, 450, 500)), thing(box=(550, 300, 700, 500))) == "group"


def test_what_is_on_a_screen_or_a_poster_is_printed() -> None:
    assert doubt(thing(), thing("television", box=(250, 250, 550, 550))) == "printed"
    poster = line("GRAND OPENING", box=(300, 320, 500, 400))
    assert doubt(thing("person"), poster) == "printed"
    assert doubt(thing("bus"), poster) is None
    assert doubt(thing("person"), line("口", 0.6, (300, 320, 500, 400))) is None  # texture, not print


@pytest.mark.parametrize(
    ("text", "score", "reason"),
    [
        ("NOTICE", 0.99, None),
        ("4B-Thinking", 0.96, None),
        ("NOTICE", 0.94, "unreadable"),
        ("Wivennoe Fark to the Sports Centre", 0.97, "unreadable"),  # one character of 34 is probably wrong
        ("5", 1.0, "unreadable"),
        ("□□", 1.0, "unreadable"),
    ],
)
def test_texts(text: str, score: float, reason: str | None) -> None:
    assert doubt(line(text, score)) == reason


def test_texts_at_the_border_or_read_twice_are_doubtful() -> None:
    assert doubt(line("NOTICE", box=(0, 100, 200, 140))) == "cut"
    assert doubt(line("NOTICE"), line("NOTICES")) == "repeated"
