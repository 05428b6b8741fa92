from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.lake.lake import Shard
from hopchain_etl.release.places import parse_place, place_name


@given(
    st.text("0123456789abcdef", min_size=12, max_size=12), st.sampled_from(["first", "a-b.c"]), st.integers(0, 99999)
)
def test_a_place_is_found_again_by_its_name(fingerprint: str, intake: str, index: int) -> None:
    place = fingerprint, Shard(intake, index)
    assert parse_place(place_name(place)) == place


def test_a_place_is_written_as_views_have_it() -> None:
    assert place_name(("0123456789ab", Shard("first", 3))) == "0123456789ab/first/0003"


@pytest.mark.parametrize("name", ["", "0123456789ab", "0123456789ab/first", "0123456789ab/first/x"])
def test_what_names_no_place_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a shard"):
        parse_place(name)
