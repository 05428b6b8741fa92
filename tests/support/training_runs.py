"""Logs and rollouts of training runs, in the forms that trainers write them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

PROMPT = "How many red cars are to the left of the large blue van number {}?\nPut the number into \\boxed{{}}."


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> Path:
    """Write JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def verl_log(path: Path, steps: Mapping[int, Mapping[str, Any]]) -> Path:
    """Write what verl's file logger writes."""
    return write_lines(path, [{"step": step, "data": data} for step, data in steps.items()])


def swift_log(path: Path, steps: Mapping[int, Mapping[str, Any]]) -> Path:
    """Write what ms-swift's callback writes."""
    return write_lines(path, [{**data, "global_step/max_steps": f"{step}/100"} for step, data in steps.items()])


def verl_rollouts(folder: Path, step: int, groups: Iterable[tuple[int, str, Iterable[str]]]) -> Path:
    """Write a step's dump: the number of each question, its right answer, and the answers that were given."""
    return write_lines(
        folder / f"{step}.jsonl",
        [
            {
                "input": f"user\n{PROMPT.format(number)}\nassistant\n",
                "output": f"So it is \\boxed{{{said}}}.",
                "gts": right,
                "score": float(said == right),
                "step": step,
                "uid": f"prompt{number}_{sample}_0",
            }
            for number, right, answers in groups
            for sample, said in enumerate(answers)
        ],
    )


def export_rows(numbers: Iterable[int], band: str) -> list[dict[str, Any]]:
    """Return rows of an export for ms-swift; the right answer is the number of the question."""
    return [
        {
            "messages": [{"role": "user", "content": f"<image>{PROMPT.format(number)}"}],
            "answer": str(number),
            "query_id": f"q{number}",
            "band": band,
        }
        for number in numbers
    ]
