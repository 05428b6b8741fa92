"""No tool: posts prepared bodies and throws the replies away. What a client can reach at most."""

from __future__ import annotations

import json

from benchmarks.load_generator import post_all
from benchmarks.peers.rows import Answer, Task, read_rows


def answer(task: Task) -> list[Answer]:
    post_all(task.url, [json.dumps(row.body).encode() for row in read_rows(task.rows)], task.at_once)
    return []
