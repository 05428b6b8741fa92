"""Puts two runs side by side: the questions that both answered, and what speaks against comparing them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hopchain_etl.evaluation.answers import EvaluationError, EvaluationRun, RunHeader
from hopchain_etl.evaluation.statistics import Clusters, Floats

KEYS = ("benchmark", "variant", "sees_image", "item_id")
FACTS = ("n_hops", "band", "capability", "chain", "template")
_NEEDED = (*KEYS, "cluster", "sample", "score")
_ASKED = ("question", "gold")  # the same in both runs, or they were not asked the same
_FREE = {"name", "model", "model_revision"}  # what two comparable runs may differ in


@dataclass(frozen=True)
class Pairs:
    """Questions that both runs answered: one place in each array, in the order of KEYS."""

    items: pa.Table  # KEYS, FACTS and cluster
    before: Floats  # mean score of the baseline's samples
    after: Floats
    samples: tuple[NDArray[np.int64], NDArray[np.int64]]  # how many answers the baseline gave, and the trained model
    tokens: Floats  # mean length of the baseline's answers; NaN where unknown

    @property
    def changes(self) -> Floats:
        """How much better each question was answered after training, from -1 to 1."""
        return self.after - self.before

    @property
    def clusters(self) -> Clusters:
        """Which questions share a photo."""
        return Clusters(self.column("cluster"))

    @property
    def balances(self) -> Floats:
        """Of each photo, how many answers became right less those that became wrong, for McNemar's test.

        In answers where every question has equally many; else in questions.
        """
        counts = np.concatenate(self.samples)
        whole = len(counts) and (counts == counts[0]).all()
        return self.clusters.sums(self.changes * (counts[0] if whole else 1))

    def column(self, name: str) -> NDArray[np.object_]:
        """Return a column of ``items``; None where it is null."""
        return np.array([*self.items[name].to_pylist(), None], dtype=object)[:-1]

    def where(self, kept: NDArray[np.bool_]) -> Pairs:
        """Return the questions that a mask keeps."""
        one, other = self.samples
        return Pairs(
            self.items.filter(pa.array(kept)),
            self.before[kept],
            self.after[kept],
            (one[kept], other[kept]),
            self.tokens[kept],
        )

    def __len__(self) -> int:
        return len(self.before)


@dataclass(frozen=True)
class Matched:
    """The pairs of two runs, what forbids to compare them, and what a reader should know."""

    pairs: Pairs
    objections: tuple[str, ...]
    warnings: tuple[str, ...]


def match(baseline: EvaluationRun, trained: EvaluationRun) -> Matched:
    """Return the questions that both runs answered, with all that speaks against a comparison.

    Raises EvaluationError if a run has answers without a score, a photo or a name, or one twice, or if no question is
    in both.
    """
    one, other = _by_item(baseline), _by_item(trained)
    both = one.join(other, list(KEYS), join_type="inner", right_suffix=" after").sort_by(
        [(k, "ascending") for k in KEYS]
    )
    if not both.num_rows:
        raise EvaluationError(f"{baseline.header.name} and {trained.header.name} have no question in common")
    before, after = (_mean(both, suffix) for suffix in ("", " after"))
    samples = both["answers"].to_numpy(), both["answers after"].to_numpy()
    tokens = pc.fill_null(both["tokens"], np.nan).to_numpy()
    pairs = Pairs(both.select([*KEYS, "cluster", *FACTS]), before, after, samples, tokens)
    shared = set(both["benchmark"].unique().to_pylist())
    objections = [*differing(baseline.header, trained.header, shared), *_other_questions(both)]
    return Matched(pairs, tuple(objections), tuple(_gaps(baseline, trained, one, other, pairs)))


def differing(one: RunHeader, other: RunHeader, benchmarks: set[str]) -> Iterator[str]:
    """Yield what two runs were measured differently in: everything in their headers but the models themselves.

    ``benchmarks`` are those in both: the splits of others, and how an import's were sampled, do not matter.
    """
    for name in (part.name for part in fields(RunHeader) if part.name not in _FREE):
        was, now = getattr(one, name), getattr(other, name)
        if isinstance(was, dict):
            each = all(isinstance(value, dict) for value in (*was.values(), *now.values()))  # a benchmark's own
            keys = benchmarks if name == "splits" or each else was.keys() | now.keys()
            for key in sorted(key for key in keys if was.get(key) != now.get(key)):
                yield f"{name}: {key} is {was.get(key)!r} in {one.name}, and {now.get(key)!r} in {other.name}"
        elif was != now:
            yield f"{name}: {was!r} in {one.name}, and {now!r} in {other.name}"


def _by_item(run: EvaluationRun) -> pa.Table:
    """Return one row a question: sum of scores, number of answers, mean tokens, and its facts."""
    answers, name = run.answers, run.header.name
    for column in _NEEDED:
        if missing := answers[column].null_count:
            place = answers.filter(answers[column].is_null()).slice(0, 1).select(["benchmark", "item_id"]).to_pylist()
            raise EvaluationError(f"{name}: {missing} answers have no {column}; the first is {place[0]}")
    within = pc.and_(pc.greater_equal(answers["score"], 0), pc.less_equal(answers["score"], 1))  # NaN is not
    if strange := answers.filter(pc.invert(within)).slice(0, 1).select(["benchmark", "item_id", "score"]).to_pylist():
        raise EvaluationError(f"{name}: a score is a share from 0 to 1; the first that is none: {strange[0]}")
    once = answers.select([*KEYS, "sample"]).group_by([*KEYS, "sample"]).aggregate([([], "count_all")])
    if once.num_rows < answers.num_rows:
        twice = once.filter(pc.greater(once["count_all"], 1)).slice(0, 1).to_pylist()[0]
        raise EvaluationError(f"{name}: benchmark {twice['benchmark']} item {twice['item_id']} has a sample twice")
    kept = (*_ASKED, "cluster", *FACTS)
    made = answers.group_by(KEYS, use_threads=False).aggregate(
        [("score", "sum"), ("score", "count"), ("tokens", "mean"), *((column, "first") for column in kept)]
    )
    renamed = {"score_sum": "points", "score_count": "answers", "tokens_mean": "tokens"}
    return made.rename_columns(renamed | {f"{column}_first": column for column in kept})


def _mean(both: pa.Table, suffix: str) -> Floats:
    return np.asarray(pc.divide(both[f"points{suffix}"], both[f"answers{suffix}"]).to_numpy(), float)


def _other_questions(both: pa.Table) -> Iterator[str]:
    for column in _ASKED:
        same = pc.equal(both[column], both[f"{column} after"])  # null where a harness did not keep it
        other = both.filter(pc.invert(pc.fill_null(same, True)))
        if other.num_rows:
            item = other["item_id"][0].as_py()
            yield f"{column}: not the same in both runs for {other.num_rows} questions, such as {item}"


def _gaps(
    baseline: EvaluationRun, trained: EvaluationRun, one: pa.Table, other: pa.Table, pairs: Pairs
) -> Iterator[str]:
    """Yield what a reader should know of questions that are missing, and of what a harness does not say."""
    for run, items, who in ((baseline, one, trained), (trained, other, baseline)):
        if missing := items.num_rows - len(pairs):
            yield f"{missing} questions of {run.header.name} are left out: {who.header.name} has no answer to them"
    yield from _not_given(baseline, trained)
    if uneven := int((pairs.samples[0] != pairs.samples[1]).sum()):
        yield f"{uneven} questions were asked more often in one run than in the other"
    if baseline.header.prompt is None and trained.header.prompt is None:
        yield "whether both were asked with the same prompt is not known: their harness does not say"


def _not_given(baseline: EvaluationRun, trained: EvaluationRun) -> Iterator[str]:
    """Yield how many wrong answers are none: their request failed, which says nothing about the model."""
    runs = (baseline, trained)
    for run in runs:
        if lost := run.without_answer:
            yield (
                f"{lost} of {run.answers.num_rows} requests of {run.header.name} gave no answer (refused, failed, or "
                "not readable) and count as wrong"
            )
    if baseline.without_answer != trained.without_answer:
        most = max(runs, key=lambda run: run.without_answer).header.name
        yield (
            f"requests gave no answer more often in {most} than in the other run: the difference is not only one "
            "of the models. Find out why, and ask these questions again"
        )
