"""Estimates the cost of a build over N images in tokens and GPU hours, from statistics in the lake or assumptions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hopchain_etl.concurrency import map_threads
from hopchain_etl.pipeline.build import Build, Step
from hopchain_etl.settings import Profile, Settings

_PIXELS_PER_TOKEN = 1_024
_MIN_PAID_SHARE = 0.9  # share of rows with new model calls below which a shard's run time is not representative


@dataclass(frozen=True)
class Assumptions:
    """Assumed values for stages without statistics in the lake. Guesses; run a sample to replace them."""

    prompt_text: int = 2_500  # tokens of instructions and lists in a prompt
    detect_answer: int = 2_000  # tokens, thinking included
    author_answer: int = 8_000
    reader_answer: int = 3_000
    prompt_tokens_per_second: float = 20_000.0  # of the node that runs the model, all its GPUs together
    answer_tokens_per_second: float = 2_500.0
    segment_seconds: float = 1.0  # GPU seconds per image


@dataclass(frozen=True)
class StageCost:
    """What one stage costs for all images. ``basis`` is the source of the figures."""

    stage: str
    rows: int  # images that reach it
    tokens: int
    gpu_hours: float
    basis: str


def estimate(build: Build, images: int, gpus: int, assumed: Assumptions | None = None) -> list[StageCost]:
    """Return the cost of each stage for ``images`` images, where the vision-language model runs on ``gpus`` GPUs.

    A stage that has run under the current fingerprints is scaled from its shards' ``stats.json``: tokens per row with
    new calls, and wall seconds per row (of shards not answered from the cache) times the number of GPUs. Other stages
    are assumed. Hours of the local profile are hours of the machine it ran on.
    """
    assumed = assumed or Assumptions()
    asks_models = build.settings.engines.profile is not Profile.LOCAL
    reaching, costs = images, []
    for name, step in build.steps.items():
        stats = list(shard_stats(build, step))
        uses = gpus if asks_models and name != "segment" else 1
        cost = _measured(name, reaching, uses, stats) or _assumed(name, reaching, uses, build.settings, assumed)
        costs.append(cost)
        read = sum(one["read"] for one in stats)
        reaching = round(reaching * sum(one["ok"] for one in stats) / read) if read else reaching
    return costs


def shard_stats(build: Build, step: Step) -> Iterable[Mapping[str, Any]]:
    """Yield the stats of the stage's complete shards, with the numbers of rows read and ok."""
    lake, table, fingerprint = build.lake, step.stage.table, step.fingerprint
    shards = lake.completed_shards(table, fingerprint)
    stats = map_threads(lambda shard: lake.get_json(lake.folder(table, fingerprint, shard) + "stats.json"), shards)
    markers = map_threads(lambda shard: lake.marker(table, fingerprint, shard), shards)
    for one, marker in zip(stats, markers, strict=True):
        if one and marker and marker.read:
            yield {**one, "read": marker.read, "ok": marker.ok}


def _measured(stage: str, rows: int, gpus: int, stats: Iterable[Mapping[str, Any]]) -> StageCost | None:
    """Return the cost from stored statistics; None if there are no usable ones."""
    spends = any(one["tokens"] for one in stats)
    fresh = [one for one in stats if not spends or one.get("rows_paid", 0) >= _MIN_PAID_SHARE * one["read"]]
    read = sum(one["read"] for one in fresh)
    if not read:
        return None
    tokens = round(rows * sum(one["tokens"] for one in fresh) / read)
    hours = rows * sum(one["seconds"] for one in fresh) / read * gpus / 3_600
    return StageCost(stage, rows, tokens, hours, f"measured over {read} images")


def _assumed(stage: str, rows: int, gpus: int, settings: Settings, assumed: Assumptions) -> StageCost:
    if stage == "segment":
        return StageCost(stage, rows, 0, rows * assumed.segment_seconds / 3_600, "assumed")
    prompt, answer = _tokens_per_image(stage, settings, assumed)
    seconds = prompt / assumed.prompt_tokens_per_second + answer / assumed.answer_tokens_per_second
    return StageCost(stage, rows, rows * (prompt + answer), rows * seconds * gpus / 3_600, "assumed")


def _tokens_per_image(stage: str, settings: Settings, assumed: Assumptions) -> tuple[int, int]:
    """Return prompt and answer tokens of a stage for one image; 0 if the profile uses no model."""
    photo = settings.vlm.max_pixels // _PIXELS_PER_TOKEN
    if settings.engines.profile is Profile.LOCAL:
        return 0, 0
    if stage == "detect":
        return photo + assumed.prompt_text, assumed.detect_answer
    ask = settings.ask
    crops = settings.generate.max_instances * ask.crop_pixels // _PIXELS_PER_TOKEN
    drafts = ask.combinations_per_image
    questions = drafts * ask.queries_per_combination
    prompt = drafts * (photo + crops + assumed.prompt_text) + questions * assumed.prompt_text
    return prompt, drafts * assumed.author_answer + questions * assumed.reader_answer
