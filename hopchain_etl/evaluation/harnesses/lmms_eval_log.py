"""Reads what lmms-eval 0.7 writes with ``--log_samples``: ``DATE_results.json`` and ``DATE_samples_TASK.jsonl``.

A logged sample has ``doc_id``, ``target``, ``input``, ``filtered_resps``, ``resps`` if these differ, ``input_media`` if
the document names files, and what the task's ``process_results`` returned: one field a metric, which is a number or an
object with the score in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hopchain_etl.evaluation.answers import EvaluationError
from hopchain_etl.evaluation.harnesses.lmms_eval import METRIC
from hopchain_etl.evaluation.harnesses.logs import (
    Logged,
    Source,
    gold_of,
    has_score,
    lines,
    photo_of,
    score_of,
    text_of,
)

_LARGEST_RESULTS = 256_000_000  # bytes
_SCORES = ("score", "correct", "is_correct", "acc", "accuracy", "exact_match", "hit", "gpt_score")  # in an object
_CLUSTERS = ("image", "image_id", "image_path", "img_id", "figure_id", "image_name")
_RESERVED = {"doc_id", "target", "input", "resps", "filtered_resps", "input_media", "token_counts", "doc_hash"}
Config = dict[str, Any]
Metrics = dict[str, str]  # name to the field of its object that has the score; empty for a bare number


class LmmsEvalLog:
    """The logs of one run of lmms-eval: of all its tasks, or of the one whose samples ``path`` is.

    Else ``path`` is its output folder or its results file. ``benchmark`` is another name for the task; ``metric`` names
    the field with the score, ``NAME`` or ``NAME.FIELD``. Raises EvaluationError for a folder with no run or
    several, and while reading, with file and line, for what is no log.
    """

    def __init__(self, path: Path, *, metric: str | None = None, benchmark: str | None = None) -> None:
        self._metric, self._benchmark = metric, benchmark
        self.results = _results_file(path)
        known = _read(self.results)
        self._configs: dict[str, Config] = {name: one for name, one in _part(known, "configs").items() if one}
        before = self.results.name.removesuffix("results.json")
        found = {one.name[len(before + "samples_") : -len(".jsonl")]: one
                 for one in self.results.parent.glob(f"{before}samples_*.jsonl")}  # fmt: skip
        whole = path.is_dir() or path == self.results
        self.samples = {name: one for name, one in sorted(found.items()) if whole or one == path}
        if not self.samples:
            raise EvaluationError(f"{self.results} has no {before}samples_*.jsonl beside it; use --log_samples")
        if unknown := sorted(set(self.samples) - set(self._configs)):
            raise EvaluationError(f"{self.results} does not have the task {unknown[0]}: is it of another run?")
        if benchmark and len(self.samples) > 1:
            raise EvaluationError(f"{path} has {len(self.samples)} benchmarks; --benchmark names one, give its file")
        self.source = self._source(known)

    def answers(self) -> Iterator[Logged]:
        """Yield every answer, file by file."""
        for task, path in self.samples.items():
            metrics = self._metrics(task, path)
            for place, values in lines(path):
                yield from self._sample(task, place, values, metrics)

    def _source(self, known: Config) -> Source:
        how, system = _part(known, "config"), known.get("system_instruction")
        # Its "lmms_eval_version" is the git commit of the folder that it was started in, whatever that is.
        model = str(known.get("model_name") or how.get("model") or "?")
        source = Source(model, "lmms-eval", instruction=str(system or ""))
        for task in self.samples:
            config = self._configs[task]
            metadata = config.get("metadata")
            ours = metadata.get("splits") if isinstance(metadata, dict) else None
            if isinstance(ours, dict):
                source.splits |= {str(name): str(value) for name, value in ours.items()}
            name = next(iter(ours)) if isinstance(ours, dict) and ours else self._benchmark or task
            asked = {**_part(config, "generation_kwargs"), **_given(how.get("gen_kwargs"))}
            few = {"num_fewshot": config["num_fewshot"]} if config.get("num_fewshot") else {}
            source.sampling[name] = {**asked, **few, "samples": config.get("repeats") or 1}
            split = config.get("test_split") or config.get("validation_split")
            number = _part(known, "versions").get(task)
            source.splits.setdefault(name, f"{config.get('dataset_path')} {split}, task version {number}")
        return source

    def _sample(self, task: str, place: str, values: Config, metrics: Metrics) -> Iterator[Logged]:
        text_of(values, "doc_id", place)
        texts = _texts(values.get("resps", values.get("filtered_resps")), place)
        own = values.get(METRIC)
        tokens = _tokens(values.get("token_counts"), len(texts))
        if isinstance(own, dict):
            yield from _ours(own, texts, tokens, place)
            return
        name, metric, score = self._score(place, values, metrics)
        wrapped, benchmark = values.get(name or ""), self._benchmark or task
        gold = gold_of(values, "target", place, needed=not metric)
        scores = score if isinstance(score, list) and len(score) == len(texts) else None
        for sample, text in enumerate(texts if scores or not metric else texts[:1]):
            yield Logged(
                place,
                benchmark,
                str(values["doc_id"]),
                photo_of(benchmark, _photo(values, wrapped, self._configs[task].get("cluster_key"))),
                gold,
                text,
                metric,
                score_of(scores[sample] if scores else score, place, metric or ""),
                _text(values.get("input")),
                sample,
                tokens=tokens[sample],
                facts={"capability": _text(_field(wrapped, "category", "task_type", "subject", "l2_category"))},
            )

    def _metrics(self, task: str, path: Path) -> Metrics:
        """Return the metrics that a task's log has scores of, each with the field of its object that has them.

        For all samples the same: one that lacks its score must not get another metric's.
        """
        config, fields = self._configs[task], [*_SCORES, ""]
        listed = config.get("metric_list")
        names = [str(one.get("metric")) for one in (listed if isinstance(listed, list) else [])
                 if isinstance(one, dict) and one.get("higher_is_better") is not False]  # fmt: skip
        fields.insert(0, str(config.get("score_key") or "score"))
        if self._metric:
            name, _, field = self._metric.partition(".")
            names, fields = [name], [field] if field else fields
        found = set[tuple[str, str]]()
        for _, values in lines(path) if names else ():
            logged = ((name, field, _score_in(values.get(name), field)) for name in names for field in fields)
            found |= {(name, field) for name, field, score in logged
                      if has_score(score) and (self._metric or not _is_text(score))}  # fmt: skip
        ways = {name: [field for field in fields if (name, field) in found] for name in names}
        return {name: those[0] for name, those in ways.items() if those}

    def _score(self, place: str, values: Config, metrics: Metrics) -> tuple[str | None, str | None, Any]:
        """Return the field of a sample's metric, what the metric is called, and the score, None if it is missing.

        A benchmark may log other metrics for some of its items; all is None for one that has no scores at all.
        """
        name = next((one for one in metrics if one in values), None)
        if self._metric and name is None:
            raise EvaluationError(f"{place}: no score in {self._metric}; the fields are {_fields(values)}")
        if not metrics:
            return None, None, None
        used = name or next(iter(metrics))
        field, logged = metrics[used], values.get(used)
        return name, f"{used}.{field}" if field else used, logged.get(field) if isinstance(logged, dict) else logged


def _ours(item: Config, texts: list[str | None], tokens: list[int | None], place: str) -> Iterator[Logged]:
    """Yield the answers to a question of a task that we exported: the log has all about it."""
    known: dict[str, Any] = {
        name: text_of(item, name, place) for name in ("benchmark", "item_id", "cluster", "gold", "variant")
    }
    sees = item.get("sees_image") is not False
    for sample, text in enumerate(texts):
        yield Logged(
            place, **known, text=text, question=_text(item.get("question")), sample=sample, sees_image=sees,
            tokens=tokens[sample], declares=True, facts=item,
        )  # fmt: skip


def _results_file(path: Path) -> Path:
    if path.is_dir():
        found = sorted(path.rglob("*results.json"))
        if len(found) != 1:
            told = f"{len(found)} runs, such as {found[-1].name}: give the file of one" if found else "no *results.json"
            raise EvaluationError(
                f"{path} has {told}; lmms-eval writes it below its --output_path. For VLMEvalKit, give the file"
            )
        return found[0]
    if path.name.endswith("results.json"):
        return path
    before, mark, _ = path.name.partition("samples_")
    if not mark:
        raise EvaluationError(f"{path} is no log of lmms-eval; give its output folder, or a *_samples_*.jsonl in it")
    return path.with_name(f"{before}results.json")


def _read(path: Path) -> Config:
    if not path.is_file():
        raise EvaluationError(f"{path} is missing; lmms-eval writes it beside its samples")
    if path.stat().st_size > _LARGEST_RESULTS:
        raise EvaluationError(f"{path} has more than {_LARGEST_RESULTS} bytes")
    try:
        known = json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        raise EvaluationError(f"{path}:{error.lineno}: not JSON ({error.msg}); was the file cut off?") from error
    except (ValueError, RecursionError) as error:
        raise EvaluationError(f"{path}: not JSON ({error})") from error
    if not isinstance(known, dict) or not isinstance(known.get("configs"), dict):
        raise EvaluationError(f"{path} is no results file of lmms-eval: it has no configs")
    return known


def _texts(responses: object, place: str) -> list[str | None]:
    """Return the answers of a sample: one text, several, or several requests with one text each."""
    if isinstance(responses, str):
        return [responses]
    if isinstance(responses, list) and len(responses) == 1 and isinstance(responses[0], list):
        responses = responses[0]  # of one request; earlier releases keep its answers in a list of its own
    if isinstance(responses, list) and responses:
        flat = [one[0] if isinstance(one, list) and len(one) == 1 else one for one in responses]
        if all(isinstance(one, str) for one in flat):
            return flat
    raise EvaluationError(f"{place}: no text in resps or filtered_resps; only generated answers can be imported")


def _score_in(logged: object, field: str) -> Any:
    """Return what may be the score in what a metric logged: a number, a list of them, or a field of an object."""
    if field:
        return logged.get(field) if isinstance(logged, dict) else None
    return logged


def _is_text(score: object) -> bool:
    return any(isinstance(one, str) for one in (score if isinstance(score, list) else [score]))


def _photo(values: Config, metric: object, key: object) -> str:
    """Return what the items of one photo share: the task's own key, a field that names the photo, or its file."""
    named = _field(metric, *([key] if isinstance(key, str) else []), *_CLUSTERS)
    if named is not None and not isinstance(named, dict | list):
        return str(named)
    media = values.get("input_media")
    if isinstance(media, list) and media and isinstance(media[0], str):
        return hashlib.sha256(media[0].encode()).hexdigest() if media[0].startswith("data:") else media[0]
    return str(values["doc_id"])


def _field(value: object, *names: str) -> Any:
    if not isinstance(value, dict):
        return None
    return next((value[name] for name in names if value.get(name) not in (None, "")), None)


def _tokens(counts: object, answers: int) -> list[int | None]:
    known = counts if isinstance(counts, list) and len(counts) == answers else [None] * answers
    found = [one.get("output_tokens") if isinstance(one, dict) else None for one in known]
    return [one if isinstance(one, int) and 0 <= one < 2**31 else None for one in found]


def _given(arguments: object) -> Config:
    if isinstance(arguments, dict):
        return arguments
    return {"gen_kwargs": arguments} if arguments else {}


def _part(values: Config, name: str) -> Config:
    part = values.get(name)
    return part if isinstance(part, dict) else {}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _fields(values: Config) -> str:
    return ", ".join(sorted(set(values) - _RESERVED))[:300] or "none"
