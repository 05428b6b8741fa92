"""Screen: a weaker model tries each query, with the image and blind, before people are asked (HOPCHAIN.md, stage 4).

Every try is stored. Here they are graded against the provisional answer, and a query that the model always gets right,
or guesses blind, is refused: nobody is asked about it. ``assemble`` grades the same tries again, against the human
answer. The last blind samples are held out: they decide nothing, so that the blind share of what is released can be
measured without the bias of having been selected for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial

from hopchain_etl.engines.base import JSON, Reply, SolveJob, Solver
from hopchain_etl.hops.calibration import guessable, score_attempts, too_easy
from hopchain_etl.hops.grading import MAX_LENGTH, declared_answer, parse_number
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.settings import ScreenSettings
from hopchain_etl.stages.engine_calls import call_engine, interpret_reply, photos
from hopchain_etl.stages.runner import Accepted, Failed, Outcome, Rejected, Row

REVISION = 1


class Screen:
    """Rows of ``queries`` to rows of ``attempts``. ``chance`` and ``alpha``: see ``calibration.guessable``."""

    name, table = "screen", "attempts"

    def __init__(
        self, solver: Solver, queries_fingerprint: str, settings: ScreenSettings, chance: float, alpha: float
    ) -> None:
        self._solver = solver
        self._upstream = queries_fingerprint
        self._settings = settings
        self._chance = chance
        self._alpha = alpha

    @property
    def sources(self) -> Sequence[tuple[str, str | None]]:
        return (("images", None), ("queries", self._upstream))

    @property
    def params(self) -> JSON:
        """What decides the rows and refusals besides the model."""
        return {**self._settings.model_dump(), "chance": self._chance, "alpha": self._alpha}

    def read(self, lake: Lake, shard: Shard) -> list[Row]:
        return queries_with_images(lake, self._upstream, shard)

    def process(self, lake: Lake, rows: Sequence[Row]) -> Iterator[Outcome]:
        photo_of, settings = photos(lake), self._settings

        def jobs(row: Row) -> list[SolveJob]:
            photo = photo_of(row["image"])
            seeing = [SolveJob(photo, row["question"], n) for n in range(settings.samples)]
            blind = settings.blind_samples + settings.blind_held_out
            return seeing + [SolveJob(photo, row["question"], n, with_image=False) for n in range(blind)]

        for row, replies in call_engine(lake, self._solver.identity, self._solver.solve, rows, jobs):
            yield self._outcome(row, replies)

    def _outcome(self, row: Row, replies: Sequence[Reply[SolveJob]]) -> Outcome:
        tries = [interpret_reply(reply, partial(self._attempt, row, reply.job)) for reply in replies]
        tokens, seconds = sum(one.tokens for one in replies), sum(one.seconds for one in replies)
        failed = [one for one in tries if isinstance(one, Failed)]
        if failed:
            error = f"{len(failed)} of {len(tries)} tries failed, the first with: {failed[0].error}"
            return Failed(error, tokens=tokens, seconds=seconds)
        attempts = [one for one in tries if isinstance(one, dict)]
        refused = [one for one in tries if isinstance(one, Rejected)]
        refused += screening_rejects(row, attempts, self._chance, self._alpha)
        return Accepted(attempts, refused, tokens=tokens, seconds=seconds)

    def _attempt(self, row: Row, job: SolveJob, content: JSON) -> Row:
        answer = declared_answer(content["text"])
        return {
            "query_id": row["query_id"],
            "model": self._solver.identity.model,
            "sees_image": job.with_image,
            "sample": job.sample,
            "held_out": not job.with_image and job.sample >= self._settings.blind_samples,
            "text": content["text"],
            "answer": answer if answer is None else answer[:MAX_LENGTH],
            "finish_reason": content["finish_reason"],
            "tokens": content.get("tokens"),
        }


def screening_rejects(row: Row, attempts: Sequence[Row], chance: float, alpha: float) -> Iterator[Rejected]:
    """Yield why people are not asked this query, if the tries say so."""
    answer = Fraction(row["answer"])

    def tries(sees: bool) -> list[bool]:
        mine = (one for one in attempts if one["sees_image"] is sees and not one["held_out"])
        return [is_correct_answer(one["answer"], answer) for one in mine]

    seeing, blind = score_attempts(tries(True)), score_attempts(tries(False))
    told = {"query_id": row["query_id"], "question": row["question"], "answer": row["answer"]}
    if too_easy(seeing):
        yield Rejected("too_easy", f"right in {seeing.correct} of {seeing.samples} tries", told)
    if guessable(blind, chance, alpha):
        detail = f"right in {blind.correct} of {blind.samples} tries without the image; chance is {chance:g}"
        yield Rejected("guessable", detail, told)


def is_correct_answer(declared_answer: str | None, answer: Fraction) -> bool:
    """Return whether what a model declared is exactly this number."""
    return declared_answer is not None and parse_number(declared_answer) == answer


def queries_with_images(lake: Lake, queries_fingerprint: str, shard: Shard) -> list[Row]:
    """Return a shard's queries as input rows, each with its images row as ``image``."""
    images = {row["image_id"]: row for row in lake.read("images", None, shard).to_pylist()}
    return [
        {**row, "input_id": row["query_id"], "image": images[row["image_id"]]}
        for row in lake.read("queries", queries_fingerprint, shard).to_pylist()
    ]
