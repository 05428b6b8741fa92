"""The checks: what must hold for every row that a trainer is given, whichever trainer it is."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal, InvalidOperation, localcontext
from pathlib import Path
from typing import Any, Protocol

from hopchain_etl.imaging.vision_tokens import MAX_PIXELS, image_tokens
from hopchain_etl.training.preflight.facts import BrokenRowError, Facts, facts_of, mixed_columns, row_count

Advance = Callable[[int], None]
_BATCH = 4  # rows that are collated as a trial
_FAULTS = (Exception,)  # whatever a trainer raises for a row is a fault of that row


class PreflightError(ValueError):
    """The check itself cannot run; the message names the remedy."""


@dataclass(frozen=True)
class Finding:
    """Something that would stop or spoil a run: what was checked, where, what is wrong, and what to do."""

    check: str  # schema, load, image, image tokens, length, reward or batch
    file: str
    row: int | None  # from 0; None: the whole file
    problem: str
    remedy: str


@dataclass(frozen=True)
class Prompt:
    """A prompt as the model gets it, in tokens; ``image_tokens`` of ``tokens`` stand for images."""

    tokens: int
    image_tokens: int


class Opened(Protocol):
    """One file as a trainer has read it. Rows are numbered as in the file."""

    def __len__(self) -> int:
        """Return how many rows the trainer kept."""
        ...

    def prompt(self, row: int) -> Prompt:
        """Return what the trainer's processor makes of a row; raise whatever the trainer raises."""
        ...

    def scores(self, row: int, completions: Sequence[str]) -> list[float | None]:
        """Return the trainer's reward of each completion of a row; None where no function grades it."""
        ...

    def collate(self, rows: Sequence[int]) -> None:
        """Make a batch of these rows; raise whatever the trainer raises."""
        ...


class Trainer(Protocol):
    """A trainer's loader and reward."""

    name: str
    suffix: str  # of the files that it reads

    def open(self, file: Path, max_pixels: int) -> Opened:
        """Return a file as the trainer reads it where its images are bounded so; raise whatever the trainer raises."""
        ...


@dataclass(frozen=True)
class Limits:
    """What rows are held to. ``answers``: of a release, by query_id and variant."""

    max_prompt_tokens: int | None = None
    max_pixels: int | None = None  # None: as export.json beside the file says
    rows: int | None = None  # of each file, drawn; None: all
    answers: Mapping[tuple[str, str], str] | None = None
    wrong_score: float = 0.0  # of a wrong number: the weight of the format


