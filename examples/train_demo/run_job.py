"""One training run in a process of its own: trains, answers the held-out questions, and writes what came out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from examples.train_demo import tiny_vlm
from examples.train_demo.answers import answer, right, write_answers
from examples.train_demo.exports import Exports
from examples.train_demo.plan import VARIANTS, Job
from examples.train_demo.reinforce import reinforce
from examples.train_demo.warm_start import Pictures, warm_start

Row = dict[str, Any]


def run_job(job: Job, exports: Exports) -> None:
    """Train as the job says; its results count as there when all are written."""
    started = time.monotonic()
    model = tiny_vlm.model(exports.processor, job.seed)
    pictures = exports.blank if job.kind == "blind" else exports.pictures
    curve = _warm(job, exports, model, pictures) if job.start is None else _reinforced(job, job.start, exports, model)
    rows = exports.rows["full", "validation"]
    said = answer(model, exports.processor, exports.examples["full", "validation"], pictures)
    correct = right(said, rows["answer"])
    write_answers(job.file("jsonl"), rows["query_id"], said)
    torch.save(model.state_dict(), job.file("pt"))
    share, seconds = sum(correct) / len(correct), time.monotonic() - started
    draft = job.file("draft")
    draft.write_text(json.dumps({"seconds": round(seconds), "accuracy": share, "right": correct, "curve": curve}))
    draft.rename(job.file("json"))
    print(f"{job.name:>9} done: {share:.3f} of held-out questions right, {seconds:.0f} s", flush=True)


def _warm(job: Job, exports: Exports, model: Any, pictures: Pictures) -> list[Row]:
    plan = job.plan
    steps = plan.blind_steps if job.kind == "blind" else plan.warm_steps
    return warm_start(
        model, {variant: exports.examples[variant, "train"] for variant in VARIANTS}, pictures,
        exports.processor.tokenizer.pad_token_id, steps=steps, batch=plan.batch, rate=plan.warm_rate, seed=job.seed,
        looks=plan.looks, ask=partial(_share_right, exports, pictures, model), tell=_teller(job.name, steps),
    )  # fmt: skip


def _reinforced(job: Job, start: Job, exports: Exports, model: Any) -> list[Row]:
    model.load_state_dict(torch.load(start.file("pt")))
    plan, tell = job.plan, _teller(job.name, job.plan.reinforce_steps)
    return reinforce(
        model, exports.processor, exports.rows[job.kind, "train"], plan.folder / "trainer" / job.name,
        steps=plan.reinforce_steps, questions=plan.questions, rate=plan.reinforce_rate, seed=job.seed,
        tell=lambda step, log: tell(step, {name: log[name] for name in ("reward", "entropy")}),
    )  # fmt: skip


def _share_right(exports: Exports, pictures: Pictures, model: Any, variant: str, most: int) -> float:
    """Return the accuracy on the first held-out questions of a variant."""
    gold = exports.rows[variant, "validation"]["answer"][:most]
    said = answer(model, exports.processor, exports.examples[variant, "validation"][:most], pictures)
    return sum(right(said, gold)) / len(said)


def _teller(name: str, steps: int) -> Callable[[int, dict[str, float]], None]:
    """Return what prints every twentieth of a run: its figures and the time that is left."""
    started = time.monotonic()

    def tell(step: int, figures: dict[str, float]) -> None:
        if step % max(1, steps // 20) == 0:
            left = (time.monotonic() - started) / step * (steps - step)
            told = ", ".join(f"{what} {value:.3f}" for what, value in figures.items())
            print(f"{name:>9} step {step}/{steps}: {told}; {left:.0f} s left", flush=True)

    return tell
