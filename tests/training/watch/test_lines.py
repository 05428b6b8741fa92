"""JSON lines that are being written, that a crash has cut, or that are no JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.training.watch.lines import WatchError, json_lines

LINES = st.lists(st.dictionaries(st.text(max_size=8), st.one_of(st.none(), st.text(), st.integers())), max_size=5)


def read(path: Path, data: bytes) -> list[tuple[int, object]]:
    path.write_bytes(data)
    return list(json_lines(path))


@given(lines=LINES, cut=st.integers(min_value=0))
def test_a_log_cut_anywhere_gives_its_whole_lines(
    lines: list[dict[str, object]], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = [json.dumps(line).encode() for line in lines]
    data = b"".join(line + b"\n" for line in whole)
    data = data[: cut % (len(data) + 1)]
    found = read(tmp_path_factory.getbasetemp() / "cut.jsonl", data)
    complete = data.count(b"\n")
    assert [one for _, one in found][:complete] == lines[:complete]
    assert len(found) - complete in (0, 1)  # a last line may be whole but for its end


def test_a_line_glued_to_half_of_another_is_read(tmp_path: Path) -> None:
    data = b'{"step": 1}\n{"step": 2, "loss": 0.{"step": 2, "nested": {"a": 1}}\n'
    assert [one for _, one in read(tmp_path / "a.jsonl", data)] == [{"step": 1}, {"step": 2, "nested": {"a": 1}}]


@pytest.mark.parametrize("rubbish", [b"\xff\xfe\x00rubbish", b"[1, 2]", b"{'step': 1}", b"{" * 5000])
def test_rubbish_is_named_with_file_and_line(tmp_path: Path, rubbish: bytes) -> None:
    with pytest.raises(WatchError, match=r"log\.jsonl, line 3: not a JSON object"):
        read(tmp_path / "log.jsonl", b'{"step": 1}\n\n' + rubbish + b'\n{"step": 2}\n')
