"""Questions are told apart by what is known about them; nothing is lost."""

from __future__ import annotations

import pytest

from hopchain_etl.evaluation.breakdowns import breakdowns
from hopchain_etl.evaluation.pairs import Pairs, match
from support.evaluation_runs import run


def pairs(**columns: list[object]) -> Pairs:
    """Return as many questions as the columns are long."""
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return match(run("before", rows), run("after", rows)).pairs


def rows_of(found: Pairs, name: str) -> list[tuple[str, int]]:
    (part,) = (part for part in breakdowns(found) if part["name"] == name)
    assert sum(row["questions"] for row in part["rows"]) == len(found)
    return [(row["value"], row["questions"]) for row in part["rows"]]


def test_numbers_bands_and_names_are_in_their_order_and_unknown_last() -> None:
    made = pairs(
        n_hops=[10, 4, 5, None], band=["easy", "all_wrong", None, "hard"], capability=["text", "count", "text", None]
    )
    assert rows_of(made, "n_hops") == [("4", 1), ("5", 1), ("10", 1), ("not known", 1)]
    assert rows_of(made, "band") == [("all_wrong", 1), ("hard", 1), ("easy", 1), ("not known", 1)]
    assert rows_of(pairs(capability=["²", "3", "x"]), "capability") == [("3", 1), ("x", 1), ("²", 1)]  # no number
    assert rows_of(made, "capability") == [("count", 1), ("text", 2), ("not known", 1)]


def test_a_fact_that_nothing_is_known_of_is_left_out() -> None:
    made = pairs(band=[None, None], tokens=[None, None])
    assert {part["name"] for part in breakdowns(made)} == {"n_hops", "capability", "chain"}


@pytest.mark.parametrize(
    ("tokens", "bins"),
    [
        (
            [5, 10, 20, 1500],
            [("0 to 8 tokens", 1), ("9 to 14 tokens", 1), ("15 to 389 tokens", 1), ("390 tokens and more", 1)],
        ),
        ([7, 7, 7, 7], [("7 tokens and more", 4)]),
        ([0, 0, 0, 9], [("0 to 2 tokens", 3), ("3 tokens and more", 1)]),
        ([7, None, 7, 7], [("7 tokens and more", 3), ("not known", 1)]),
    ],
)  # fmt: skip
def test_lengths_fall_into_fourths_of_the_baseline(tokens: list[object], bins: list[tuple[str, int]]) -> None:
    assert rows_of(pairs(tokens=tokens), "length") == bins


def test_rare_values_are_put_together() -> None:
    names: list[object] = [f"kind {place}" for place in range(40)] + ["kind 0"] * 2
    found = rows_of(pairs(capability=names), "capability")
    assert len(found) == 26
    assert found[-1] == ("all others", 15)
    assert ("kind 0", 3) in found
