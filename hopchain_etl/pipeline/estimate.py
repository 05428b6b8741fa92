"""Estimates the cost of a build over N images in tokens and GPU hours, from statistics in the lake or assumptions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hopchain_etl.concurrency import map_threads
from hopchain_etl.pipeline.build import Build, Step
from hopchain_etl.settings import EngineEntry, Role, Settings
from hopchain_etl.stages.resources import ROLES

_FILTERS = ("judge", "screen")  # stages that read questions, not photos
_PIXELS_PER_TOKEN = 1_024
_MIN_PAID_SHARE = 0.9  # share of rows with new model calls below which a shard's run time is not representative


@dataclass(frozen=True)
class Assumptions:
    """Assumed values for stages without statistics in the lake. Guesses; run a sample to replace them.

    Tokens are those of one call. Answers are a thinking model's, with its thinking.
    """

    prompt_text: int = 2_500  # tokens of instructions and lists in a prompt of detector and reader
    author_text: int = 4_500
    look_text: int = 700  # likewise of looker, judge and solver
    detect_answer: int = 2_000  # tokens
    author_thinking: int = 14_000  # about all questions of a combination; such models take 8,000 to 20,000
    author_question: int = 900  # each question, with its program and variants
    reader_answer: int = 3_000
    look_answer: int = 1_500
    judge_answer: int = 2_000
    solver_answer: int = 1_000  # of a weaker model
    sent_back: float = 0.3  # share of drafts that are refused, and go back to their author
    past_code: float = 0.6  # share of drafts that pass the rules of code, those that were mended among them
    past_reader: float = 0.8  # share of those that the reader understands as their author does
    past_eyes: float = 0.6  # share of those that are kept
    variants: float = 1.5  # of a question that passes code, at most 2; each is read like a question
    open_hops: float = 1.5  # of a question's 4 to 6 hops, those that code leaves open; each is looked at
    open_hops_of_variants: float = 0.5  # of both together, those that need a look of their own
    prompt_tokens_per_second: float = 20_000.0  # of the node that runs the model, all its GPUs together
    answer_tokens_per_second: float = 2_500.0
    segment_seconds: float = 1.0  # GPU seconds per image, of an engine that computes on a GPU


@dataclass(frozen=True)
class StageCost:
    """What one stage costs for all images. ``basis`` is the source of the figures."""

    stage: str
    rows: int  # images that reach it; for judge and screen questions
    tokens: int
    gpu_hours: float
    basis: str


def estimate(build: Build, images: int, gpus: int, assumed: Assumptions | None = None) -> list[StageCost]:
    """Return the cost of each stage for ``images`` images, where the vision-language model runs on ``gpus`` GPUs.

    A stage that has run under the current fingerprints is scaled from its shards' ``stats.json``: tokens per row with
    new calls, and wall seconds per row (of shards not answered from the cache) times the number of GPUs. Other stages
    are assumed. Measured hours of a stage without a model are hours of the machine it ran on; assumed, they are none.
    Where the first of several engines answers that knows a photo, all photos are counted for the one that costs.
    """
    assumed = assumed or Assumptions()
    reaching, costs = images, []
    for name, step in build.steps.items():
        stats = list(shard_stats(build, step))
        uses = gpus if any(entry.model for entry in entries_of(name, build.settings)) else 1
        cost = _measured(name, reaching, uses, stats) or _assumed(name, reaching, uses, build.settings, assumed)
        costs.append(cost)
        reaching = round(reaching * _passing(name, stats, build.settings, assumed))
    return costs


def entries_of(stage: str, settings: Settings) -> tuple[EngineEntry, ...]:
    """Return the catalogue entries of the engines that a stage asks."""
    return settings.engines.roles.of(*ROLES[stage])


def _passing(stage: str, stats: Sequence[Mapping[str, Any]], settings: Settings, assumed: Assumptions) -> float:
    """Return how many inputs of the stages below come from one input of ``stage``: photos, or questions of generate."""
    read = sum(one["read"] for one in stats)
    if stage == "generate":
        return sum(one["rows"] for one in stats) / read if read else _kept(settings, assumed)
    if stage in _FILTERS or not read:  # judge and screen both read all questions
        return 1.0
    return float(sum(one["ok"] for one in stats) / read)


def _kept(settings: Settings, assumed: Assumptions) -> float:
    """Return how many questions about one photo are kept, of all its authors."""
    ask = settings.ask
    drafts = ask.combinations_per_image * ask.queries_per_combination
    reviewed = drafts * assumed.past_code * assumed.past_reader * assumed.past_eyes
    proven = settings.generate.queries_per_image  # at most; code proves them, nobody reviews them
    return sum(reviewed if author.sees_photo else proven for author in settings.engines.roles.of(Role.AUTHOR))


def shard_stats(build: Build, step: Step) -> Iterable[Mapping[str, Any]]:
    """Yield the stats of the stage's complete shards, with the numbers of rows read, ok and written."""
    lake, table, fingerprint = build.lake, step.stage.table, step.fingerprint
    shards = lake.completed_shards(table, fingerprint)
    stats = map_threads(lambda shard: lake.get_json(lake.folder(table, fingerprint, shard) + "stats.json"), shards)
    markers = map_threads(lambda shard: lake.marker(table, fingerprint, shard), shards)
    for one, marker in zip(stats, markers, strict=True):
        if one and marker and marker.read:
            rows = sum(part.rows for part in marker.parts)
            yield {**one, "read": marker.read, "ok": marker.ok, "rows": rows}


