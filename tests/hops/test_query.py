from __future__ import annotations

import pytest

from hopchain_etl.hops.query import Hop, QueryError, Read, Relation, hop_from_row


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


@pytest.mark.parametrize("value", ["[1]", '{"n": 1}', "null"])
def test_a_reading_is_a_number_a_text_or_yes_or_no(value: str) -> None:
    row = {"target": ["a"], "category": "dog", "rel": "named", "to": None, "read": "number", "arg": None}
    assert hop_from_row({**row, "value": "7"}, 3).value == 7
    with pytest.raises(QueryError, match=r"h3: value .* is neither number, string nor boolean"):
        hop_from_row({**row, "value": value}, 3)


@pytest.mark.parametrize(
    ("rel", "to", "read", "levels"),
    [
        (Relation.NAMED, None, None, (1,)),
        (Relation.NAMED, None, Read.NUMBER, (1,)),
        (Relation.LEFT_OF, None, None, (1,)),  # the leftmost one
        (Relation.LEFT_OF, "h1", None, (2,)),
        (Relation.LEFT_OF, "h1", Read.NUMBER, (2, 1)),
        (Relation.ABOVE, "h1", Read.COUNT, (2,)),
        (Relation.NAMED, None, Read.COUNT, (2,)),
    ],
)
def test_a_hop_relates_counts_or_looks_at_one_object(
    rel: Relation, to: str | None, read: Read | None, levels: tuple[int, ...]
) -> None:
    hop = Hop((), "car", rel, to, read)
    assert (hop.levels, hop.level) == (levels, levels[-1])
