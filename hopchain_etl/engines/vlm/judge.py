"""VlmJudge: asks the model whether a question is suitable for annotators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hopchain_etl.engines.base import JSON, Identity, JudgeJob, Reply
from hopchain_etl.engines.vlm.call import ChatRequest, ChatResponse
from hopchain_etl.engines.vlm.model import RoleModel
from hopchain_etl.settings import AskSettings, VlmSettings


class VlmJudge:
    """Looks for a step where careful people could disagree. See ``engines.base.Judge``."""

    def __init__(self, vlm: VlmSettings, ask: AskSettings) -> None:
        self._model = RoleModel("judge", vlm, ask)

    @property
    def identity(self) -> Identity:
        """Model, prompt, schema and limits."""
        return self._model.identity()

    def judge(self, jobs: Iterable[JudgeJob]) -> Iterator[Reply[JudgeJob]]:
        """Yield a reply for each job, in any order. See ``VlmClient.ask`` for the exceptions."""
        return self._model.ask(jobs, self._call, self._content)

    def _call(self, job: JudgeJob) -> ChatRequest:
        return self._model.call({"image": self._model.whole(job.photo)}, question=job.question)

    def _content(self, job: JudgeJob, answer: ChatResponse) -> JSON:
        return self._model.read(answer)
