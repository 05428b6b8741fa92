"""A server of our own: started, waited for, ended; here in the shape of a stand-in for ``python -m vllm``."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from hopchain_etl.engines.base import EngineDownError
from hopchain_etl.engines.launches import launches_since
from hopchain_etl.engines.vlm import server
from hopchain_etl.engines.vlm.server import command_of, endpoint_of, launch
from hopchain_etl.engines.weights import MissingWeightsError
from hopchain_etl.settings import LaunchSettings, Settings, VlmSettings
from support.stand_in_server import all_stopped, settings_of


def test_it_is_ready_when_it_is_returned_and_gone_when_stopped(tmp_path: Path) -> None:
    launched = launch(settings_of(tmp_path))
    health = launched.url.replace("/v1", "/health")
    with urllib.request.urlopen(health) as reply:
        assert reply.status == 200
    launched.stop()
    with pytest.raises(OSError):
        urllib.request.urlopen(health, timeout=2)


def test_it_is_asked_without_the_proxy_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    settings = settings_of(tmp_path)
    quick = settings.model_copy(update={"launch": settings.launch.model_copy(update={"ready_seconds": 10})})
    launch(quick).stop()


def test_it_wants_no_key_that_this_process_has_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "for another server")
    launched = launch(settings_of(tmp_path))
    asked = urllib.request.Request(f"{launched.url}/chat/completions", b'{"messages": []}')
    with urllib.request.urlopen(asked) as reply:
        assert reply.status == 200
    launched.stop()


def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(EngineDownError, match="no such flag --refuse"):
        launch(settings_of(tmp_path, "--refuse"))


def test_one_that_cannot_start_because_of_a_pointer_says_so(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0b7c\nsize 9\n")
    settings = settings_of(tmp_path, "--refuse").model_copy(update={"model": str(tmp_path)})
    with pytest.raises(MissingWeightsError, match=f"(?s)no such flag --refuse.*{weights} is only git-lfs's pointer"):
        launch(settings)


def test_one_server_is_shared_by_all_who_ask_the_same_model(tmp_path: Path) -> None:
    first = settings_of(tmp_path)
    other = first.model_copy(update={"concurrency": 3, "chat_template_kwargs": {"enable_thinking": False}})
    before = len(launches_since())
    with all_stopped():
        assert endpoint_of(first) == endpoint_of(first) == endpoint_of(other)
        assert endpoint_of(first.model_copy(update={"reasoning_parser": None})) != endpoint_of(first)
        assert len(server._running) == 2
    launched = launches_since(before)
    assert [(one.model, one.gpus) for one in launched] == [("org/some", 8), ("org/some", 8)]
    assert all(0 < one.seconds < 30 for one in launched)


def test_a_given_endpoint_starts_nothing() -> None:
    assert endpoint_of(VlmSettings(endpoint_url="http://elsewhere:8000/v1")) == "http://elsewhere:8000/v1"


def test_the_command_passes_settings_on_and_the_users_flags_last() -> None:
    how = LaunchSettings(tensor_parallel=4, quantization="fp8", extra_args=("--max-model-len", "9"))
    command = command_of(VlmSettings(model="org/some", revision="abc", reasoning_parser="glm45", launch=how), 8000)
    assert command[1:3] == ["-m", "vllm.entrypoints.openai.api_server"]
    pairs = dict(zip(command[3::2], command[4::2], strict=True))
    assert pairs["--tensor-parallel-size"] == "4"
    assert pairs["--quantization"] == "fp8"
    assert pairs["--revision"] == "abc"
    assert pairs["--reasoning-parser"] == "glm45"
    assert pairs["--host"] == "127.0.0.1"
    assert command[-2:] == ["--max-model-len", "9"]


@pytest.mark.parametrize(
    ("model", "parser"),
    [
        ("Qwen/Qwen3.5-122B-A10B", "qwen3"),
        ("org/Some-Thinking", None),
        ("org/Some-Thinking", ""),
        ("/renamed", "qwen3"),
    ],
)
def test_the_parser_is_the_one_that_is_set_whatever_the_model_is_called(model: str, parser: str | None) -> None:
    command = command_of(VlmSettings(model=model, reasoning_parser=parser), 8000)
    if parser:
        assert command[command.index("--reasoning-parser") + 1] == parser
    else:
        assert "--reasoning-parser" not in command


def test_the_default_model_has_its_parser_and_the_default_solver_none() -> None:
    settings = Settings()
    assert command_of(settings.vlm, 8000)[-2:] == ["--reasoning-parser", "qwen3"]
    assert "--reasoning-parser" not in command_of(settings.solver, 8000)
