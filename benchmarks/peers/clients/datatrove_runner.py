"""datatrove's InferenceRunner on an endpoint, with its checkpoints and its cache of requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.inference.types import InferenceError, InferenceResult
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter

from benchmarks.peers.rows import MAX_TOKENS, MODEL, TEMPERATURE, Answer, Row, Task, read_rows

_KEPT = "answers"


def document(row: Row) -> Document:
    return Document(text=row.prompt, id=str(row.number), metadata={"photo": row})


async def ask(
    document: Document, generate: Callable[[dict[str, Any]], Awaitable[InferenceResult]], timeout: float
) -> dict[str, Any]:
    """One row. An error ends the whole task unless it is caught here; to a server here, requests have no time limit."""
    row = document.metadata.pop("photo")
    try:
        result = await asyncio.wait_for(generate({"messages": row.messages}), timeout)
    except (InferenceError, TimeoutError) as error:
        return {"text": None, "error": f"{type(error).__name__}: {error}"}
    return {"text": result.text}


def answer(task: Task) -> list[Answer]:
    config = InferenceConfig(
        server_type="endpoint",
        endpoint_url=task.url.removesuffix("/v1"),
        model_name_or_path=MODEL,
        max_concurrent_generations=task.at_once,
        default_generation_params={"temperature": TEMPERATURE, "max_tokens": MAX_TOKENS},
    )
    runner = InferenceRunner(
        ask,
        config,
        JsonlWriter(str(task.work / "out"), output_filename="${rank}_${chunk_index}.jsonl", compression=None),
        shared_context={"timeout": task.timeout},
        checkpoints_local_dir=str(task.work / "checkpoints"),
        records_per_chunk=task.at_once,
        skip_bad_requests=True,
    )
    documents = [document(row) for row in read_rows(task.rows)]
    LocalPipelineExecutor([documents, runner], logging_dir=str(task.work / "logs")).run()
    kept = JsonlReader(str(task.work / "out"))()
    return [Answer(int(one.id), **one.metadata["rollout_results"][0]) for one in kept]
