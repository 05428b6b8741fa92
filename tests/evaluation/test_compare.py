"""The facts of a comparison: by benchmark and variant, blind, with several samples, and with what changed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hopchain_etl.evaluation.answers import EvaluationError, EvaluationRun
from hopchain_etl.evaluation.compare import compare
from hopchain_etl.evaluation.statistics import Clusters, difference, mcnemar
from support.evaluation_runs import run, scored

BEFORE = [0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1]
AFTER = [1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1]


def runs(**same: object) -> tuple[EvaluationRun, EvaluationRun]:
    return run("before", scored(BEFORE, **same)), run("after", scored(AFTER, **same))


def test_the_figures_are_those_of_the_statistics() -> None:
    facts = compare(*runs())
    (group,) = facts["groups"]
    changes, clusters = np.subtract(AFTER, BEFORE), Clusters(np.arange(12) // 3)
    expected = difference(changes, clusters)
    assert group["difference"] == {"value": expected.value, "low": expected.low, "high": expected.high}
    assert facts["headline"]["difference"] == group["difference"]
    assert group["p"] == group["p_holm"] == mcnemar(clusters.sums(changes))
    assert (group["became_right"], group["became_wrong"], group["photos"], group["questions"]) == (3, 1, 4, 12)
    assert (group["baseline"]["value"], group["trained"]["value"]) == (0.5, pytest.approx(8 / 12))
    assert json.loads(json.dumps(facts)) == facts


def test_it_is_the_same_each_time_whatever_the_order_of_answers() -> None:
    before, after = runs()
    shuffled = EvaluationRun(after.header, after.answers.take(np.random.default_rng(0).permutation(12)))
    assert compare(before, after) == compare(before, shuffled)


def test_the_seed_is_that_of_the_bootstrap() -> None:
    random = np.random.default_rng(0)
    before, after = (run(name, scored(random.integers(0, 2, 301).tolist())) for name in ("before", "after"))
    bounds = [compare(before, after, seed=seed)["groups"][0]["bootstrap"]["low"] for seed in (0, 0, 1, 2, 3)]
    assert bounds[0] == bounds[1]
    assert len(set(bounds)) > 1


def test_what_was_measured_differently_is_refused_unless_forced() -> None:
    before, after = run("before", scored(BEFORE)), run("after", scored(AFTER), prompt="cd" * 32)
    with pytest.raises(EvaluationError, match="before and after were not measured alike") as refused:
        compare(before, after)
    assert "- prompt: " in str(refused.value)
    (objection,) = compare(before, after, force=True)["objections"]
    assert objection.startswith("prompt")


def test_variants_and_blind_answers_stand_beside_the_full_questions() -> None:
    cases = [("full", True), ("full", False), ("half", True), ("single", True)]
    rows = [
        row for variant, sees in cases for row in scored(BEFORE if sees else [0] * 12, variant=variant, sees_image=sees)
    ]
    made = run("before", [row | {"item_id": f"q{place % 12}"} for place, row in enumerate(rows)])
    facts = compare(made, made)
    keys = [(group["variant"], group["sees_image"], group["main"]) for group in facts["groups"]]
    assert keys == [("full", True, True), ("half", True, False), ("single", True, False), ("full", False, False)]
    assert facts["groups"][-1]["trained"]["value"] == 0
    assert facts["headline"]["questions"] == 12  # those of full, with the photo


def test_each_benchmark_has_the_same_weight_and_holm_counts_them() -> None:
    def both(scores: list[int], other: list[int]) -> list[dict[str, object]]:
        return [*scored(scores), *scored(other, benchmark="EMMA")]

    random = np.random.default_rng(0)
    coin = random.integers(0, 2, 40).tolist()
    before = run("before", both([0] * 40, coin), splits={})
    after = run("after", both([1] * 40, random.integers(0, 2, 40).tolist()), splits={})
    facts = compare(before, after)
    emma, own = facts["groups"]
    assert (emma["benchmark"], own["benchmark"]) == ("EMMA", "hopchain/default")
    assert facts["headline"]["difference"]["value"] == pytest.approx((1 + emma["difference"]["value"]) / 2)
    assert facts["headline"]["difference"]["low"] < facts["headline"]["difference"]["value"]
    assert own["p_holm"] == pytest.approx(2 * own["p"])
    assert facts["headline"]["finds"] > 0


def test_several_samples_give_pass_at_k_and_a_histogram() -> None:
    rows = [{"item_id": f"q{place // 4}", "sample": place % 4} for place in range(12)]
    before = run("before", [row | {"score": float(row["sample"] < int(row["item_id"][1:]))} for row in rows])
    (found,) = compare(before, run("after", rows))["samples"]
    assert [one["right"] for one in found["histogram"]] == [0, 1, 2, 3, 4]
    assert [one["baseline"] for one in found["histogram"]] == [1, 1, 1, 0, 0]
    assert [one["trained"] for one in found["histogram"]] == [0, 0, 0, 0, 3]
    assert [one["k"] for one in found["pass_at_k"]] == [1, 2, 4]
    assert found["pass_at_k"][0]["baseline"] == pytest.approx(0.25)
    assert found["pass_at_k"][1]["baseline"] == pytest.approx((0 + 1 / 2 + 5 / 6) / 3)
    assert compare(*runs())["samples"] == []


def test_warnings_of_others_are_kept() -> None:
    assert compare(*runs(), warnings=["3 images of EMMA are in the training set"])["warnings"] == [
        "3 images of EMMA are in the training set"
    ]
