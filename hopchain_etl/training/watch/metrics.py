"""Each trainer's log of metrics as steps and values, and what its names mean in the common table.

The names were read in the sources of verl 0.9.1, TRL 1.16, ms-swift 4.6 and EasyR1 (2026-07). No name means two things
in two trainers, so one list serves all.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from hopchain_etl.training.watch.lines import NotReadError, WatchError, first_object, json_lines

Values = dict[str, float]
Log = Iterator[tuple[int, Values]]

# A column, and where to find it: the first name that the log has. Several hits of one pattern are averaged.
COLUMNS: dict[str, tuple[str, ...]] = {
    # EasyR1's critic/score is of the groups that its filter has left, reward/overall of all.
    "reward": (r"reward/overall", r"critic/score/mean", r"reward", r"critic/rewards/mean"),
    "accuracy": (r"(?i:rewards/.*(?:accuracy|correct).*/mean)", r"reward/accuracy"),
    "format": (r"(?i:rewards/.*format.*/mean)", r"reward/format"),
    "length": (r"completions/mean_length", r"response_length/mean"),
    "clipped": (r"completions/clipped_ratio", r"response_length/clip_ratio"),
    "zero_variance": (r"frac_reward_zero_std",),
    "clip_ratio": (r"clip_ratio/region_mean", r"actor/pg_clipfrac", r"actor/pg_clipfrac_higher", r"cispo_clip_ratio"),
    "entropy": (r"entropy", r"entropy/mean", r"actor/entropy", r"actor/entropy_loss"),
    "kl": (r"kl", r"actor/kl_loss", r"actor/reward_kl_penalty", r"actor/kl_penalty"),
    "kl_step": (r"actor/ppo_kl", r"policy_kl"),
    "loss": (r"loss", r"actor/pg_loss"),
    "grad_norm": (r"grad_norm", r"actor/grad_norm"),
    "validation": (
        r"val-core/.*/acc/mean@\d+",
        r"(?i:eval_rewards/.*(?:accuracy|correct).*/mean)",
        r"val/accuracy_reward",
        r"val-core/.*/mean@\d+",
        r"eval_reward",
        r"val/reward_score",
    ),
    "evicted": (r"training/filter_groups/evicted_samples",),  # groups without a gradient that verl drew anew
}
_PATTERNS = {column: [re.compile(one) for one in names] for column, names in COLUMNS.items()}
MUST_BE_FINITE = ("loss", "grad_norm")


def in_columns(logged: Mapping[str, Any]) -> Values:
    """Return what a log says about a step by the names of the table; NaN stays only where it is a finding."""
    numbers = {name: float(value) for name, value in logged.items() if _is_number(value)}
    # verl's logger writes NaN as null; where the table asks whether a number is finite, that is what it was.
    lost = {name: math.nan for name, value in logged.items() if value is None}
    made: Values = {}
    for column, patterns in _PATTERNS.items():
        known = numbers | lost if column in MUST_BE_FINITE else numbers
        for pattern in patterns:
            hits = [value for name, value in known.items() if pattern.fullmatch(name)]
            if column not in MUST_BE_FINITE:
                hits = [value for value in hits if math.isfinite(value)]
            if hits:
                made[column] = fmean(hits)
                break
    return made


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_verl(path: Path) -> Log:
    """Yield the steps of verl's ``file`` logger: ``{"step": 3, "data": {"critic/score/mean": 0.4, ...}}``."""
    for number, line in json_lines(path):
        step, data = line.get("step"), line.get("data")
        if not isinstance(step, int) or not isinstance(data, dict):
            raise WatchError(f"{path}, line {number}: verl's file logger writes step and data, not {sorted(line)[:5]}")
        yield step, in_columns(data)


def read_easyr1(path: Path) -> Log:
    """Yield the steps of EasyR1's ``experiment_log.jsonl``: names are cut at "/" and nested."""
    for number, line in json_lines(path):
        step = line.get("step")
        if not isinstance(step, int):
            raise WatchError(f"{path}, line {number}: EasyR1 writes a step in each line, this one has none")
        yield step, in_columns(_flat(line))


def read_swift(path: Path) -> Log:
    """Yield the steps of ms-swift's ``logging.jsonl``; its last lines are about the run and have no metrics."""
    for number, line in json_lines(path):
        told = line.get("global_step/max_steps") or line.get("iteration")
        if told is None:
            continue
        found = re.match(r"(\d+)/", str(told))
        if not found:
            raise WatchError(f"{path}, line {number}: {str(told)[:40]!r} is not a step of how many")
        yield int(found[1]), in_columns(line)


def read_trainer_state(path: Path) -> Log:
    """Yield the steps of ``trainer_state.json``, which transformers' Trainer writes into each checkpoint."""
    try:
        history = json.loads(path.read_text(encoding="utf-8", errors="replace"))["log_history"]
        rows = [(int(row["step"]), row) for row in history]
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise NotReadError(f"{path}: not a state of transformers' Trainer ({error!r:.80})") from error
    for step, row in rows:
        yield step, in_columns(row)


def read_events(path: Path) -> Log:
    """Yield the steps of a TensorBoard event file, by any of the trainers. Needs the package tensorboard."""
    try:
        from tensorboard.backend.event_processing.event_file_loader import (  # type: ignore[import-not-found, unused-ignore]
            LegacyEventFileLoader,
        )
    except ImportError as error:
        raise NotReadError("TensorBoard's events need the package tensorboard: pip install tensorboard") from error
    steps: dict[int, dict[str, float]] = {}
    for event in LegacyEventFileLoader(str(path)).Load():
        for one in event.summary.value:
            if one.HasField("simple_value"):
                name = one.tag.removeprefix("train/")  # transformers' two prefixes
                name = f"eval_{name.removeprefix('eval/')}" if name.startswith("eval/") else name
                steps.setdefault(event.step, {})[name] = one.simple_value
    for step, logged in sorted(steps.items()):
        yield step, in_columns(logged)


READERS: dict[str, Callable[[Path], Log]] = {
    "verl": read_verl,
    "EasyR1": read_easyr1,
    "ms-swift": read_swift,
    "transformers": read_trainer_state,
    "TensorBoard": read_events,
}


_NAMED = {"logging.jsonl": "ms-swift", "experiment_log.jsonl": "EasyR1", "completions.jsonl": "rollouts"}


def kind_of(path: Path) -> str | None:
    """Return which of ``READERS`` reads a file, "rollouts" for one with completions, or None for something else."""
    if path.name == "trainer_state.json":
        return "transformers"
    if path.name.startswith("events.out.tfevents."):
        return "TensorBoard"
    if path.suffix == ".parquet" and re.fullmatch(r"completions_\d+", path.stem):
        return "rollouts"
    if path.suffix != ".jsonl":
        return None
    if path.name in _NAMED:
        return _NAMED[path.name]
    first = first_object(path) or {}
    if {"input", "output", "score"} <= first.keys() or {"prompt", "completion", "advantages"} <= first.keys():
        return "rollouts"
    if "global_step/max_steps" in first or "iteration" in first:
        return "ms-swift"
    if "step" in first and isinstance(first.get("data"), dict):
        return "verl"
    if "step" in first and any(isinstance(value, dict) for value in first.values()):
        return "EasyR1"
    return None


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            made |= _flat(value, f"{prefix}{name}/")
        else:
            made[f"{prefix}{name}"] = value
    return made
