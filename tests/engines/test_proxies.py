"""No request to this machine goes through a proxy; for others the environment says through which."""

from __future__ import annotations

import pytest

from hopchain_etl.engines.proxies import loopback_excepted, names_proxy, opener, proxy_of
from support.scripted_server import Say, ScriptedServer


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("environment", "hosts"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"NO_PROXY": "s3.corp, localhost"}, "127.0.0.1,localhost,s3.corp"),
        ({"NO_PROXY": "*"}, "*"),
        ({"NO_PROXY": "s3.corp", "no_proxy": ".corp"}, "127.0.0.1,localhost,s3.corp,.corp"),
    ],
)
def test_this_machine_is_added_to_what_is_excepted(environment: dict[str, str], hosts: str) -> None:
    assert loopback_excepted(environment) == {"NO_PROXY": hosts, "no_proxy": hosts}


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, False),
        ({"NO_PROXY": "s3.corp", "no_proxy": "s3.corp", "HTTPS_PROXY": ""}, False),
        ({"HTTPS_PROXY": "http://proxy:3128"}, True),
        ({"all_proxy": "http://proxy:3128"}, True),
    ],
)
def test_whether_an_environment_names_a_proxy(environment: dict[str, str], named: bool) -> None:
    assert names_proxy(environment) is named


def test_the_proxy_of_a_url_is_that_of_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_of("https://models.example/v1") is None
    monkeypatch.setenv("ALL_PROXY", "http://all:1")
    monkeypatch.setenv("HTTPS_PROXY", "tls:2")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    assert proxy_of("https://models.example/v1") == "http://tls:2"
    assert proxy_of("http://models.example:8000/v1") == "http://all:1"
    assert proxy_of("https://inside.example/v1") is None
    for here in ("127.0.0.1:8000", "localhost", "[::1]:8000"):
        assert proxy_of(f"http://{here}/v1") is None


def test_an_opener_does_not_ask_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with ScriptedServer(lambda body, times: Say("unasked")) as server:
        with opener().open(f"{server.url}/models", timeout=5) as reply:
            assert b"scripted" in reply.read()
        with pytest.raises(OSError, match="refused"):
            opener("http://127.0.0.1:9").open("http://models.example/v1", timeout=5)
