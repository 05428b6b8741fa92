"""VlmReader: asks the model for a question's program again, from its wording and the instances, without photo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hopchain_etl.engines.base import JSON, Identity, ReadJob, Reply, Row, instance_for_prompt
from hopchain_etl.engines.prompts import describe
from hopchain_etl.engines.vlm.call import ChatRequest, ChatResponse
from hopchain_etl.engines.vlm.model import RoleModel
from hopchain_etl.engines.vlm.programs import hop_row, labels, note
from hopchain_etl.settings import AskSettings, VlmSettings


class VlmReader:
    """Writes the program of a question. See ``engines.base.Reader``."""

    def __init__(self, vlm: VlmSettings, ask: AskSettings) -> None:
        self._model = RoleModel("reader", vlm, ask)

    @property
    def identity(self) -> Identity:
        """Model, prompt, schema and limits."""
        return self._model.identity()

    def read(self, jobs: Iterable[ReadJob]) -> Iterator[Reply[ReadJob]]:
        """Yield a reply for each job, in any order. See ``VlmClient.ask`` for the exceptions."""
        return self._model.ask(jobs, self._call, self._content)

    def _call(self, job: ReadJob) -> ChatRequest:
        label_of = labels(job.instances)
        return self._model.call(
            {},
            question=job.question,
            things=[{"label": label_of[row["instance_id"]], "told": _description(row, job)} for row in job.instances],
            notes=[note(fact, label_of) for fact in job.unexecutable_facts],
        )

    def _content(self, job: ReadJob, answer: ChatResponse) -> JSON:
        value = self._model.read(answer)
        ids = {label: one for one, label in labels(job.instances).items()}
        return {**value, "hops": [hop_row(hop, ids) for hop in value["hops"]]}


def _description(row: Row, job: ReadJob) -> str:
    photo = job.photo
    share = row["area"] / (photo.width * photo.height)
    return f"{describe(instance_for_prompt(row), photo.width, photo.height)}, area {1000 * share:.1f}"
