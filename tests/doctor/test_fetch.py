"""What a request of the checks says that cannot be sent."""

from __future__ import annotations

import pytest

from hopchain_etl.doctor.fetch import fetch
from support.scripted_server import Say, ScriptedServer


def test_a_key_that_no_header_may_hold_is_told_and_not_shown() -> None:
    with pytest.raises(ValueError, match="API key") as caught:
        fetch("http://127.0.0.1:9/v1/models", "open\nsesame", None, 5)
    assert "sesame" not in str(caught.value)


def test_a_server_is_asked_as_a_build_asks_it_by_the_proxy_of_the_settings_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ScriptedServer(lambda body, times: Say("unasked")) as server:
        assert b"scripted" in fetch(f"{server.url}/models", None, None, 5)
        proxy = server.url.removesuffix("/v1")
        assert b"scripted" in fetch("http://models.invalid/v1/models", None, None, 5, proxy)
