"""ProgramAuthor: the author ``program``; calls hops.program_author."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from hopchain_etl.engines.base import JSON, LABELS, AuthorJob, Identity, Photo, Reply, Row
from hopchain_etl.settings import GenerateSettings

if TYPE_CHECKING:
    from hopchain_etl.hops.query import Query
    from hopchain_etl.hops.scene import Scene
    from hopchain_etl.hops.steps import Step

REVISION = "13"


class ProgramAuthor:
    """Writes queries over the instances of a photo with ``hops.program_author``. Cheaper to run again than to cache."""

    def __init__(self, settings: GenerateSettings) -> None:
        self._settings = settings

    @property
    def identity(self) -> Identity:
        return Identity("program-author", REVISION, self._settings.model_dump(), cached=False)

    @property
    def saw_photo(self) -> bool:
        """False: it knows the instances only."""
        return False

    def plan(self, photo: Photo, instances: Sequence[Row]) -> Sequence[AuthorJob]:
        """Return one job: the program author finds its own combinations among all instances."""
        return [AuthorJob(photo, tuple(instances))]

    def write(self, jobs: Iterable[AuthorJob]) -> Iterator[Reply[AuthorJob]]:
        """Yield the drafts for each job, in order."""
        from hopchain_etl.hops.program_author import Limits, write_queries  # with all rules of questions, which plans
        from hopchain_etl.hops.scene import Scene  # and counts do without
        from hopchain_etl.hops.steps import first_steps

        settings = self._settings
        for job in jobs:
            labelled = all((row.get("segmenter") or {}).get("model") == LABELS for row in job.instances)
            scene = Scene.from_rows(job.instances, job.photo.width, job.photo.height, complete=labelled)
            bounds = settings.min_instances, settings.max_instances
            limits = Limits(bounds, settings.max_words, settings.max_quantities)
            written = write_queries(scene, settings.queries_per_image, settings.seed, limits)
            ways = first_steps(scene) if written else []
            yield Reply(job, {"queries": [_draft(query, scene, ways) for query in written]})


def _draft(query: Query, scene: Scene, ways: list[Step]) -> JSON:
    from hopchain_etl.hops.query import decimal_text, hop_to_row
    from hopchain_etl.hops.variants import VARIANTS, to_row, variant

    variants = [to_row(kind, variant(kind, query, scene, ways)) for kind in VARIANTS]
    return {
        "question": query.question,
        "hops": [hop_to_row(hop) for hop in query.hops],
        "expr": query.expr,
        "answer": decimal_text(query.answer),
        "combination": list(query.combination),
        **{name: value for one in variants for name, value in one.items()},
    }
