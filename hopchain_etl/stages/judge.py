"""Judge: a model decides whether a question is suitable for annotators. Optional; its verdict is always stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hopchain_etl.engines.base import JSON, Judge, JudgeJob
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.stages.engine_calls import outcomes_per_row, photos
from hopchain_etl.stages.runner import Accepted, Outcome, Rejected, Row
from hopchain_etl.stages.screen import queries_with_images

REVISION = 1
VERDICTS = ("fine", "ambiguous", "unanswerable", "outside_knowledge")


class JudgeStage:
    """Rows of ``queries`` to rows of ``judgements``. If it ``condemns``, annotators do not get what is not "fine"."""

    name, table = "judge", "judgements"

    def __init__(self, judge: Judge, queries_fingerprint: str, condemns: bool) -> None:
        self._judge = judge
        self._upstream = queries_fingerprint
        self._condemns = condemns

    @property
    def sources(self) -> Sequence[tuple[str, str | None]]:
        return (("images", None), ("queries", self._upstream))

    @property
    def params(self) -> JSON:
        """The parameters, besides the model, that determine the rejects."""
        return {"condemns": self._condemns}

    def read(self, lake: Lake, shard: Shard) -> list[Row]:
        return queries_with_images(lake, self._upstream, shard)

    def process(self, lake: Lake, journal: Journal, rows: Sequence[Row]) -> Iterator[Outcome]:
        judge, photo_of = self._judge, photos(lake)

        def job(row: Row) -> JudgeJob:
            return JudgeJob(photo_of(row["image"]), row["question"])

        return outcomes_per_row(journal, judge.identity, judge.judge, rows, job, self._outcome)

    def _outcome(self, row: Row, content: JSON) -> Accepted:
        verdict, why = content["verdict"], content["reason"]
        if verdict not in VERDICTS:
            raise ValueError(f"verdict {str(verdict)[:80]!r} is none of {', '.join(VERDICTS)}")
        model = self._judge.identity.model
        judgement = {"query_id": row["query_id"], "model": model, "verdict": verdict, "reason": why}
        if verdict == "fine" or not self._condemns:
            return Accepted([judgement])
        query = {"query_id": row["query_id"], "question": row["question"], "answer": row["answer"]}
        return Accepted([judgement], [Rejected(f"judged_{verdict}", why, query)])