def _measured(stage: str, rows: int, gpus: int, stats: Iterable[Mapping[str, Any]]) -> StageCost | None:
    """Return the cost from stored statistics; None if there are no usable ones."""
    spends = any(one["tokens"] for one in stats)
    fresh = [one for one in stats if not spends or one.get("rows_paid", 0) >= _MIN_PAID_SHARE * one["read"]]
    read = sum(one["read"] for one in fresh)
    if not read:
        return None
    tokens = round(rows * sum(one["tokens"] for one in fresh) / read)
    working = sum(one["seconds"] - one.get("launch_seconds", 0) for one in fresh)  # launches are counted by themselves
    hours = rows * working / read * gpus / 3_600
    inputs = "questions" if stage in _FILTERS else "images"
    return StageCost(stage, rows, tokens, hours, f"measured over {read} {inputs}")


def _assumed(stage: str, rows: int, gpus: int, settings: Settings, assumed: Assumptions) -> StageCost:
    entries = entries_of(stage, settings)
    computing = assumed.segment_seconds if any(entry.needs_gpu for entry in entries) else 0.0
    calls = list(_calls(stage, settings, assumed)) if any(entry.model for entry in entries) else []
    prompt = sum(count * tokens for count, tokens, _ in calls)
    answer = sum(count * tokens for count, _, tokens in calls)
    seconds = prompt / assumed.prompt_tokens_per_second + answer / assumed.answer_tokens_per_second
    hours = rows * (seconds * gpus + computing) / 3_600
    return StageCost(stage, rows, round(rows * (prompt + answer)), hours, "assumed")


def _calls(stage: str, settings: Settings, assumed: Assumptions) -> Iterator[tuple[float, int, int]]:
    """Yield each kind of call of a stage for one input: how many calls, and the tokens of a prompt and an answer."""
    photo = settings.vlm.max_pixels // _PIXELS_PER_TOKEN
    if stage == "detect":
        yield 1, photo + assumed.prompt_text, assumed.detect_answer
    elif stage == "generate":
        yield from _calls_of_drafts(photo, settings, assumed)
    elif stage == "judge":
        yield 1, photo + assumed.look_text, assumed.judge_answer
    elif stage == "screen":
        screen, photo = settings.screen, settings.solver.max_pixels // _PIXELS_PER_TOKEN
        yield screen.samples, photo + assumed.look_text, assumed.solver_answer
        yield screen.blind_samples + screen.blind_held_out, assumed.look_text, assumed.solver_answer


def _calls_of_drafts(photo: int, settings: Settings, assumed: Assumptions) -> Iterator[tuple[float, int, int]]:
    """Yield the calls of author, reader and looker for one image; ``photo`` is the tokens of the whole image."""
    asked = {entry.role for entry in entries_of("generate", settings) if entry.model}
    ask, each = settings.ask, settings.ask.queries_per_combination
    crops = settings.generate.max_instances * ask.crop_pixels // _PIXELS_PER_TOKEN
    again = ask.repairs * (1 - (1 - assumed.sent_back) ** each)  # any of a combination's drafts goes back: one call
    answer = assumed.author_thinking + each * assumed.author_question
    if Role.AUTHOR in asked:
        yield ask.combinations_per_image * (1 + again), photo + crops + assumed.author_text, answer
    read = ask.combinations_per_image * each * assumed.past_code
    if Role.READER in asked:
        yield read * (1 + assumed.variants), assumed.prompt_text, assumed.reader_answer
    if Role.LOOKER in asked:
        hops = assumed.open_hops + assumed.open_hops_of_variants
        yield read * assumed.past_reader * hops * ask.looks, photo + assumed.look_text, assumed.look_answer
