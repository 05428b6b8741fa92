"""A role's calls and identity: what a model's card recommends is sent and part of the identity only if it is set."""

from __future__ import annotations

from typing import Any

import pytest

from hopchain_etl.engines.vlm.call import ChatRequest
from hopchain_etl.engines.vlm.model import RoleModel
from hopchain_etl.settings import AskSettings, VlmSettings

UNSET = {"prompt", "schema", "max_tokens", "temperature", "max_pixels"}
PARAMETERS: dict[str, Any] = {"top_p": 0.95, "top_k": 20, "presence_penalty": 0.0}
TEMPLATE = {"enable_thinking": False}


def blind(vlm: VlmSettings | None = None, ask: AskSettings | None = None) -> RoleModel:
    return RoleModel("solver", vlm or VlmSettings(), ask or AskSettings())


def call_of(model: RoleModel) -> ChatRequest:
    return model.call({}, sees=False, question="?")


def test_without_them_the_identity_is_as_it_was_before_they_existed() -> None:
    assert blind().identity().recipe.keys() == UNSET
    for parser in (None, "deepseek_r1"):  # how a server parses is not part of it, as little as how it is launched
        assert blind(VlmSettings(reasoning_parser=parser)).identity() == blind().identity()


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_that_is_set_is_sent_and_part_of_the_identity(name: str) -> None:
    model = blind(ask=AskSettings.model_validate({name: PARAMETERS[name]}))
    assert model.identity().recipe == {**blind().identity().recipe, name: PARAMETERS[name]}
    call = call_of(model)
    assert {one: getattr(call, one) for one in PARAMETERS} == {**dict.fromkeys(PARAMETERS), name: PARAMETERS[name]}


def test_arguments_of_the_chat_template_likewise() -> None:
    assert call_of(blind()).chat_template_kwargs is None
    model = blind(VlmSettings(chat_template_kwargs=TEMPLATE))
    assert call_of(model).chat_template_kwargs == TEMPLATE
    assert model.identity().recipe == {**blind().identity().recipe, "chat_template_kwargs": TEMPLATE}
