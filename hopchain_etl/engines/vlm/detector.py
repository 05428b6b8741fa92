"""VlmDetector: asks the model to rate a photo and name what is in it, in one request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hopchain_etl.engines.base import JSON, DetectJob, Identity, Reply
from hopchain_etl.engines.vlm.call import ChatRequest, ChatResponse
from hopchain_etl.engines.vlm.model import RoleModel
from hopchain_etl.settings import AskSettings, VlmSettings


class VlmDetector:
    """Rates a photo and names the categories that can be segmented. See ``engines.base.Detector``."""

    def __init__(self, vlm: VlmSettings, ask: AskSettings) -> None:
        self._model = RoleModel("detect", vlm, ask)
        self._most = ask.max_categories

    @property
    def identity(self) -> Identity:
        """Model, prompt, schema and limits. Thresholds belong to the stage, because they do not change an answer."""
        return self._model.identity(most=self._most)

    def detect(self, jobs: Iterable[DetectJob]) -> Iterator[Reply[DetectJob]]:
        """Yield a reply for each job, in any order. See ``VlmClient.ask`` for the exceptions."""
        return self._model.ask(jobs, self._call, self._content)

    def _call(self, job: DetectJob) -> ChatRequest:
        return self._model.call({"image": self._model.whole(job.photo)}, most=self._most)

    def _content(self, job: DetectJob, answer: ChatResponse) -> JSON:
        value = self._model.read(answer)
        counts: dict[str, int] = {}
        for one in value["categories"][: self._most]:
            name = " ".join(one["name"].split())
            counts[name] = max(counts.get(name, 0), one["count"])
        named = [{"category": name, "count_estimate": count, "found": None} for name, count in counts.items()]
        return {**{key: value[key] for key in ("complexity", "quality", "remark")}, "categories": named}
