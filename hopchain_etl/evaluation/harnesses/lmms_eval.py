"""Writes a task folder for lmms-eval 0.7: a YAML file a task, ``utils.py`` with the grader, and Parquet with photos.

``lmms-eval --include_path FOLDER --tasks NAME --log_samples --output_path LOGS ...`` runs it. The metric's entry in
each logged sample holds score, cluster and all facts of the question, so that an import needs the log only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from hopchain_etl.evaluation.answers import EVALUATIONS
from hopchain_etl.evaluation.harnesses.task import ITEM, HarnessTask, Sampling
from hopchain_etl.training_set.export.formats import IMAGE, Example, SplitFile, for_datasets, write_parquet

METRIC = "hopchain_accuracy"
BLIND = "_blind"  # ends the name of the task without photos

_FACTS = [(name, EVALUATIONS.field(name).type) for name in (*ITEM, "question")]
_SCHEMA = pa.schema([("image", IMAGE), ("prompt", pa.string()), ("answer", pa.string()), *_FACTS])

# `until` must be given: lmms-eval's own default ends an answer at its first empty line.
_YAML = """\
# Written by `hopchain evaluate export`. The data file is named with its full path: export again after moving it.
task: {name}
tag: {tag}
dataset_path: parquet
dataset_kwargs:
  data_files:
    {split}: {data}
test_split: {split}
output_type: generate_until
doc_to_visual: !function utils.{visual}
doc_to_text: prompt
doc_to_target: answer
process_results: !function utils.{results}
cluster_key: cluster
score_key: score
generation_kwargs:
  max_new_tokens: {max_tokens}
  temperature: {temperature}
  do_sample: {samples_tokens}
  until: []
repeats: {samples}
filter_list:
  - name: {filter}
    filter:
      - function: take_first_k
        k: {samples}
metric_list:
  - metric: {metric}
    aggregation: !function utils.accuracy
    higher_is_better: true
metadata:
  version: 1.0
  splits: {splits}
"""

_UTILS = '''\
"""Grades a task that `hopchain evaluate export` wrote: the declared number only, compared exactly.

Needs hopchain-etl; `pip install --no-deps hopchain-etl` is enough, as the grader uses the standard library only.
"""

from hopchain_etl.hops.grading import is_correct

ITEM = {item}


def photo(doc):
    return [doc["image"].convert("RGB")]


def no_photo(doc):
    return []


def process_results(doc, results):
    scores = [float(is_correct(text, doc["answer"])) for text in results]
    item = {{name: doc[name] for name in ITEM}}
    known = {{**item, "gold": doc["answer"], "sees_image": True, "scores": scores}}
    return {{"{metric}": {{**known, "score": sum(scores) / len(scores)}}}}


def process_blind_results(doc, results):
    made = process_results(doc, results)
    made["{metric}"]["sees_image"] = False
    return made


def accuracy(items):
    return sum(item["score"] for item in items) / len(items)
'''


def write(tasks: list[HarnessTask], out: Path, sampling: Sampling) -> None:
    """Write the tasks to ``out``, which is then an ``--include_path`` of lmms-eval."""
    for task in tasks:
        place = SplitFile(out, task.name)
        write_parquet(_examples(task), place, for_datasets(_SCHEMA), _row)
        for blind in (False, True)[: 1 + sampling.blind]:
            name = task.name + BLIND * blind
            (out / f"{name}.yaml").write_text(_yaml(task, name, out / place.name, sampling, blind))
    (out / "utils.py").write_text(_UTILS.format(item=(*ITEM, "question"), metric=METRIC))


def _yaml(task: HarnessTask, name: str, data: Path, sampling: Sampling, blind: bool) -> str:
    return _YAML.format(
        name=name,
        tag=task.name.removesuffix(f"_{task.variant}"),
        split="validation" if "validation" in task.name else "test",
        data=json.dumps(str(data.resolve())),
        visual="no_photo" if blind else "photo",
        results="process_blind_results" if blind else "process_results",
        max_tokens=sampling.max_tokens,
        temperature=float(sampling.temperature),
        samples_tokens=str(sampling.temperature > 0).lower(),
        samples=sampling.samples,
        filter="all_samples",
        metric=METRIC,
        splits=json.dumps(task.splits),
    )


def _examples(task: HarnessTask) -> Iterator[Example]:
    for question, item in task.items():
        yield Example(question.benchmark, question.prompt, question.gold, question.photo.load(), 0, item)


def _row(_: int, one: Example) -> dict[str, Any]:
    facts = {name: value for name, value in one.facts.items() if name != "gold"}
    return {"image": {"bytes": one.image, "path": None}, "prompt": one.prompt, "answer": one.answer, **facts}
