from __future__ import annotations

import pytest

from hopchain_etl.hops.query import Hop, Relation


@pytest.mark.parametrize(
    ("to", "letters", "hops"),
    [
        ("letters(h2)", True, (2,)),
        ("h2", False, (2,)),
        ("h4+h12", False, (4, 12)),
        (None, False, ()),
    ],
)
def test_a_hop_refers_to_earlier_ones_by_their_readings_or_by_the_letters_of_one(
    to: str | None, letters: bool, hops: tuple[int, ...]
) -> None:
    hop = Hop((), "number", Relation.NEAREST_VALUE, to)
    assert (hop.seeks_letters, hop.to_hops, hop.to_hop) == (letters, hops, max(hops, default=None))
