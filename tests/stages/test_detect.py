from __future__ import annotations

from typing import Any

import pytest

from hopchain_etl.engines.base import Selection
from hopchain_etl.stages.detect import categories
from hopchain_etl.stages.runner import Accepted, Rejected

ROW = {"image_id": "photo"}
CHOSEN = Selection(min_quality="medium", min_complexity=4)


def reason(**content: Any) -> str | None:
    """Return why a photo is rejected; None if it is taken."""
    cat = {"category": "cat", "count_estimate": 2, "found": None}
    outcome = categories(ROW, {"quality": "medium", "complexity": 4, "categories": [cat], **content}, CHOSEN)
    return None if isinstance(outcome, Accepted) else outcome.reason


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, None),
        ({"quality": "high", "complexity": 9}, None),
        ({"quality": "low"}, "low_quality"),
        ({"complexity": 3}, "too_simple"),
        ({"quality": None, "complexity": 3}, None),  # a detector that rates no photo
        ({"quality": "low", "complexity": None}, None),
        ({"categories": []}, "no_segmentable_objects"),
        ({"unlabelled": True}, "no_labels"),
        ({"unusable": True}, "no_usable_labels"),
    ],
)
def test_a_photo_is_taken_or_rejected_with_a_reason(content: dict[str, Any], expected: str | None) -> None:
    assert reason(**content) == expected


def test_without_a_selection_the_rating_does_not_matter() -> None:
    outcome = categories(ROW, {"quality": "low", "complexity": 1, "categories": []})
    assert outcome == Rejected("no_segmentable_objects", "nothing was seen that has an outline")
