"""Two API workers over one lake, with other people's requests between any look and the write that follows it.

The lake is a dictionary here, so that every interleaving can be tried: before a write, requests of others run.
"""

from __future__ import annotations

import math
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.batches import Batch
from hopchain_etl.annotation.votes import Vote, valid_votes
from hopchain_etl.hops.consensus import ConsensusRule
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError, ObjectInfo
from hopchain_etl.settings import DeskSettings
from hopchain_etl.web.desk.desk import Desk
from hopchain_etl.web.desk.folder import QuestionVotes, question_status
from hopchain_etl.web.desk.submission import Submission
from hopchain_etl.web.errors import DeskError
from support import drawn_lake

NAMES = ("ann", "ben", "cleo", "dan", "eve", "finn")
DESK = DeskSettings(annotators=("*",), gold_share=0, full_share=0, refresh_seconds=1_000)
NEVER: Any = None


class Memory:
    """A store that keeps objects in a dictionary and lets others act before each write of a vote or a lease."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.between: list[Any] = []
        self.depth = 0
        self.after_decided = 0

    def uri(self, key: str) -> str:
        return key

    def get(self, key: str) -> bytes:
        if key not in self.objects:
            raise MissingObjectError(key)
        return self.objects[key]

    def list_objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return iter([ObjectInfo(key, "", 0, NEVER) for key in sorted(self.objects) if key.startswith(prefix)])

    def put(self, key: str, data: bytes) -> None:
        self.objects[key] = data

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if key.startswith("votes/") and self.between and self.depth < 4:
            self.depth += 1
            self.between.pop()()
            self.depth -= 1
        if key in self.objects:
            return self.objects[key] == data
        if "/seat-" in key and not Vote.model_validate_json(data).retracted:
            query = key.split("/")[2]
            self.after_decided += not question_status(folder(self, query), ConsensusRule()).waits
        self.objects[key] = data
        return True

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.objects.pop(key, None)

    def exists(self, key: str) -> bool:
        return key in self.objects


def folder(store: Memory, query: str) -> QuestionVotes:
    held = {key: data for key, data in store.objects.items() if key.startswith(f"votes/monday/{query}/")}
    return QuestionVotes("monday", query).listed(held, held)


def lake_in(store: Memory) -> Lake:
    lake = Lake.__new__(Lake)
    lake.settings = NEVER
    lake.store = store  # type: ignore[assignment]
    lake._manifests, lake._withdrawn = {}, (-math.inf, frozenset())
    return lake


def _filled() -> tuple[dict[str, bytes], str]:
    """Return the objects of a lake with a batch of one question, and the question."""
    store = Memory()
    lake = lake_in(store)
    prints, queries = drawn_lake.fill(lake, [1], queries_each=1)
    query = queries[0]["query_id"]
    batches.create(lake, Batch("monday", "run", (query,), lineage=prints.queries, shards=("first/0000",)))
    return store.objects, query


FILLED, QUERY = _filled()

ACTS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(NAMES),
        st.sampled_from(["answer", "answer", "answer", "again", "next", "skip", "undo"]),
        st.sampled_from(["1", "1", "1", "1.0", "2", "reject"]),
    ),
    max_size=24,
)


def play(acts: list[tuple[int, str, str, str]]) -> tuple[Memory, set[str]]:
    """Let people act, each at one of two workers, one in the middle of another; return what was acknowledged."""
    store = Memory()
    store.objects = dict(FILLED)
    desks = [Desk(lake_in(store), DESK), Desk(lake_in(store), DESK)]
    acknowledged: set[str] = set()
    sent: dict[str, Submission] = {}

    def act(worker: int, name: str, kind: str, answer: str) -> None:
        desk = desks[worker]
        try:
            if kind in ("answer", "again"):
                new = Submission(
                    str(uuid.uuid4()),
                    QUERY,
                    None if answer == "reject" else answer,
                    "ambiguous" if answer == "reject" else None,
                    None,
                    1.0,
                )
                said = sent.setdefault(name, new) if kind == "again" else new
                sent[name] = said
                desk.submit(name, said)
                acknowledged.add(said.answer_id)
            elif kind == "next":
                desk.next_task(name)
            elif kind == "skip":
                desk.skip(name, QUERY)
            else:
                desk.undo(name, QUERY)
        except DeskError:
            pass  # refused: nothing was acknowledged

    store.between = [lambda one=one: act(*one) for one in acts[1::2]]
    for one in acts[::2]:
        act(*one)
    return store, acknowledged


@settings(max_examples=150, deadline=None)
@given(ACTS)
def test_no_interleaving_loses_doubles_or_overfills(acts: list[tuple[int, str, str, str]]) -> None:
    store, acknowledged = play(acts)
    end = folder(store, QUERY)
    stored = [*end.votes.values(), *end.late.values()]
    ids = Counter(one.answer_id for one in stored if one.answer_id)
    assert acknowledged <= ids.keys()
    assert max(ids.values(), default=0) <= 1
    taken = valid_votes(end.votes.values())
    assert set(taken) <= {1, 2, 3, 4}
    assert max(Counter(one.annotator for one in taken.values()).values(), default=0) <= 1
    if not any(kind == "undo" for _, _, kind, _ in acts):
        assert len(taken) == len(end.votes), "a person holds two seats"
        assert store.after_decided == 0


def test_the_same_seat_is_fought_for_and_the_loser_learns_the_outcome() -> None:
    """Three answers at once, of which the first two differ: the third finds the question decided."""
    acts = [(0, "ann", "answer", "1"), (1, "cleo", "answer", "2"), (0, "dan", "answer", "1"), (1, "ben", "answer", "1")]
    store, acknowledged = play(acts)
    end = folder(store, QUERY)
    assert len(acknowledged) == 4
    assert len(end.votes) + len(end.late) == 4
    assert len(end.late) >= 1
