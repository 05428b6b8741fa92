"""Reads the predictions that VLMEvalKit writes, ``MODEL_DATASET.xlsx`` (or tsv, json), and its files with scores.

They have the columns of the benchmark (``index``, ``question``, ``answer``, ...) without the photo, ``prediction``, and
``thinking`` with SPLIT_THINK; after an evaluation, its files beside them also a score, such as ``hit``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hopchain_etl.evaluation.answers import EvaluationError
from hopchain_etl.evaluation.harnesses.logs import Logged, Source, gold_of, has_score, photo_of, score_of, text_of
from hopchain_etl.evaluation.harnesses.tables import rows
from hopchain_etl.evaluation.harnesses.vlmevalkit import FACTS

_SCORES = ("hit", "correct", "is_correct", "eval_match", "score", "eval_score")
_CLUSTERS = ("image_path", "image_id", "image_name", "figure_id", "image")
_ITEM = ("benchmark", "item_id", "cluster", "variant", "gold")


class VlmEvalKitLog:
    """The answers of one model to one benchmark in a file of VLMEvalKit.

    ``benchmark`` and ``model`` are needed where the file's name and folder do not tell them; ``metric`` names the
    column with the score. Raises EvaluationError, while reading with the place of what is no answer.
    """

    def __init__(
        self, path: Path, *, metric: str | None = None, benchmark: str | None = None, model: str | None = None
    ) -> None:
        if path.is_dir():
            raise EvaluationError(f"{path} is a folder; give a file of it, such as MODEL_DATASET.xlsx")
        self._path, self._metric = path, metric
        found_model, found_benchmark = _named(path)
        self._benchmark = benchmark or found_benchmark
        self.source = Source(model or found_model or "", "vlmevalkit")
        if not self.source.model:
            raise EvaluationError(f"{path}: its folder does not name the model; give --model")

    def answers(self) -> Iterator[Logged]:
        """Yield every answer."""
        metric = self._scored()
        for place, values in rows(self._path):
            index = text_of(values, "index", place)
            if "prediction" not in values:
                text_of(values, "prediction", place)
            text = _with_thinking(values)
            if values.get(FACTS) is not None:
                yield self._ours(values, text, place)
                continue
            if not self._benchmark:
                raise EvaluationError(f"{self._path}: its name does not tell the benchmark; give --benchmark")
            self.source.splits.setdefault(self._benchmark, f"VLMEvalKit's {self._benchmark}")
            if self._metric and (not metric or metric not in values):
                raise EvaluationError(f"{place}: no {self._metric}; the fields are {', '.join(sorted(values))[:300]}")
            named = next((str(values[one]) for one in _CLUSTERS if values.get(one) is not None), index)
            yield Logged(
                place,
                self._benchmark,
                index,
                photo_of(self._benchmark, named),
                gold_of(values, "answer", place, needed=not metric),
                text,
                metric,
                score_of(values.get(metric), place, metric) if metric else None,
                _text(values.get("question")),
                facts={"capability": _text(values.get("category"))},
            )

    def _scored(self) -> str | None:
        """Return the column with the scores: for all rows the same, also for one that lacks its score."""
        names, found = (self._metric,) if self._metric else _SCORES, set[str]()
        for _, values in rows(self._path):
            found |= {name for name in names if has_score(values.get(name))}
            if names[0] in found:
                break
        return next((name for name in names if name in found), None)

    def _ours(self, values: dict[str, Any], text: str | None, place: str) -> Logged:
        """Return an answer to a question that we exported."""
        try:
            item = json.loads(str(values[FACTS]))
        except (ValueError, RecursionError) as error:
            raise EvaluationError(f"{place}: {FACTS} is not JSON ({error})") from error
        if not isinstance(item, dict):
            raise EvaluationError(f"{place}: {FACTS} is no object")
        known: dict[str, Any] = {name: text_of(item, name, place) for name in _ITEM}
        splits = item.get("splits")
        if isinstance(splits, dict):
            self.source.splits |= {str(name): str(value) for name, value in splits.items()}
        return Logged(place, **known, text=text, question=_text(item.get("question")), declares=True, facts=item)


def _named(path: Path) -> tuple[str | None, str | None]:
    """Return model and benchmark by the file's name: it lies in ``MODEL/``, or in a folder of a run in there.

    A file with scores has the name of the predictions beside it and a judge's; the predictions have the shortest name.
    """
    for folder in (path.resolve().parent, path.resolve().parent.parent):
        model = folder.name
        if model and path.stem.startswith(f"{model}_"):
            beside = [one.stem for one in path.resolve().parent.iterdir() if one.suffix in (".xlsx", ".tsv", ".json")]
            same = [stem for stem in beside if stem.startswith(f"{model}_") and path.stem.startswith(stem)]
            return model, min([path.stem, *same], key=len).removeprefix(f"{model}_")
    return None, None


def _with_thinking(values: dict[str, Any]) -> str | None:
    text, thinking = _text(values.get("prediction")), _text(values.get("thinking"))
    return f"<think>{thinking}</think>{text or ''}" if thinking else text


def _text(value: object) -> str | None:
    return None if value is None else str(value)
