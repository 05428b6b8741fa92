"""Writes a TSV for VLMEvalKit: ``LMUData=FOLDER python run.py --data NAME --model MODEL --mode infer`` asks it.

VLMEvalKit takes an unknown name for a custom VQA dataset, which it can ask but not grade; ``hopchain evaluate import``
grades its predictions. It keeps every column beside the answers. pandas reads the columns, and would make 24.0 of the
answer 24 if another one is 0.5, so that the column ``hopchain`` holds the question's facts as JSON.
"""

from __future__ import annotations

import base64
import csv
import json
from pathlib import Path

from hopchain_etl.evaluation.answers import EvaluationError
from hopchain_etl.evaluation.harnesses.task import HarnessTask, Sampling
from hopchain_etl.training_set.export.formats import SplitFile

FACTS = "hopchain"  # the column
_COLUMNS = ("index", "image", "question", "answer", FACTS)


def write(tasks: list[HarnessTask], out: Path, sampling: Sampling) -> None:
    """Write one TSV a task. Raises EvaluationError for several samples or blind ones, which VLMEvalKit has not."""
    if sampling.samples != 1 or sampling.blind:
        raise EvaluationError("VLMEvalKit asks each question once and with its photo; use lmms-eval for other samples")
    for task in tasks:
        # A photo is written once: a cell of at most 64 characters is the index of the row that has it.
        first: dict[str, int] = {}
        with SplitFile(out, task.name).file(".tsv") as path, path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n")
            rows.writerow(_COLUMNS)
            for index, (question, item) in enumerate(task.items()):
                known = first.setdefault(question.photo.image_id, index)
                image = str(known) if known != index else base64.b64encode(question.photo.load()).decode()
                facts = json.dumps({**item, "splits": task.splits}, ensure_ascii=False)
                rows.writerow([index, image, question.prompt, question.gold, facts])
