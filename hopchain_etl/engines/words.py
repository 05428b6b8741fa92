"""WordsDetector: names the same categories for every photo, those of a word list; no model, and nobody looks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hopchain_etl.engines.base import JSON, DetectJob, Identity, Reply
from hopchain_etl.settings import WordsSettings

REVISION = "1"


class WordsDetector:
    """See ``engines.base.Detector``. Which of the categories are there, a segmenter such as SAM3 finds out."""

    def __init__(self, settings: WordsSettings) -> None:
        self._nouns = settings.nouns()

    @property
    def identity(self) -> Identity:
        """The list, in its order; not cached, since it takes no time."""
        return Identity("word-list", REVISION, {"nouns": list(self._nouns)}, cached=False)

    def detect(self, jobs: Iterable[DetectJob]) -> Iterator[Reply[DetectJob]]:
        """Yield the list for each job, in order, without a rating or a count."""
        content: JSON = {
            "complexity": None,
            "quality": None,
            "categories": [{"category": noun, "count_estimate": None, "found": None} for noun in self._nouns],
        }
        for job in jobs:
            yield Reply(job, content)
