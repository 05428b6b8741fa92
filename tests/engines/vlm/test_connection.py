"""The API key of a model, as it is sent."""

from __future__ import annotations

import pytest

from hopchain_etl.engines.vlm.connection import api_key
from hopchain_etl.settings import VlmSettings


@pytest.mark.parametrize(("kept", "key"), [("sesame\n", "sesame"), (" sesame\r\n", "sesame"), ("\n", None), ("", None)])
def test_the_line_break_at_the_end_of_a_secret_is_no_part_of_the_key(
    kept: str, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOPCHAIN_VLM_KEY", kept)
    assert (api_key(VlmSettings()) or None) == key
