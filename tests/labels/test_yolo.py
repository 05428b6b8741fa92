"""Files of YOLO as tools write them."""

from __future__ import annotations

import io

import pytest

from hopchain_etl.labels.entries import LabelledThing, Mistake
from hopchain_etl.labels.yolo import Names, read_yolo


@pytest.mark.parametrize("first", ["0.0", "0.000000", "0.000000000000000000e+00", "00"])
def test_the_number_of_a_category_may_have_decimals(first: str) -> None:
    names, box = Names(), "0.5 0.5 0.1 0.1"
    names.read("data.yaml", io.BytesIO(b"names: [cat, dog]"))
    lines = [f"{number} {box}" for number in (first, "1.0", "1.5", "-1")]
    found = list(read_yolo("a.txt", io.BytesIO("\n".join(lines).encode()), names))
    assert [one.category for one in found if isinstance(one, LabelledThing)] == ["cat", "dog"]
    told = [(one.id, one.reason) for one in found if isinstance(one, Mistake)]
    assert told == [("line 3", "unknown_category"), ("line 4", "unknown_category")]
