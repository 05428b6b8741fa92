"""Exports a downloaded training set to the formats of trainers: streamed, with a limit on prompt length.

Every row that passes the filter is exported or counted under a drop reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hopchain_etl.hops.consensus import ConsensusRule
from hopchain_etl.imaging.vision_tokens import MAX_PIXELS, image_tokens
from hopchain_etl.schemas import SPLITS
from hopchain_etl.training_set.dataset import VARIANTS, TrainingRow, TrainingSet
from hopchain_etl.training_set.export import program
from hopchain_etl.training_set.export.formats import FORMATS, WITH_RESPONSE, Example, SplitFile
from hopchain_etl.training_set.export.tokens import TokenCount, estimate
from hopchain_etl.training_set.images import NotPulledError
from hopchain_etl.training_set.rewards import OURS
from hopchain_etl.training_set.withdrawn import ask_registry

# Trainers replace these tokens by media; a question that quotes one from a photo would refer to too many images.
RESERVED = ("<image>", "<video>", "<audio>")
_COLUMNS = ("query_id", "image_id", "split", "question", "prompt", "answer", "question_half", "answer_half",
            "question_single", "answer_single", "n_hops", "policy", "difficulty", "band", "license", "source", "width",
            "height", "image_tokens")  # fmt: skip


@dataclass(frozen=True)
class ExportOptions:
    """The export options. ``max_prompt_tokens`` counts text, image and chat template together.

    ``with_hops`` adds the column ``hops``: the program with values and boxes (``formats.HOPS``).
    """

    format: str
    variant: str = "full"
    split: str | None = None
    filters: tuple[str, ...] = ()
    max_prompt_tokens: int | None = None
    max_pixels: int = MAX_PIXELS  # the trainer's limit for resized images
    with_hops: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the training set that this export reads."""
        return _COLUMNS + (program.COLUMNS if self.with_hops or self.format in WITH_RESPONSE else ())


@dataclass
class ExportResult:
    """The export result. ``read`` = ``rows`` + the sum of ``dropped``; ``filtered`` rows were excluded by filters."""

    read: int = 0
    rows: int = 0
    filtered: int = 0
    withdrawn: int = 0  # photos that were withdrawn since this version; their rows are not read
    longest_prompt: int = 0  # in tokens, over the exported rows
    dropped: Counter[str] = field(default_factory=Counter)
    files: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)  # splits of which no row is left: they have no file

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON."""
        return {**vars(self), "dropped": dict(sorted(self.dropped.items()))}


def export(
    path: Path,
    out: Path,
    wanted: ExportOptions,
    *,
    target: str | None = None,
    count: TokenCount = estimate,
    advance: Callable[[], None] = lambda: None,
) -> ExportResult:
    """Write one file per split below ``out`` and ``export.json`` with the counts; return the counts.

    Files of an earlier export of the same split are replaced when the new ones are complete. A split of which no row is
    left has no file: trainers cannot load one without rows. ``count`` returns the number of tokens of a text;
    ``advance`` is called for each row read. A clone first asks its registry which photos were withdrawn since. Raises
    NotPulledError if rows or images have not been downloaded, and ValueError for an unknown format, variant, split or
    filter.
    """
    if wanted.format not in FORMATS:
        raise ValueError(f"no format {wanted.format!r}; there are {', '.join(FORMATS)}")
    if wanted.variant not in VARIANTS:
        raise ValueError(f"no variant {wanted.variant!r}; there are full, half and single")
    done, missing = ExportResult(), None
    ask_registry(path)
    out.mkdir(parents=True, exist_ok=True)
    for split in [wanted.split] if wanted.split else SPLITS:
        try:
            everything = TrainingSet(path, target=target, split=split, columns=wanted.columns)
        except NotPulledError as error:
            if wanted.split:
                raise
            missing = error
            continue
        done.withdrawn += len(everything.withdrawn)
        place = SplitFile(out, split, wanted.with_hops)
        examples = _examples(everything.where(*wanted.filters), wanted, count, done, advance)
        before = done.rows
        FORMATS[wanted.format](examples, place)
        done.filtered += len(everything)
        if done.rows > before:
            done.files.append(place.name)
        else:
            (out / place.name).unlink()
            done.empty.append(split)
    if missing and not done.files and not done.empty:
        raise missing
    done.filtered -= done.read
    told = {**vars(wanted), **done.to_json(), "filters": list(wanted.filters)}
    (out / "export.json").write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
    return done


def _examples(
    rows: TrainingSet, wanted: ExportOptions, count: TokenCount, done: ExportResult, advance: Callable[[], None]
) -> Iterator[Example]:
    for row in rows:
        done.read += 1
        advance()
        made = _example(row, rows.folder.name, wanted, count)
        if isinstance(made, str):
            done.dropped[made] += 1
            continue
        done.longest_prompt = max(done.longest_prompt, made.prompt_tokens)
        done.rows += 1
        yield made


def _example(row: TrainingRow, target: str, wanted: ExportOptions, count: TokenCount) -> Example | str:
    """Return a row as an example, or the reason why it is dropped."""
    prompt, answer = row.prompt(wanted.variant), row.answer(wanted.variant)
    if prompt is None or answer is None:
        return f"no_{wanted.variant}"
    if any(mark in prompt for mark in RESERVED):
        return "reserved_word"
    tokens = image_tokens(row["width"], row["height"], max_pixels=wanted.max_pixels) + count(prompt)
    if wanted.max_prompt_tokens is not None and tokens > wanted.max_prompt_tokens:
        return "prompt_too_long"
    facts = {name: row[name] for name in ("query_id", "image_id", "split", "n_hops", "difficulty", "band", "license")}
    reviewed = wanted.variant == "full" and ConsensusRule.is_name(row["policy"])
    facts |= {"variant": wanted.variant, "human_verified": reviewed, "prompt_tokens": tokens}
    if wanted.with_hops:
        facts["hops"] = program.hops_of(row, wanted.variant)
    response = program.response_of(row, wanted.variant, answer) if wanted.format in WITH_RESPONSE else None
    if response is None and wanted.format in WITH_RESPONSE:
        return "no_reasoning"
    if response is not None and any(mark in response for mark in RESERVED):
        return "reserved_word"
    return Example(OURS + target, prompt, answer, row.image_bytes(), tokens, facts, response)
