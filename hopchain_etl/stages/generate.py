"""Generate: writes questions over the instances of a photo and checks each of them.

The author is called once per combination of instances. If the profile has a reader, each query that passes the checks
is converted to a program again from its wording alone; it is rejected if that program gives another answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from hopchain_etl.engines.base import JSON, Author, AuthorJob, Reader, ReadJob, Reply
from hopchain_etl.hops.checks import MIN_INSTANCES, check
from hopchain_etl.hops.query import QueryError, query_from_row, query_id
from hopchain_etl.hops.round_trip import RoundTripError, run_program, unexecutable_facts
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.variants import VARIANTS, to_row, variant_violation
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.stages.engine_calls import call_engine, group_rows_by, interpret_reply, photo_of, photos
from hopchain_etl.stages.runner import Accepted, Failed, Outcome, Rejected, Row

REVISION = 5


class Generate:
    """Rows of ``images`` with their ``instances`` to rows of ``queries``."""

    name, table = "generate", "queries"

    def __init__(self, author: Author, instances_fingerprint: str, reader: Reader | None = None) -> None:
        self._author = author
        self._reader = reader
        self._upstream = instances_fingerprint

    @property
    def sources(self) -> Sequence[tuple[str, str | None]]:
        return (("images", None), ("instances", self._upstream))

    def read(self, lake: Lake, shard: Shard) -> list[Row]:
        found = group_rows_by(lake.read("instances", self._upstream, shard).to_pylist(), "image_id")
        images = lake.read("images", None, shard).to_pylist()
        return [
            {**row, "input_id": row["image_id"], "instances": found[row["image_id"]]}
            for row in images
            if row["image_id"] in found
        ]

    def process(self, lake: Lake, rows: Sequence[Row]) -> Iterator[Outcome]:
        author, reader, seen_photo = self._author, self._reader, photos(lake)
        model = author.identity.model

        def plan(row: Row) -> Sequence[AuthorJob]:
            return author.plan(seen_photo(row), row["instances"]) if _usable(row) >= MIN_INSTANCES else ()

        written = call_engine(lake, author.identity, author.write, rows, plan)
        drafts = (drafted(row, replies, model) for row, replies in written)
        if reader is not None:
            read = call_engine(lake, reader.identity, reader.read, drafts, lambda one: one.read_jobs(lake))
            drafts = (reread(one, replies) for one, replies in read)
        return (one.outcome for one in drafts)


@dataclass
class Drafts:
    """The state of all drafts of one photo."""

    row: Row  # of images, with its instances
    kept: dict[str, Row] = field(default_factory=dict)  # rows of the queries table by query_id
    rejected: list[Rejected] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # calls that failed
    tokens: int = 0
    seconds: float = 0.0  # of model time

    @cached_property
    def scene(self) -> Scene:
        """The scene that the drafts are checked on."""
        return Scene.from_rows(self.row["instances"], self.row["width"], self.row["height"])

    @property
    def outcome(self) -> Outcome:
        """The outcome of the photo."""
        kept, usable = tuple(self.kept.values()), _usable(self.row)
        outcome: Outcome = Rejected("no_chain", "no chain of hops is unambiguous here")
        if self.errors:
            outcome = Failed("; ".join(self.errors), kept, self.rejected)
        elif kept or self.rejected:
            outcome = Accepted(kept, self.rejected)
        elif usable < MIN_INSTANCES:
            outcome = Rejected("too_few_instances", f"{usable} certain instances; a chain needs {MIN_INSTANCES}")
        return replace(outcome, tokens=self.tokens, seconds=self.seconds)

    def add_cost(self, reply: Reply[Any]) -> None:
        """Add the cost of a reply."""
        self.tokens += reply.tokens
        self.seconds += reply.seconds

    def read_jobs(self, lake: Lake) -> list[ReadJob]:
        """Return one job for each draft kept, in their order."""
        photo, instances, scene = photo_of(lake, self.row), tuple(self.row["instances"]), self.scene
        return [
            ReadJob(photo, draft["question"], instances, unexecutable_facts(query_from_row(draft), scene))
            for draft in self.kept.values()
        ]


def drafted(row: Row, replies: Iterable[Reply[AuthorJob]], author: str) -> Drafts:
    """Return the drafts in an author's replies about one photo; drafts that break a rule are rejected."""
    drafts = Drafts(row)
    scene = drafts.scene
    judge = partial(_judged, row["image_id"], author, scene)
    for reply in replies:
        drafts.add_cost(reply)
        judged = interpret_reply(reply, lambda content: list(map(judge, content["queries"])))
        if isinstance(judged, Failed):
            drafts.errors.append(judged.error)
            continue
        for one in [judged] if isinstance(judged, Rejected) else judged:
            if isinstance(one, Rejected):
                drafts.rejected.append(one)
            elif one["query_id"] in drafts.kept:
                drafts.rejected.append(Rejected("duplicate_query", "asked already, over other instances", one))
            else:
                drafts.kept[one["query_id"]] = one
                drafts.rejected += _drop_broken_variants(one, scene)
    return drafts


def reread(drafts: Drafts, replies: Iterable[Reply[ReadJob]]) -> Drafts:
    """Return the drafts without those that the reader understood differently."""
    scene = drafts.scene
    for (name, draft), reply in zip(list(drafts.kept.items()), replies, strict=True):
        drafts.add_cost(reply)
        mismatch = interpret_reply(reply, partial(_mismatch, draft, scene))
        if mismatch is None:
            continue
        del drafts.kept[name]
        if isinstance(mismatch, Failed):
            drafts.errors.append(mismatch.error)
        else:
            drafts.rejected.append(
                Rejected(mismatch.reason, mismatch.detail, {"draft": draft, "read": mismatch.payload})
            )
    return drafts


def _usable(row: Row) -> int:
    return sum(one["certain"] for one in row["instances"])


def _drop_broken_variants(row: Row, scene: Scene) -> Iterator[Rejected]:
    """Set the columns of each invalid variant to null and yield its reject; the query itself is kept."""
    for kind in VARIANTS:
        if wrong := variant_violation(kind, row, scene):
            detail = f"{wrong.reason}: {wrong.detail}"
            yield Rejected(f"broken_{kind}", detail, {name: row.get(name) for name in to_row(kind, None)})
            row.update(to_row(kind, None))


def _judged(image_id: str, author: str, scene: Scene, draft: JSON) -> Row | Rejected:
    """Return a draft as a row of the queries table, or the rules that it breaks."""
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


def _mismatch(draft: Row, scene: Scene, content: JSON) -> Rejected | None:
    """Return a reject if the reader's program gives another answer than the author's, otherwise None."""
    if content["unclear"]:
        return Rejected("wording_mismatch", f"the reader cannot take it apart: {content['unclear']}", content)
    try:
        answer = run_program(content["hops"], content["expr"], scene)
    except RoundTripError as error:
        return Rejected("wording_mismatch", f"the reader's program does not run: {error}", content)
    if answer == query_from_row(draft).answer:
        return None
    return Rejected("wording_mismatch", f"the reader gets {answer}, not {draft['answer']}", content)
