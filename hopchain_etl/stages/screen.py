"""Screen: a weaker model tries each question with and without the photo; too easy and guessable ones are rejected.

Every attempt is stored and graded against the provisional answer. A query that the model always solves, or can guess
without the image, is rejected and not sent to annotators. ``assemble`` grades the same attempts again, against the
human answer. The last blind samples are held out: they are not used for selection, so that the blind accuracy of the
release can be measured without selection bias.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial

from hopchain_etl.engines.base import JSON, Reply, SolveJob, Solver
from hopchain_etl.hops.calibration import guessable, score_attempts, too_easy
from hopchain_etl.hops.grading import MAX_LENGTH, declared_answer, parse_number
from hopchain_etl.hops.numbers import exact_number
from hopchain_etl.lake.journal import Journal
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
        """The parameters, besides the model, that determine rows and rejects."""
        return {**self._settings.model_dump(), "chance": self._chance, "alpha": self._alpha}

    def read(self, lake: Lake, shard: Shard) -> list[Row]:
        return queries_with_images(lake, self._upstream, shard)

    def process(self, lake: Lake, journal: Journal, rows: Sequence[Row]) -> Iterator[Outcome]:
        photo_of, settings = photos(lake), self._settings

        def jobs(row: Row) -> list[SolveJob]:
            photo = photo_of(row["image"])
            seeing = [SolveJob(photo, row["question"], n) for n in range(settings.samples)]
            blind = settings.blind_samples + settings.blind_held_out
            return seeing + [SolveJob(photo, row["question"], n, with_image=False) for n in range(blind)]

        for row, replies in call_engine(journal, self._solver.identity, self._solver.solve, rows, jobs):
            yield self._outcome(row, replies)

    def _outcome(self, row: Row, replies: Sequence[Reply[SolveJob]]) -> Outcome:
        results = [interpret_reply(reply, partial(self._attempt, row, reply.job)) for reply in replies]
        tokens, seconds = sum(one.tokens for one in replies), sum(one.seconds for one in replies)
        failed = [one for one in results if isinstance(one, Failed)]
        if failed:
            error = f"{len(failed)} of {len(results)} tries failed, the first with: {failed[0].error}"
            return Failed(error, permanent=all(one.permanent for one in failed), tokens=tokens, seconds=seconds)
        attempts = [one for one in results if isinstance(one, dict)]
        rejected = [one for one in results if isinstance(one, Rejected)]
        rejected += screening_rejects(row, attempts, self._chance, self._alpha)
        return Accepted(attempts, rejected, tokens=tokens, seconds=seconds)

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
    """Yield the rejects of a query according to its attempts."""
    answer = exact_number(row["answer"])

    def correct(sees_image: bool) -> list[bool]:
        chosen = (one for one in attempts if one["sees_image"] is sees_image and not one["held_out"])
        return [is_correct_answer(one["answer"], answer) for one in chosen]

    seeing, blind = score_attempts(correct(True)), score_attempts(correct(False))
    query = {"query_id": row["query_id"], "question": row["question"], "answer": row["answer"]}
    if too_easy(seeing):
        yield Rejected("too_easy", f"right in {seeing.correct} of {seeing.samples} tries", query)
    if guessable(blind, chance, alpha):
        detail = f"right in {blind.correct} of {blind.samples} tries without the image; chance is {chance:g}"
        yield Rejected("guessable", detail, query)


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
