from __future__ import annotations

import numpy as np
import pyarrow as pa

from hopchain_etl.release.query_keys import as_keys, find, keys_in, keys_of, starts_of


def test_the_first_of_equal_sorted_keys_is_a_start() -> None:
    keys = np.sort(keys_of(["a", "a", "b", "a", "b", "b"]))
    assert starts_of(keys).tolist() == [True, False, False, True, False, False]
    assert starts_of(as_keys(b"")).tolist() == []


def test_keys_are_found_by_place() -> None:
    keys = np.sort(keys_of(map(str, range(20))))
    assert [keys[place] for place in find(keys, keys_of(["7", "11"]))] == list(keys_of(["7", "11"]))
    assert find(keys, keys_of(["x", "y", "z"])).tolist() == [-1, -1, -1]
    assert find(as_keys(b""), keys_of(["7", "x"])).tolist() == [-1, -1]


def test_keys_in_a_column_of_several_and_of_cut_chunks() -> None:
    every = keys_of(map(str, range(6)))
    stored = pa.array([bytes(key) for key in every], pa.binary(16))
    column = pa.chunked_array([stored.slice(0, 2), stored.slice(2, 0), stored.slice(2, 4)])
    assert keys_in(column).tolist() == every.tolist()
    assert keys_in(pa.chunked_array([], pa.binary(16))).tolist() == []
