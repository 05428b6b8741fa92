"""Of a list of engines the first that knows a photo answers, under its own name in the journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hopchain_etl.engines.base import DetectJob, Identity, Photo, Reply
from hopchain_etl.engines.first_of import FirstOf, answering, combined, first_of
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.settings import LakeSettings
from hopchain_etl.stages.engine_calls import call_engine


class Named:
    """A detector that says its name and keeps what it was asked. It answers in another order."""

    def __init__(self, name: str, *, cached: bool = True) -> None:
        self._name, self._cached = name, cached
        self.asked: list[int] = []

    @property
    def identity(self) -> Identity:
        return Identity(self._name, "1", {"name": self._name}, cached=self._cached)

    def detect(self, jobs: Iterable[DetectJob]) -> Iterator[Reply[DetectJob]]:
        for job in reversed(list(jobs)):
            self.asked.append(number_of(job))
            yield Reply(job, {"by": self._name})


class Choosy(Named):
    """One that knows some photos only."""

    def __init__(self, name: str, known: Iterable[int], *, cached: bool = True) -> None:
        super().__init__(name, cached=cached)
        self._known = set(known)

    def knows(self, job: DetectJob) -> bool:
        return number_of(job) in self._known


def job_of(number: int) -> DetectJob:
    return DetectJob(Photo(str(number), f"{number:064x}", 9, 9, bytes))


def number_of(job: DetectJob) -> int:
    return int(job.photo.image_id)


@given(st.lists(st.integers(0, 9), max_size=20), st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_the_first_that_knows_a_photo_answers_otherwise_the_last(
    asked: list[int], first: set[int], second: set[int]
) -> None:
    engines = [Choosy("a", first), Choosy("b", second), Named("c")]
    replies = list(FirstOf(engines).detect(map(job_of, asked)))
    assert sorted(number_of(reply.job) for reply in replies) == sorted(asked)
    for reply in replies:
        number = number_of(reply.job)
        assert reply.content == {"by": "a" if number in first else "b" if number in second else "c"}
    last = list(FirstOf(engines[:2]).detect(map(job_of, asked)))
    assert len(last) == len(asked), "what nobody knows is the last one's"


def test_the_list_has_one_identity_and_each_engine_keeps_its_own() -> None:
    a, b = Choosy("a", [1]), Named("b")
    both = FirstOf([a, b])
    assert both.identity == combined([a.identity, b.identity]) != combined([b.identity, a.identity])
    assert both.identity.model == "a + b"
    assert [both.identity_of(job_of(number)) for number in (1, 2)] == [a.identity, b.identity]
    assert first_of([a]) is a
    assert (answering(a), combined([a.identity])) == (a.identity, a.identity)


def test_what_an_engine_answered_alone_is_not_asked_again_in_a_list(tmp_path: Path) -> None:
    lake, shard = Lake(LakeSettings(uri=f"file://{tmp_path}/lake")), Shard("first", 0)

    def answers(engine: Named | FirstOf[Named]) -> list[str]:
        with Journal(lake, shard) as journal:
            called = call_engine(journal, answering(engine), engine.detect, range(6), lambda number: [job_of(number)])
            return [reply.content["by"] for _, (reply,) in called if reply.content]

    assert answers(Named("costly")) == ["costly"] * 6
    free, costly = Choosy("free", [1, 4], cached=False), Named("costly")
    assert answers(FirstOf([free, costly])) == ["costly", "free", "costly", "costly", "free", "costly"]
    assert (sorted(free.asked), costly.asked) == ([1, 4], [])
    answers(FirstOf([free, costly]))
    assert len(free.asked) == 4, "what is cheap to compute is not stored"
