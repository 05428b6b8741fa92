"""A packed set of digests says the same as a set."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.lake.digests import Digests

# Few first and second halves, so that digests share them.
halves = st.sampled_from([bytes(8), b"\xff" * 8, b"a" * 8, b"b" * 8])
digests = st.lists(st.builds(bytes.__add__, halves, halves), max_size=40)


@given(digests, digests, digests, digests)
def test_it_contains_what_a_set_would(
    first: list[bytes], second: list[bytes], more: list[bytes], asked: list[bytes]
) -> None:
    chunks = [pa.array(part, pa.binary(16)) for part in (first, second)]
    sliced = pa.array([*second, *first], pa.binary(16)).slice(len(second))
    held = Digests(pa.chunked_array([*chunks, sliced], pa.binary(16)), more)
    assert held.contain(asked) == [digest in {*first, *second, *more} for digest in asked]
