"""The process reward: what states a value, and that neither listing nor silence pays."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hopchain_etl.hops.program_author import write_queries
from hopchain_etl.hops.query import Hop, Read, Relation, hop_to_row
from hopchain_etl.hops.reasoning import reasoning, step
from hopchain_etl.training_set.rewards.process import process_score, process_scores
from support.read_scenes import some_scenes

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


def test_reasoning_about_drawn_scenes_states_every_value_and_a_changed_one_costs_its_share() -> None:
    checked = 0
    for _, seed, scene in some_scenes(9):
        for query in write_queries(scene, 1, seed):
            lines, hops = reasoning(query), [hop_to_row(hop) for hop in query.hops]
            assert process_score("\n".join(lines), hops) == 1.0
            read = [number for number, hop in query.numbered() if hop.value is not None]
            place = read[seed % len(read)]
            other = {**hops[place - 1], "value": '"nothing of the kind"'}
            changed = [other if number == place else hop for number, hop in enumerate(hops, 1)]
            assert process_score("\n".join(lines), changed) == pytest.approx(1 - 1 / len(read))
            checked += 1
    assert checked > 10


@pytest.mark.parametrize("value", ["COCA\nCOLA", "two  words", '"Fish"', "a-b.", " x ", "what?"])
def test_a_text_is_stated_right_as_the_reasoning_writes_it(value: str) -> None:
    hop = Hop(("red",), "sign", Relation.NAMED, read=Read.TEXT, value=value)
    assert process_score(step([hop], 1), [hop_to_row(hop)]) == 1.0


@pytest.mark.parametrize("value", ["!!!", " ", "</think>", "a <think>"])
def test_a_text_that_no_line_can_end_with_is_no_value(value: str) -> None:
    written = {"value": json.dumps(value)}
    assert process_score(f"Step 1: {value}", [written]) is None
    assert process_score(f"Step 1: {value}\nStep 2: 7", [written, {"value": "7"}]) == 1.0


@pytest.mark.parametrize("hops", [None, [], [{"value": None}], "7", [{}], [{"value": "{"}], [{"value": "[1]"}], 7])
def test_a_row_without_values_has_no_process(hops: object) -> None:
    assert process_score("Step 1: 7", hops) is None


def test_only_our_rows_have_one() -> None:
    hops = [[{"value": json.dumps(7)}]] * 2
    assert process_scores(["Step 1: 7"] * 2, hops, ["hopchain/a", "b"]) == [1.0, None]
    assert process_scores(["Step 1: 7"] * 2, hops, None) == [1.0, 1.0]
    assert process_scores(["Step 1: 7"], None, None) == [None]
