"""Runs one client in this process: ``python -m benchmarks.peers.run_client NAME ROWS WORK URL AT_ONCE TIMEOUT``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.peers.rows import Task, write_answers


def main() -> None:
    name, rows, work, url, at_once, timeout = sys.argv[1:]
    task = Task(Path(rows), Path(work), url, int(at_once), float(timeout))
    client = importlib.import_module(f"benchmarks.peers.clients.{name}")
    write_answers(task.work / "answers.jsonl", client.answer(task))


if __name__ == "__main__":
    main()
