"""What a request may need at most, against the context of the server that a task launches."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hopchain_etl.settings import AskSettings, Settings, VlmSettings
from hopchain_etl.settings.context import prompt_allowance, too_short

VLLM = {"profile": "vllm"}


def test_the_defaults_leave_a_margin() -> None:
    vlm, ask = VlmSettings(), AskSettings()
    assert prompt_allowance("vlm", vlm, ask) == 1_280 + 6 * 256 + 6_000
    assert prompt_allowance("solver", vlm, ask) == 1_280 + 1_000
    assert prompt_allowance("vlm", vlm, ask) + ask.max_tokens < 0.7 * vlm.launch.max_model_len


@given(st.integers(256, 100_000), st.integers(16, 100_000), st.integers(1_024, 10_000_000))
def test_settings_are_refused_exactly_if_a_request_may_be(context: int, answer: int, pixels: int) -> None:
    launch = {"max_model_len": context}
    sections: dict[str, Any] = {"vlm": {"launch": launch, "max_pixels": pixels}, "ask": {"max_tokens": answer}}
    vlm = VlmSettings.model_validate(sections["vlm"])
    ask = AskSettings.model_validate(sections["ask"])
    fits = too_short("vlm", context, vlm, ask) is None
    assert fits == (prompt_allowance("vlm", vlm, ask) + answer <= context)
    solver = {"endpoint_url": "http://elsewhere/v1"}
    if fits:
        assert Settings(engines=VLLM, solver=solver, **sections).ask.max_tokens == answer
    else:
        with pytest.raises(ValidationError, match=r"raise vlm\.launch\.max_model_len or lower ask\.max_tokens"):
            Settings(engines=VLLM, solver=solver, **sections)


def test_the_error_is_about_the_launched_model_whose_context_it_is() -> None:
    with pytest.raises(ValidationError) as raised:
        Settings(engines=VLLM, vlm={"endpoint_url": "http://gpu:8000/v1"}, solver={"launch": {"max_model_len": 33_000}})
    (error,) = raised.value.errors()
    assert error["loc"] == ("ask",)
    assert "32768 tokens of an answer (ask.max_tokens) and up to 2280 of a prompt" in error["msg"]
    assert "33000 tokens of solver's context; raise solver.launch.max_model_len" in error["msg"]


def test_a_server_that_is_not_launched_is_not_judged_here() -> None:
    ask, short = {"max_tokens": 60_000}, {"max_model_len": 1_000}
    assert Settings(ask=ask, vlm={"launch": short}).ask.max_tokens == 60_000  # the local profile asks no model
    url = "http://gpu:8000/v1"
    there = {"endpoint_url": url, "launch": short}
    assert Settings(engines=VLLM, ask=ask, vlm=there, solver=there).ask.max_tokens == 60_000


def test_an_invalid_section_is_one_error() -> None:
    with pytest.raises(ValidationError) as raised:
        Settings(
            engines=VLLM, vlm={"concurrency": 0}, ask={"max_tokens": 65_000}, solver={"endpoint_url": "http://g/v1"}
        )
    assert [error["loc"] for error in raised.value.errors()] == [("vlm", "concurrency")]
