"""The questions of a released split, as a model is asked them, with the facts that break results down.

Facts are of the program of the variant that is asked, and null if its author gave none:

``n_hops``
    Number of hops.
``capability``
    What most of its hops read: ``text`` (words and numbers that are written in the photo), ``counting``, ``colour``,
    ``attributes`` (shape, size, parts) or ``recognition`` (what something is, whether it is there). Of several that are
    equally frequent, the one that is read last. ``spatial`` if no hop reads anything.
``chain``
    What its hops visit: ``text`` if all are lines of text, words or numbers, ``objects`` if none is, else ``mixed``.
``template``
    Its relations and readings in order, such as ``named below>:number``; ``>`` if it starts from another hop.
"""

from __future__ import annotations

import hashlib
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from hopchain_etl.engines.base import JSON, Photo, SolveJob
from hopchain_etl.evaluation.answers import EvaluationError
from hopchain_etl.evaluation.grade import grade
from hopchain_etl.hops.instance import TEXT_NOUNS
from hopchain_etl.hops.template import template_of
from hopchain_etl.training_set.dataset import VARIANTS, TrainingRow, TrainingSet
from hopchain_etl.training_set.git_environment import git_environment

_PHOTOS = 8  # number of photos whose bytes are kept while their questions are asked
_CAPABILITIES = {
    "text": "text", "number": "text", "count": "counting", "colour": "colour", "shape": "attributes",
    "size": "attributes", "parts": "attributes", "present": "recognition", "category": "recognition",
}  # fmt: skip
_COLUMNS = ("query_id", "image_id", "group", "question", "prompt", "answer", "question_half", "answer_half",
            "question_single", "answer_single", "hops", "hops_half", "hops_single", "band", "width",
            "height")  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """Which questions are asked, and how often: ``samples`` times with the photo, ``blind_samples`` times without.

    ``split``: None for all. ``limit``: only so many rows of the set, which are in no particular order.
    """

    split: str | None = "validation"
    variants: Sequence[str] = ("full",)
    samples: int = 1
    blind_samples: int = 0
    filters: Sequence[str] = ()
    limit: int | None = None

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.variants) - set(VARIANTS)):
            raise EvaluationError(f"no variant {unknown[0]!r}; there are {', '.join(VARIANTS)}")
        if not self.variants or self.samples + self.blind_samples < 1:
            raise EvaluationError("nothing is asked: name at least one variant, and one sample with or without photo")

    def __str__(self) -> str:
        """Return which rows these are, for ``RunHeader.splits``."""
        parts = [self.split or "all splits", *(f"where {one}" for one in self.filters)]
        return ", ".join([*parts, f"first {self.limit}"] if self.limit else parts)


@dataclass(frozen=True)
class Question:
    """One question about one photo, asked ``samples`` times, with the photo or blind."""

    benchmark: str
    item_id: str
    cluster: str
    variant: str
    sees_image: bool
    samples: int
    question: str
    prompt: str  # the question with the instruction of the set how to answer, as it is trained on
    gold: str
    facts: Mapping[str, Any]
    photo: Photo

    def jobs(self) -> list[SolveJob]:
        """Return the requests, one a sample."""
        return [SolveJob(self.photo, self.question, n, with_image=self.sees_image) for n in range(self.samples)]

    def row(self, sample: int, text: str | None, finish_reason: str | None, tokens: int | None = None) -> JSON:
        """Return one answer as a graded row of EVALUATIONS."""
        answer, score = grade(text, self.gold)
        item = {name: getattr(self, name) for name in ("benchmark", "item_id", "cluster", "variant", "sees_image")}
        said = {"text": text, "answer": answer, "score": score, "finish_reason": finish_reason, "tokens": tokens}
        return {**item, "sample": sample, "question": self.question, "gold": self.gold, **said, **self.facts}


