"""Second step, in the trainer's environment: warm start, blind model and reinforcement, one process a seed.

    PYTHONPATH=. python -m examples.train_demo.train [--small]

What is done already is not done again.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time

os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}

import torch

from examples.train_demo.exports import Exports
from examples.train_demo.plan import Job, plan_of
from examples.train_demo.run_job import run_job

TOGETHER = 3  # processes: one a seed


def main() -> None:
    """Run every job of the plan that is not done."""
    plan = plan_of(sys.argv[1:])
    (plan.folder / "results").mkdir(exist_ok=True)
    waiting = [job for job in plan.jobs() if not job.done]
    torch.set_num_threads(1)  # before any process is forked: a pool of threads does not survive that
    exports = Exports.read(plan.folder)
    context, running = multiprocessing.get_context("fork"), dict[Job, multiprocessing.process.BaseProcess]()
    while waiting or running:
        for job, process in list(running.items()):
            if not process.is_alive():
                del running[job]
                if process.exitcode:
                    raise SystemExit(f"{job.name} failed")
        ready = next((job for job in waiting if job.ready), None)
        if ready and len(running) < TOGETHER:
            waiting.remove(ready)
            running[ready] = context.Process(target=run_job, args=(ready, exports), daemon=True)
            running[ready].start()
        else:
            time.sleep(0.2)


if __name__ == "__main__":
    main()
