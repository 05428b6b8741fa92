"""Ray Data's HTTP stage (ray.data.llm) with Ray Data's checkpoints.

A worker sends the requests of a batch one after the other, and works on four batches at a time. A row that fails fails
its block: Ray Data is told to go on with the others. One process writes the results: each further one takes as long to
start as all the writing.
"""

from __future__ import annotations

from typing import Any

import aiohttp
import pyarrow.parquet as pq
import ray
from ray.data.checkpoint import CheckpointConfig
from ray.data.llm import HttpRequestProcessorConfig, build_processor

from benchmarks.peers.rows import Answer, Task, read_rows

_AT_ONCE_A_WORKER = 4


def answered(row: dict[str, Any]) -> dict[str, Any]:
    reply = row["http_response"]
    text = reply["choices"][0]["message"]["content"] if "choices" in reply else None
    return {"number": row["number"], "text": text, "error": None if text else str(reply)}


def answer(task: Task) -> list[Answer]:
    workers = max(1, task.at_once // _AT_ONCE_A_WORKER)
    ray.init(address="local", num_cpus=workers + 1, include_dashboard=False, log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.max_errored_blocks = -1
    context.checkpoint_config = CheckpointConfig("number", str(task.work / "checkpoint"))
    timeout = aiohttp.ClientTimeout(total=task.timeout)
    config = HttpRequestProcessorConfig(
        url=f"{task.url}/chat/completions",
        concurrency=(workers, workers),
        batch_size=1,
        max_retries=5,
        session_factory=lambda: aiohttp.ClientSession(timeout=timeout),
    )
    processor = build_processor(config, lambda row: {"number": row["number"], "payload": row["body"]}, answered)
    rows = read_rows(task.rows)
    dataset = ray.data.from_items([{"number": row.number, "body": row.body} for row in rows], override_num_blocks=16)
    processor(dataset).write_parquet(str(task.work / "out"), concurrency=1)
    told = pq.read_table(task.work / "out").to_pylist()  # Ray Data would start processes once more to read it
    return [Answer(one["number"], one["text"], one["error"]) for one in told]
