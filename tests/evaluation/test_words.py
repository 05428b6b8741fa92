"""What a person reads: the verdict, and tables for a paper in which no name breaks anything."""

from __future__ import annotations

import pytest

from hopchain_etl.evaluation.compare import compare
from hopchain_etl.evaluation.words import latex_table, markdown_table, p_value, points, verdict
from support.evaluation_runs import run, scored

HALF = [0, 1] * 100


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        (HALF, [1] * 200, "Better"),
        ([1] * 200, HALF, "Worse"),
        (HALF, [*HALF[1:], 0], "No difference shown"),
        ([0, 1], [1, 1], "Not known"),
    ],
)
def test_the_verdict_is_that_of_the_interval(before: list[int], after: list[int], word: str) -> None:
    said, sentence = verdict(compare(run("before", scored(before)), run("after", scored(after))))
    assert said == word
    if word == "No difference shown":
        assert "points or more in four of five tries" in sentence
        assert "may be there all the same" in sentence


@pytest.mark.parametrize(("change", "told"), [(0.0512, "+5.1"), (-0.0512, "−5.1"), (0.0004, "0.0"), (-0.0004, "0.0")])
def test_points_have_a_sign(change: float, told: str) -> None:
    assert points(change) == told


@pytest.mark.parametrize(("p", "told"), [(1e-9, "< .001"), (0.0312, ".031"), (1.0, "1.000")])
def test_p_values_have_three_decimals(p: float, told: str) -> None:
    assert p_value(p) == told


def test_tables_have_a_row_a_benchmark_and_their_mean() -> None:
    names = ("hopchain/default", "V*|_50%\n\u202e&")
    before, after = (
        run(who, [row for name in names for row in scored(scores, benchmark=name)], splits={})
        for who, scores in (("be|fore", HALF), ("after", [1] * 200))
    )
    facts = compare(before, after)
    rows = markdown_table(facts).splitlines()
    assert rows[-1].startswith(r"after against be\|fore; per cent")
    assert rows[2].startswith(r"| V\*\|\_50% & | 200 | 68 | 50.0 | 100.0 | +50.0 |")
    assert rows[3].startswith("| hopchain/default | 200 | 67 | 50.0 | 100.0 | +50.0 |")
    assert rows[4].startswith("| mean of benchmarks | 400 | 134 | 50.0 | 100.0 | +50.0 |")
    latex = latex_table(facts)
    assert r"V*|\_50\% \& & 200 & 68 & 50.0 & 100.0 & +50.0 &" in latex
    assert latex.count(r"\\") == 4  # head, two benchmarks, mean


def test_a_forced_comparison_says_so_in_the_table() -> None:
    runs = run("before", scored(HALF)), run("after", scored(HALF), grader="mine")
    assert "compared by force" in markdown_table(compare(*runs, force=True))
    assert "compared by force" in latex_table(compare(*runs, force=True))
    assert "compared by force" not in markdown_table(compare(runs[0], runs[0]))
