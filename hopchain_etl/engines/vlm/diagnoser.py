"""VlmDiagnoser: asks the model what went wrong first in a wrong answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hopchain_etl.engines.base import JSON, DiagnoseJob, Identity, InvalidOutputError, Reply
from hopchain_etl.engines.vlm.call import ChatRequest, ChatResponse
from hopchain_etl.engines.vlm.model import RoleModel
from hopchain_etl.settings import AskSettings, VlmSettings

_LONGEST = 12_000  # characters of a response that are shown: of a longer one its first and its last half
_CUT = "\n[...]\n"


class VlmDiagnoser:
    """Sees the photo, the steps with their true readings, and the whole response. See ``engines.base.Diagnoser``."""

    def __init__(self, vlm: VlmSettings, ask: AskSettings) -> None:
        self._model = RoleModel("diagnose", vlm, ask)

    @property
    def identity(self) -> Identity:
        """Model, prompt, schema and limits."""
        return self._model.identity(longest=_LONGEST)

    def diagnose(self, jobs: Iterable[DiagnoseJob]) -> Iterator[Reply[DiagnoseJob]]:
        """Yield a reply for each job, in any order. See ``VlmClient.ask`` for the exceptions."""
        return self._model.ask(jobs, self._call, self._content)

    def _call(self, job: DiagnoseJob) -> ChatRequest:
        asked = {"question": job.question, "steps": list(job.steps), "right": job.right}
        return self._model.call(
            {"image": self._model.whole(job.photo)}, **asked, response=_shortened(job.response), seed=0
        )

    def _content(self, job: DiagnoseJob, answer: ChatResponse) -> JSON:
        value = self._model.read(answer)
        if value["hop"] is not None and value["hop"] > len(job.steps):
            raise InvalidOutputError(f"step {value['hop']} of {len(job.steps)}", answer.text)
        return value


def _shortened(response: str) -> str:
    half = _LONGEST // 2
    return response if len(response) <= _LONGEST else response[:half] + _CUT + response[-half:]