@dataclass
class Report:
    """What was checked, and what was found."""

    trainer: str
    rows: int = 0
    others: int = 0  # rows of other data: their reward must answer, and need not give 1
    longest: int = 0  # tokens
    findings: list[Finding] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON."""
        return {**asdict(self), "passed": not self.findings}


def preflight(trainer: Trainer, files: Sequence[Path], limits: Limits, advance: Advance = lambda _: None) -> Report:
    """Check files through a trainer's own code; ``advance`` is called with 1 for each row checked.

    Raises PreflightError if there is nothing to check.
    """
    for file in files:
        if not file.is_file() or file.suffix != trainer.suffix:
            raise PreflightError(f"{file} is no {trainer.suffix} file, which {trainer.name} reads here")
    report = Report(trainer.name)
    remedy = "write all files with the same command and version, or mix them with --align"
    report.findings += [Finding("schema", str(file), row, told, remedy) for file, row, told in mixed_columns(files)]
    for file in files:
        report.findings += _File(trainer, file, limits, report, advance).findings()
    if not report.rows and not report.findings:
        raise PreflightError(f"{', '.join(map(str, files))}: there are no rows")
    return report


class _File:
    """The checks of one file."""

    def __init__(self, trainer: Trainer, file: Path, limits: Limits, report: Report, advance: Advance) -> None:
        self.trainer, self.file, self.limits, self.report, self.advance = trainer, file, limits, report, advance
        self.told: dict[str, Any] = {}  # by the export, of itself

    def findings(self) -> Iterator[Finding]:
        try:
            self.told = _export_json(self.file)
            yield from self._checked()
        except (ValueError, OSError) as error:  # the file, or what lies beside it, cannot be read
            yield self._unread(error)

    def _checked(self) -> Iterator[Finding]:
        total = row_count(self.file)
        some = self.limits.rows
        chosen = range(total) if some is None or some >= total else sorted(random.Random(0).sample(range(total), some))  # noqa: S311
        try:
            opened = self.trainer.open(self.file, self._max_pixels)
        except _FAULTS as error:
            yield self._unread(error)
            return
        if len(opened) != total:
            told = f"{self.trainer.name} keeps {len(opened)} of {total} rows"
            yield self._found("load", None, told, "the trainer's log says which; leave these out")
        good: list[int] = []
        for facts in facts_of(self.file, chosen):
            found = list(self._row(opened, facts))
            yield from found
            self.report.rows += 1
            self.report.others += not facts.is_ours
            if not found and len(good) < _BATCH:
                good.append(facts.row)
            self.advance(1)
        if good:
            try:
                opened.collate(good)
            except _FAULTS as error:
                told = f"rows {', '.join(map(str, good))} make no batch: {_said(error)}"
                yield self._found("batch", good[0], told, "these rows differ in their columns or images; compare them")

    def _row(self, opened: Opened, facts: Facts) -> Iterator[Finding]:
        if facts.fault or (facts.is_ours and not facts.sizes):
            told = facts.fault or "it has no image, and its question is about one"
            yield self._found("image", facts.row, told, _EXPORT)
            return
        try:
            prompt = opened.prompt(facts.row)
        except _FAULTS as error:
            yield self._found("load", facts.row, f"{self.trainer.name} makes no prompt of it: {_said(error)}", _EXPORT)
            return
        self.report.longest = max(self.report.longest, prompt.tokens)
        yield from self._lengths(prompt, facts)
        yield from self._rewards(opened, facts)

    def _lengths(self, prompt: Prompt, facts: Facts) -> Iterator[Finding]:
        most = self.limits.max_prompt_tokens or self.told.get("max_prompt_tokens")
        if most and prompt.tokens > most:
            told = f"the prompt has {prompt.tokens} tokens, {prompt.image_tokens} of them of images; {most} are allowed"
            remedy = f"export with --max-prompt-tokens {most} --tokenizer MODEL, or --max-pixels"
            yield self._found("length", facts.row, told, remedy)
        stamped = sum(image_tokens(*size, max_pixels=self._max_pixels) for size in facts.sizes)
        if facts.is_ours and prompt.image_tokens != stamped:
            told = f"its image becomes {prompt.image_tokens} tokens, and the export counted {stamped}"
            remedy = "export and train with the same --max-pixels, for a model that cuts images as Qwen3-VL does"
            yield self._found("image tokens", facts.row, told, remedy)

    def _rewards(self, opened: Opened, facts: Facts) -> Iterator[Finding]:
        gold = facts.gold or ""
        if not facts.is_ours:
            try:
                scores = opened.scores(facts.row, [f"\\boxed{{{gold}}}", ""])
            except _FAULTS as error:
                yield self._found("reward", facts.row, f"the reward of other data fails: {_said(error)}", _OTHERS)
                return
            if all(score is None for score in scores):  # its groups would be of one score, and teach nothing
                yield self._found("reward", facts.row, "it is of other data, and no reward grades it", _OTHERS)
            return
        expected = [(f"So \\boxed{{{gold}}}.", 1.0, f"the gold answer {gold!r}"), ("", 0.0, "an empty answer"),
                    (f"So it is \\boxed{{{gold}", 0.0, "a truncated answer")]  # fmt: skip
        if (wrong := _plus_one(gold)) is not None:
            expected.append((f"So \\boxed{{{wrong}}}.", self.limits.wrong_score, f"gold + 1, {wrong},"))
        try:
            scores = opened.scores(facts.row, [text for text, _, _ in expected])
        except _FAULTS as error:
            yield self._found("reward", facts.row, f"the reward fails: {_said(error)}", _GOLD)
            return
        for (_, right, called), score in zip(expected, scores, strict=True):
            if score is None or abs(score - right) > 1e-6:
                yield self._found("reward", facts.row, f"{called} scores {score}, not {right:g}", _GOLD)
        released = (self.limits.answers or {}).get(facts.question) if facts.question else None
        if released is not None and released != gold:
            yield self._found(
                "reward", facts.row, f"its answer is {gold!r}, and the release says {released!r}", _EXPORT
            )

    @property
    def _max_pixels(self) -> int:
        return int(self.limits.max_pixels or self.told.get("max_pixels") or MAX_PIXELS)

    def _unread(self, error: Exception) -> Finding:
        row = error.row if isinstance(error, BrokenRowError) else None
        return self._found("load", row, f"{self.trainer.name} cannot read it: {_said(error)}", _EXPORT)

    def _found(self, check: str, row: int | None, problem: str, remedy: str) -> Finding:
        return Finding(check, str(self.file), row, problem, remedy)


_EXPORT = "export again from the release, or leave the row out"
_GOLD = "the answer must be an exact number, and the reward that of this package: see docs/training.md, Rewards"
_OTHERS = "name the reward of this data as in the run (--reward, or others in --reward-kwargs), or leave the row out"


def graders(names: Sequence[str], accuracy: str, extras: Collection[str]) -> list[str]:
    """Return the rewards whose sum must be 1 or 0: without what a run adds to our accuracy, by weights of its own."""
    return [name for name in names if accuracy not in names or name not in extras]


def _export_json(file: Path) -> dict[str, Any]:
    """Return what the export beside a file says of itself; empty if there is none."""
    path = file.parent / "export.json"
    try:
        told = json.loads(path.read_text()) if path.is_file() else {}
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    return told if isinstance(told, dict) else {}


def _plus_one(gold: str) -> str | None:
    """Return an exact decimal plus 1; None if it is none."""
    try:
        with localcontext() as exact:
            exact.prec = 200
            return f"{Decimal(gold) + 1:f}"
    except InvalidOperation:
        return None


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"
