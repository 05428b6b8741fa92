"""Examples show a wrong and a right answer of the question, and nothing that could harm who reads them."""

from __future__ import annotations

from typing import Any

from hopchain_etl.evaluation.examples import changed_examples
from hopchain_etl.evaluation.pairs import match
from support.evaluation_runs import run, scored

Rows = list[dict[str, Any]]


def examples(before: Rows, after: Rows, most: int = 5) -> dict[str, Rows]:
    runs = run("before", before), run("after", after)
    return changed_examples(match(*runs).pairs, *runs, most, seed=0)


def test_each_kind_has_its_examples_with_both_answers() -> None:
    found = examples(scored([0, 1, 1, 0]), scored([1, 0, 1, 0]))
    ((right,), (wrong,)) = found["became_right"], found["became_wrong"]
    assert (right["item_id"], right["question"], right["gold"]) == ("q00000", "How many in 0?", "24")
    assert (right["baseline"]["answer"], right["trained"]["answer"]) == ("7", "24")
    assert (wrong["item_id"], wrong["baseline"]["answer"], wrong["trained"]["answer"]) == ("q00001", "24", "7")


def test_of_several_samples_a_wrong_and_a_right_one_are_shown() -> None:
    def samples(*scores: float) -> Rows:
        return [
            {"item_id": "q", "cluster": "p", "sample": place, "score": score, "answer": f"{score}"}
            for place, score in enumerate(scores)
        ]

    (found,) = examples(samples(1, 0, 0), samples(0, 1, 1))["became_right"]
    assert (found["baseline"]["answer"], found["trained"]["answer"]) == ("0", "1")


def test_at_most_so_many_are_drawn() -> None:
    found = examples(scored([0] * 30), scored([1] * 30), most=4)
    assert len({one["item_id"] for one in found["became_right"]}) == 4
    assert found["became_wrong"] == []


def test_the_same_name_in_two_variants_is_not_mixed_up() -> None:
    def both(*scores: float) -> Rows:
        return [
            {"item_id": "q", "score": score, "variant": name, "text": f"{name} {score}"}
            for score, name in zip(scores, ("full", "half"), strict=True)
        ]

    (found,) = examples(both(0, 1), both(1, 1))["became_right"]
    assert (found["variant"], found["baseline"]["text"], found["trained"]["text"]) == ("full", "full 0", "full 1")


def test_long_answers_lose_their_middle_and_all_lose_what_cannot_be_seen() -> None:
    text = "start " + "x" * 9_000 + " end"
    (found,) = examples(scored([0], text=text), scored([1], text="a\x1b[2J\x00\u202eb\n\tc"))["became_right"]
    assert len(found["baseline"]["text"]) < 1_300
    assert found["baseline"]["text"].startswith("start x")
    assert found["baseline"]["text"].endswith("x end")
    assert "[... 7,810 characters ...]" in found["baseline"]["text"]
    assert found["trained"]["text"] == "a[2Jb\n\tc"
