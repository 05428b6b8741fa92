"""Rejects of photos are found by what somebody types of their name."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest

from hopchain_etl.pipeline.funnel import rejects_of
from support.labelled import night, plain, put, settings_in


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_a_photo_is_found_however_its_name_is_spelled(tmp_path: Path, stored: str) -> None:
    settings = settings_in(tmp_path)
    put(
        settings,
        {
            f"{normalize(stored, name)}.png": plain(colour)
            for name, colour in (("décran", (9, 90, 9)), ("b", (90, 9, 9)))
        },
    )
    build = night(settings)
    for typed in ("NFC", "NFD"):
        (found,) = {row["image_id"] for row in rejects_of(build, photo=normalize(typed, "DÉCRAN"))}
        assert found
    assert rejects_of(build, photo="decran") == []
