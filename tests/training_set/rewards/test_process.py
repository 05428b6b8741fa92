"""The process reward: what states a value, and that neither listing nor silence pays."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hopchain_etl.training_set.rewards.process import process_score, process_scores

HOPS = [{"value": None}, {"value": "7"}, {"value": '"Fresh Fish"'}, {"value": "true"}, {"value": "-0.5"}]


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ('Step 2: the number is 7.\nStep 3: it says "Fresh Fish".\nStep 4: yes\nStep 5: it is -0.50', 1.0),
        ("**Step 2:** it is **7**\n- step 3. FRESH FISH\n### Step 4: a hat can be seen on it: Yes!", 0.75),
        ("<think>Step 2: it is 7</think>\\boxed{3}", 0.25),
        ("Step 2: 7 of them are on the left of 9", 0.0),
        ("Step 2: it is 17", 0.0),
        ("Step 3: Refresh Fish", 0.0),
        ("Step 2: 7\nStep 2: 8", 0.0),  # two that differ are none
        ("Step 2: 5, 6, 7, 8", 0.0),
        ("Step 2: 5, 6, 8, 7", 0.25),  # the last counts, so a list is worth no more than its end
        ("Step 12: 7", 0.0),
        ("step 2: it is seven 7", 0.25),
        ("It is 7. Fresh Fish. yes. -0.5", 0.0),  # nothing says of which step
        ("", 0.0),
    ],
)
def test_the_share_of_values_that_are_stated_right(text: str, share: float) -> None:
    assert process_score(text, HOPS) == share
    assert process_score([{"role": "assistant", "content": text}], np.array(HOPS)) == share


@pytest.mark.parametrize("hops", [None, [], [{"value": None}], "7", [{}], [{"value": "{"}], [{"value": "[1]"}], 7])
def test_a_row_without_values_has_no_process(hops: object) -> None:
    assert process_score("Step 1: 7", hops) is None


def test_only_our_rows_have_one() -> None:
    hops = [[{"value": json.dumps(7)}]] * 2
    assert process_scores(["Step 1: 7"] * 2, hops, ["hopchain/a", "b"]) == [1.0, None]
    assert process_scores(["Step 1: 7"] * 2, hops, None) == [1.0, 1.0]
    assert process_scores(["Step 1: 7"], None, None) == [None]
