"""Generate: questions over the instances of a photo, each checked before it is kept (HOPCHAIN.md, stage 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hopchain_etl.engines.base import JSON, Author, AuthorJob
from hopchain_etl.hops.checks import MIN_INSTANCES, check
from hopchain_etl.hops.geometry import Scene, instance_from_row
from hopchain_etl.hops.query import QueryError, query_from_row, query_id
from hopchain_etl.lake import Lake, Shard
from hopchain_etl.stages.asking import grouped, outcomes, photo_of
from hopchain_etl.stages.resources import Resources
from hopchain_etl.stages.runner import Made, Outcome, Rejected, Row

REVISION = 1
RESOURCES = Resources(pool="vlm")


class Generate:
    """Rows of ``images`` with their ``instances`` to rows of ``queries``."""

    name, table = "generate", "queries"

    def __init__(self, author: Author, instances_fingerprint: str) -> None:
        self._author = author
        self._upstream = instances_fingerprint

    @property
    def sources(self) -> Sequence[tuple[str, str | None]]:
        return (("images", None), ("instances", self._upstream))

    def read(self, lake: Lake, shard: Shard) -> list[Row]:
        found = grouped(lake.read("instances", self._upstream, shard).to_pylist(), "image_id")
        images = lake.read("images", None, shard).to_pylist()
        return [
            {**row, "input_id": row["image_id"], "instances": found[row["image_id"]]}
            for row in images
            if row["image_id"] in found
        ]

    def process(self, lake: Lake, rows: Sequence[Row]) -> Iterator[Outcome]:
        author = self._author

        def job(row: Row) -> AuthorJob:
            return AuthorJob(photo_of(lake, row), tuple(row["instances"]))

        def made(row: Row, content: JSON) -> Made | Rejected:
            return queries(row, content, author.identity.model)

        return outcomes(lake, author.identity, author.write, rows, job, made)


def queries(row: Row, content: JSON, author: str) -> Made | Rejected:
    """Return an author's drafts as rows of the queries table; each draft that breaks a rule is refused for it."""
    usable = sum(one["certain"] for one in row["instances"])
    if usable < MIN_INSTANCES:
        return Rejected("too_few_instances", f"{usable} certain instances; a chain needs {MIN_INSTANCES}")
    scene = scene_of(row)
    kept: dict[str, Row] = {}
    refused = []
    for draft in content["queries"]:
        judged = _judge(row["image_id"], draft, scene, author)
        if isinstance(judged, Rejected):
            refused.append(judged)
        else:
            kept.setdefault(judged["query_id"], judged)
    if not kept:
        return Made((), refused) if refused else Rejected("no_chain", "no chain of hops is unambiguous here")
    return Made(tuple(kept.values()), refused)


def scene_of(row: Row) -> Scene:
    """Return the scene of an images row that carries its instances."""
    return Scene(tuple(map(instance_from_row, row["instances"])), row["width"], row["height"])


def _judge(image_id: str, draft: JSON, scene: Scene, author: str) -> Row | Rejected:
    try:
        query = query_from_row(draft)
    except QueryError as error:
        return Rejected("unreadable_query", str(error), draft)
    complaints, unchecked = check(query, scene)
    if complaints:
        return Rejected(complaints[0].reason, "; ".join(f"{c.reason}: {c.detail}" for c in complaints), draft)
    return {
        **draft,
        "query_id": query_id(image_id, query.question),
        "image_id": image_id,
        "author": author,
        "n_hops": len(query.hops),
        "unchecked": unchecked,
    }