class Questions:
    """The questions of a training set of ``path`` (as of ``TrainingSet``), in the order of its rows.

    Iterating reads the rows again each time. Raises what ``TrainingSet`` raises.
    """

    def __init__(self, path: Path, choice: Choice, *, target: str | None = None) -> None:
        self.choice = choice
        self._rows = TrainingSet(path, target=target, split=choice.split, columns=_COLUMNS).where(*choice.filters)
        self.benchmark = f"hopchain/{self._target}"
        self._load = lru_cache(_PHOTOS)(partial(_locked_read, self._rows, threading.Lock()))

    @property
    def splits(self) -> dict[str, str]:
        """The version of the set and which of its rows are asked, for ``RunHeader.splits``."""
        return {self.benchmark: f"{_version(self._rows, self._target)} {self.choice}"}

    def __len__(self) -> int:
        """Return the number of answers."""
        return self.questions * (self.choice.samples + self.choice.blind_samples)

    @cached_property
    def questions(self) -> int:
        """The number of questions, each with all its answers."""
        names = [_column("question", variant) for variant in self.choice.variants]
        counts, rows = 0, 0
        for batch in self._rows.select(*names).batches(10_000):
            part = batch.slice(0, None if self.choice.limit is None else max(0, self.choice.limit - rows))
            rows += batch.num_rows
            counts += sum(pc.count(part[name]).as_py() for name in names)
        return counts

    def __iter__(self) -> Iterator[Question]:
        for number, row in enumerate(self._rows):
            if number == self.choice.limit:
                return
            for variant in VARIANTS:
                if variant in self.choice.variants and row[_column("question", variant)] is not None:
                    yield from self._asked(row, variant)

    def _asked(self, row: TrainingRow, variant: str) -> Iterator[Question]:
        image = row["image_id"]
        sha = self._rows.images.blob_sha(image)
        photo = Photo(image, sha, row["width"], row["height"], partial(self._load, image))
        item = self.benchmark, row["query_id"], row["group"] or image, variant
        text, gold = row[_column("question", variant)], row[_column("answer", variant)]
        facts = {**facts_of(row[_column("hops", variant)]), "band": row["band"]}
        prompt = row.prompt(variant) or text
        seeing = Question(*item, True, self.choice.samples, text, prompt, gold, facts, photo)
        if self.choice.samples:
            yield seeing
        if self.choice.blind_samples:
            yield replace(seeing, sees_image=False, samples=self.choice.blind_samples)

    @property
    def _target(self) -> str:
        return self._rows.folder.name


def facts_of(hops: Sequence[Mapping[str, Any]] | None) -> JSON:
    """Return the facts about a program (see the module), given its hops as rows; None: nothing is known."""
    if not hops:
        return dict.fromkeys(("n_hops", "capability", "chain", "template"))
    reads = [_CAPABILITIES[hop["read"]] for hop in hops if hop["read"]]
    most = Counter(reads).most_common(1)[0][1] if reads else 0
    capability = next((one for one in reversed(reads) if reads.count(one) == most), "spatial")
    visits_text = {_is_text(hop["category"]) for hop in hops}
    chain = "mixed" if len(visits_text) > 1 else "text" if True in visits_text else "objects"
    return {"n_hops": len(hops), "capability": capability, "chain": chain, "template": template_of(hops)}


def _is_text(category: str | None) -> bool:
    """Return whether a hop that is described like this (``number "32"``, ``red car``) visits a line of text."""
    described = (category or "").partition('"')[0].split()
    return bool(described) and described[-1] in TEXT_NOUNS


def _column(name: str, variant: str) -> str:
    return name if variant == "full" else f"{name}_{variant}"


def _locked_read(rows: TrainingSet, lock: threading.Lock, image_id: str) -> bytes:
    """Return a photo's bytes. ``Images`` keeps what it read last, so that only one thread may use it at a time."""
    with lock:
        return rows.images.read(image_id)


def _version(rows: TrainingSet, target: str) -> str:
    """Return the version of a set: its tag in the registry, else a hash of its files."""
    command = ["git", "tag", "--points-at", "HEAD", "--list", f"training-set/{target}@*"]
    try:
        done = subprocess.run(
            command, cwd=rows.folder, env=git_environment(), capture_output=True, text=True, check=False
        )
    except OSError:  # no git
        done = None
    if done and not done.returncode and done.stdout.strip():
        return done.stdout.split()[-1].rpartition("@")[2]
    hashed = hashlib.sha256()
    for file in rows.files:
        hashed.update(hashlib.sha256(file.read_bytes()).digest())
    return f"rows {hashed.hexdigest()[:12]}"
