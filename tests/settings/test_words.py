"""The word list comes from the settings or a file, and an unusable one is refused where it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.settings import Settings, WordsSettings


def test_words_are_told_apart_by_comma_or_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "words.txt"
    path.write_text("# kitchen\ncup\n\n  coffee   pot \ncup\n")
    assert WordsSettings(file=path).nouns() == ("cup", "coffee pot")
    monkeypatch.setenv("HOPCHAIN_WORDS__CATEGORIES", "cup, coffee pot,cup")
    assert Settings().words.nouns() == ("cup", "coffee pot")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"categories": ()}, r"name some in words\.categories or words\.file"),
        ({"file": "/nowhere/words.txt"}, r"words\.file /nowhere/words\.txt cannot be read .*; correct the path"),
    ],
)
def test_an_unusable_list_is_refused_where_it_is_used(words: dict[str, Any], message: str) -> None:
    Settings(words=words)
    with pytest.raises(ValueError, match=message):
        Settings(engines={"profile": "sam3"}, words=words)
