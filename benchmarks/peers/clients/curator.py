"""Bespoke Curator's LLM with the backend that its documentation names for vLLM servers (litellm, hosted_vllm)."""

from __future__ import annotations

import os

os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "TELEMETRY_ENABLED": "0", "CURATOR_DISABLE_RICH_DISPLAY": "1"}

import litellm
from bespokelabs import curator

from benchmarks.peers.rows import MAX_TOKENS, MODEL, TEMPERATURE, Answer, Task, read_rows

_NAME = f"hosted_vllm/{MODEL}"


class Ask(curator.LLM):
    def prompt(self, input: dict) -> tuple[str, curator.types.Image]:
        return input["prompt"], curator.types.Image(content=input["photo"], mime_type="image/jpeg")

    def parse(self, input: dict, response: str) -> dict:
        return {"number": input["number"], "text": response}


def answer(task: Task) -> list[Answer]:
    litellm.register_model({_NAME: {"supports_vision": True, "litellm_provider": "hosted_vllm", "mode": "chat"}})
    llm = Ask(
        model_name=_NAME,
        backend="litellm",
        generation_params={"temperature": TEMPERATURE, "max_tokens": MAX_TOKENS},
        backend_params={
            "base_url": task.url,
            "api_key": "none",
            "max_concurrent_requests": task.at_once,
            "max_requests_per_minute": 1_000_000,
            "max_tokens_per_minute": 1_000_000_000,
            "request_timeout": int(task.timeout),
            "require_all_responses": False,
        },
    )
    rows = read_rows(task.rows)
    dataset = [{"number": row.number, "prompt": row.prompt, "photo": row.data_uri.partition(",")[2]} for row in rows]
    told = {one["number"]: one["text"] for one in llm(dataset, working_dir=str(task.work)).dataset}
    return [Answer(row.number, told.get(row.number)) for row in rows]
