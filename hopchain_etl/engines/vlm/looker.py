"""VlmLooker: asks the model about one hop of a question, with the things that may be meant marked in the photo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hopchain_etl.engines.base import JSON, Identity, InvalidOutputError, LookJob, Reply
from hopchain_etl.engines.vlm.call import ChatRequest, ChatResponse
from hopchain_etl.engines.vlm.model import RoleModel
from hopchain_etl.settings import AskSettings, VlmSettings

_SEEDS_OF_A_LOOK = 100  # invalid answers are asked again with the next ones
MARKS = 1  # how marks are drawn; part of the identity


class VlmLooker:
    """Sees the photo and one hop's question, not the whole question and not its author's answer.

    See ``engines.base.Looker``.
    """

    def __init__(self, vlm: VlmSettings, ask: AskSettings) -> None:
        self._model = RoleModel("look", vlm, ask)

    @property
    def identity(self) -> Identity:
        """Model, prompt, schema, limits, and how things are marked."""
        return self._model.identity(marks=MARKS)

    def look(self, jobs: Iterable[LookJob]) -> Iterator[Reply[LookJob]]:
        """Yield a reply for each job, in any order. See ``VlmClient.ask`` for the exceptions."""
        return self._model.ask(jobs, self._call, self._content)

    def _call(self, job: LookJob) -> ChatRequest:
        picture = self._model.whole(job.photo, job.marks)
        request = self._model.call({"image": picture}, question=job.question, choices=list(job.choices))
        return request.with_new_seed(_SEEDS_OF_A_LOOK * job.sample) if job.sample else request

    def _content(self, job: LookJob, answer: ChatResponse) -> JSON:
        value = self._model.read(answer)
        if not value["cannot_tell"] and job.choices and value["which"] not in (None, *job.choices):
            raise InvalidOutputError(f"{value['which']!r} is none of the marks", answer.text)
        return value
