"""VlmSolver: lets the weaker model answer questions, with the photo or blind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hopchain_etl.engines.base import JSON, Identity, Reply, SolveJob
from hopchain_etl.engines.vlm.call import ChatRequest, ChatResponse
from hopchain_etl.engines.vlm.model import RoleModel
from hopchain_etl.schemas import storable
from hopchain_etl.settings import AskSettings, VlmSettings


class VlmSolver:
    """Solves a question and declares a number. See ``engines.base.Solver``."""

    def __init__(self, vlm: VlmSettings, ask: AskSettings) -> None:
        self._model = RoleModel("solver", vlm, ask)

    @property
    def identity(self) -> Identity:
        """Model, prompt and limits."""
        return self._model.identity()

    def solve(self, jobs: Iterable[SolveJob]) -> Iterator[Reply[SolveJob]]:
        """Yield a reply for each job, in any order; samples of one question differ by their seed.

        See ``VlmClient.ask`` for the exceptions.
        """
        return self._model.ask(jobs, self._call, self._content)

    def _call(self, job: SolveJob) -> ChatRequest:
        pictures = {"image": self._model.whole(job.photo)} if job.with_image else {}
        return self._model.call(pictures, seed=job.sample, sees=job.with_image, question=job.question)

    def _content(self, job: SolveJob, answer: ChatResponse) -> JSON:
        return {
            "text": storable(answer.text),
            "finish_reason": answer.finish_reason,
            "tokens": answer.completion_tokens,
        }
