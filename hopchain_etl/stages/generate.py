"""Generate: writes questions over the instances of a photo and checks each of them.

Each author is called once per combination of instances that it chooses. Each draft goes through code, then, if its
author saw the photo, through a reader, who writes its program again from the wording alone, and a looker, who looks at
every hop that code leaves open (if there are such engines). A draft that code refuses for something that can be mended
goes back to its author once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hopchain_etl.engines.base import JSON, Author, AuthorJob, Identity, Looker, Photo, Reader, Reply, identity_facts
from hopchain_etl.engines.first_of import combined
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.stages.engine_calls import call_engine, photos
from hopchain_etl.stages.runner import Outcome, Row

if TYPE_CHECKING:
    from hopchain_etl.stages.drafts import Drafts

REVISION = 5
UNCONFIRMED_WITHOUT_LOOKS = 0.34  # largest share of hops that nobody confirms, where nobody looks


@dataclass(frozen=True)
class Reviewers:
    """Who checks a draft beside code, and how often; None: there is no such engine.

    ``max_unconfirmed``: largest share of hops that neither code nor a look confirms; None: 0 with a looker.
    """

    reader: Reader | None = None
    looker: Looker | None = None
    looks: int = 2
    repairs: int = 0
    max_unconfirmed: float | None = None

    @property
    def unconfirmed(self) -> float:
        """The largest share of hops of a kept question that nobody confirmed."""
        if self.max_unconfirmed is not None:
            return self.max_unconfirmed
        return 0.0 if self.looker else UNCONFIRMED_WITHOUT_LOOKS

    @property
    def params(self) -> JSON:
        """What determines which drafts are kept, for a lineage."""
        params: JSON = {"repairs": self.repairs, "max_unconfirmed": self.unconfirmed}
        if self.reader:
            params["reader"] = identity_facts(self.reader.identity)
        if self.looker:
            params["looker"] = {**identity_facts(self.looker.identity), "looks": self.looks}
        return params


class Generate:
    """Rows of ``images`` with their ``instances`` to rows of ``queries``."""

    name, table = "generate", "queries"

    def __init__(
        self, authors: Sequence[Author], instances_fingerprint: str, reviewers: Reviewers | None = None
    ) -> None:
        """Set up with one author or several. Those whose questions code proves come first: if two ask the same, theirs
        is the row.
        """
        self._authors = sorted(authors, key=lambda author: author.saw_photo)
        self._reviewers = reviewers or Reviewers()
        self._upstream = instances_fingerprint

    @property
    def identity(self) -> Identity:
        """The identity of all authors, for a lineage; of one author its own."""
        return combined([author.identity for author in self._authors])

    @property
    def params(self) -> JSON:
        """The parameters, besides the authors, that determine rows and rejects; none if code must prove every hop."""
        return self._reviewers.params if any(author.saw_photo for author in self._authors) else {}

    @property
    def sources(self) -> Sequence[tuple[str, str | None]]:
        return (("images", None), ("instances", self._upstream))

    def read(self, lake: Lake, shard: Shard) -> list[Row]:
        instances = lake.read("instances", self._upstream, shard)
        places: dict[str, list[int]] = {}
        for place, image_id in enumerate(instances["image_id"].to_pylist()):
            places.setdefault(image_id, []).append(place)
        images = lake.read("images", None, shard).to_pylist()
        return [
            {**row, "input_id": row["image_id"], "instances": instances.take(places[row["image_id"]])}
            for row in images
            if row["image_id"] in places
        ]

    def process(self, lake: Lake, journal: Journal, rows: Sequence[Row]) -> Iterator[Outcome]:
        from hopchain_etl.stages.drafts import Drafts  # with all rules, which plans and counts do without

        by, photo_of = self._reviewers, photos(lake)
        # As tables, instances need a tenth of the memory that they need as Python objects.
        drafts: Iterator[Drafts] = (Drafts({**row, "instances": row["instances"].to_pylist()}) for row in rows)
        for author in self._authors:
            drafts = _written(author, journal, drafts, photo_of, by.repairs)
        if reader := by.reader:
            read = call_engine(
                journal, reader.identity, reader.read, drafts, lambda one: one.read_jobs(photo_of(one.row))
            )
            drafts = (one.read(replies) for one, replies in read)
        if looker := by.looker:
            looked = call_engine(
                journal, looker.identity, looker.look, drafts, lambda one: one.look_jobs(photo_of(one.row), by.looks)
            )
            drafts = (one.look(replies, by.looks) for one, replies in looked)
        return (one.finish(by.unconfirmed).outcome for one in drafts)


def _written(
    author: Author, journal: Journal, photos: Iterable[Drafts], photo_of: Callable[[Row], Photo], repairs: int
) -> Iterator[Drafts]:
    """Return the drafts of each photo with those of one more author, who may mend what code refuses."""

    def plan(one: Drafts) -> Sequence[AuthorJob]:
        return () if one.has_too_few_instances else author.plan(photo_of(one.row), one.row["instances"])

    model, saw = author.identity.model, author.saw_photo

    def repair(one: Drafts, replies: Sequence[Reply[AuthorJob]]) -> Sequence[AuthorJob]:
        one.hand_to(model, saw).write(replies)
        return one.repair_jobs(photo_of(one.row)) if repairs else ()

    written = call_engine(journal, author.identity, author.write, photos, plan, repair)
    return (one.write([reply for reply in replies if reply.job.refused], repaired=True) for one, replies in written)
