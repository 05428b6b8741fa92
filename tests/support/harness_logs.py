"""Logs as lmms-eval 0.7.3 and VLMEvalKit write them, of benchmarks with different ways to log a score."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

STAMP = "20261126_101500"


def sample(number: int, text: str = "3", target: str = "3", **metrics: Any) -> dict[str, Any]:
    """Return one logged sample of lmms-eval."""
    return {"doc_id": number, "target": target, "filtered_resps": text, "token_counts": [{"output_tokens": 7}],
            "doc_hash": "ab", "input": f"How many cups are in photo {number}?\nAnswer briefly.", **metrics}  # fmt: skip


def lmms_log(folder: Path, task: str, samples: Sequence[dict[str, Any]], metrics: Sequence[str], **config: Any) -> Path:
    """Write the log of a task into a folder; more tasks of the same run may be added. Returns the samples' file."""
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / f"{STAMP}_results.json"
    known = json.loads(results.read_text()) if results.exists() else {"configs": {}, "versions": {}}
    listed = [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in metrics]
    made = {"task": task, "dataset_path": "of/it", "test_split": "test", "metric_list": listed, "repeats": 1}
    known["configs"][task] = {**made, "generation_kwargs": {"temperature": 0.0}, "score_key": "score", **config}
    known["versions"][task] = 0.0
    known |= {"model_name": "org/model", "config": {"model": "openai", "gen_kwargs": None}}
    results.write_text(json.dumps(known))
    path = folder / f"{STAMP}_samples_{task}.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in samples))
    return path


def xlsx(path: Path, rows: Sequence[Sequence[str | int | float | None]]) -> Path:
    """Write an Excel file as xlsxwriter does: texts are shared and referred to by number."""
    texts: list[str] = []

    def cell(value: str | int | float | None, place: str) -> str:
        if value is None:
            return ""
        if isinstance(value, str):
            texts.append(value)
            return f'<c r="{place}" t="s"><v>{len(texts) - 1}</v></c>'
        return f'<c r="{place}"><v>{value}</v></c>'

    lines = [
        f'<row r="{y}">' + "".join(cell(one, f"{chr(65 + x)}{y}") for x, one in enumerate(row)) + "</row>"
        for y, row in enumerate(rows, 1)
    ]
    strings = "".join(f"<si><t>{escape(text)}</t></si>" for text in texts)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", f"<worksheet><sheetData>{''.join(lines)}</sheetData></worksheet>")
        archive.writestr("xl/sharedStrings.xml", f"<sst>{strings}</sst>")
    return path
