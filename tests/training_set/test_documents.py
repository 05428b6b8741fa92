"""Damaged documents of a registry are named, with the remedy."""

from __future__ import annotations

import pytest

from hopchain_etl.training_set.documents import DamagedDocumentError, parsed

CONFLICT = b'{\n<<<<<<< HEAD\n"a": "part-00000"\n=======\n"a": "part-00001"\n>>>>>>> theirs\n}\n'


def test_a_document_is_a_dict_or_a_list() -> None:
    assert parsed(b'{"a": 1}', dict, "images.json") == {"a": 1}
    assert parsed("[1]", list, "withdrawn.json") == [1]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "it is not JSON: Expecting value: line 1 column 1"),
        (b'{"a": ', "it is not JSON"),
        (CONFLICT, "it is not JSON: .* line 2 column 1"),
        (b'\xff\xfe"', "it is not JSON: .*can't decode"),
        (b"[]", "it holds no dict"),
    ],
)
def test_a_damaged_one_is_named_with_its_remedy(data: bytes, problem: str) -> None:
    with pytest.raises(DamagedDocumentError, match=rf"^images.json is damaged, {problem}.*; restore it from an "):
        parsed(data, dict, "images.json")
    with pytest.raises(DamagedDocumentError, match=r"; run it again$"):
        parsed(data, dict, "images.json", "run it again")
