"""Calls an engine for the rows of a stage, through the journal; replies come grouped by row."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

from hopchain_etl.engines.base import JSON, Identity, Job, Photo, Reply, UnreadablePhotoError
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.stages.response_cache import ResponseCache, replies_with_cache
from hopchain_etl.stages.runner import Accepted, Failed, Outcome, Rejected, Row
from hopchain_etl.stages.token_budget import limit_tokens

J = TypeVar("J", bound=Job)
R = TypeVar("R")
T = TypeVar("T")
_PHOTOS = 8  # number of photos whose bytes are cached while several jobs use them


def photo_of(lake: Lake, row: Row) -> Photo:
    """Return the photo of an images row; its bytes are fetched when an engine loads them."""
    sha = row["blob_sha"]
    return Photo(row["image_id"], sha, row["width"], row["height"], partial(_bytes, lake, sha))


def photos(lake: Lake) -> Callable[[Row], Photo]:
    """Return ``photo_of`` for stages with several jobs per photo: its bytes are fetched only once."""
    load = lru_cache(_PHOTOS)(partial(_bytes, lake))

    def photo(row: Row) -> Photo:
        return replace(photo_of(lake, row), load=partial(load, row["blob_sha"]))

    return photo


def _bytes(lake: Lake, sha: str) -> bytes:
    try:
        return lake.blob(sha)
    except LakeError as error:  # lost or damaged: no other try will find it
        raise UnreadablePhotoError(str(error)) from error


def call_engine(
    journal: Journal,
    identity: Identity | Callable[[Any], Identity],
    ask: Callable[[Iterable[J]], Iterator[Reply[J]]],
    rows: Iterable[R],
    jobs_of: Callable[[R], Sequence[J]],
    further_jobs: Callable[[R, Sequence[Reply[J]]], Sequence[J]] = lambda row, replies: (),
) -> Iterator[tuple[R, list[Reply[J]]]]:
    """Yield each row with the (possibly empty) list of replies to its jobs, in order.

    Rows are read lazily, so that one engine can consume rows while another is still producing them. An engine without
    the cache must reply in order. ``identity`` is as of ``ResponseCache``. ``further_jobs`` returns jobs that follow
    from the replies to a row's jobs; the replies to these come after the others. They are asked among the jobs of later
    rows: in a call of their own, all rows would wait until one has further jobs.
    """
    ask, open_rows = limit_tokens(ask), _OpenRows(rows, jobs_of, further_jobs)
    uncached = isinstance(identity, Identity) and not identity.cached
    while True:
        jobs = open_rows.jobs()
        for reply in ask(jobs) if uncached else replies_with_cache(ask, jobs, ResponseCache(journal, identity)):
            open_rows.take(reply)
            yield from open_rows.finished()
        if not open_rows.have_further_jobs:  # those that follow from the last replies
            break
    yield from open_rows.finished()
    open_rows.check_all_answered()


@dataclass
class _OpenRow(Generic[R, J]):
    """A row that was begun: its replies so far, and how many of its jobs have none yet."""

    row: R
    jobs_left: int
    replies: list[Reply[J]] = field(default_factory=list)
    is_followed_up: bool = False


class _OpenRows(Generic[R, J]):
    """Rows on their way through an engine that replies to their jobs in order. Parameters: see ``call_engine``."""

    def __init__(
        self,
        rows: Iterable[R],
        jobs_of: Callable[[R], Sequence[J]],
        further_jobs: Callable[[R, Sequence[Reply[J]]], Sequence[J]],
    ) -> None:
        self._source, self._jobs_of, self._further_jobs = iter(rows), jobs_of, further_jobs
        self._rows: deque[_OpenRow[R, J]] = deque()  # in their order
        self._asked: deque[_OpenRow[R, J]] = deque()  # in the order of their jobs
        self._further: deque[tuple[_OpenRow[R, J], Sequence[J]]] = deque()  # not asked yet

    @property
    def have_further_jobs(self) -> bool:
        """Whether there are jobs that follow from replies and were not asked yet."""
        return bool(self._further)

    def jobs(self) -> Iterator[J]:
        """Yield the jobs of the next rows, and those that follow from replies before any others."""
        yield from self._jobs_that_follow()
        for row in self._source:
            jobs = self._jobs_of(row)
            one = _OpenRow[R, J](row, len(jobs))
            self._rows.append(one)
            if jobs:
                self._asked.append(one)
            yield from jobs
            yield from self._jobs_that_follow()

    def take(self, reply: Reply[J]) -> None:
        """Take the reply to the next job."""
        one = self._asked[0]
        one.replies.append(reply)
        one.jobs_left -= 1
        if one.jobs_left:
            return
        self._asked.popleft()
        if one.is_followed_up:
            return
        one.is_followed_up = True
        if jobs := self._further_jobs(one.row, one.replies):
            one.jobs_left = len(jobs)
            self._further.append((one, jobs))

    def finished(self) -> Iterator[tuple[R, list[Reply[J]]]]:
        """Remove and yield the first rows, as far as all their jobs have replies."""
        while self._rows and not self._rows[0].jobs_left:
            one = self._rows.popleft()
            yield one.row, one.replies

    def check_all_answered(self) -> None:
        """Raise AssertionError if a row still waits."""
        assert not self._rows, "an engine left jobs without a reply"

    def _jobs_that_follow(self) -> Iterator[J]:
        while self._further:
            one, jobs = self._further.popleft()
            self._asked.append(one)
            yield from jobs


def outcomes_per_row(
    journal: Journal,
    identity: Identity | Callable[[Any], Identity],
    ask: Callable[[Iterable[J]], Iterator[Reply[J]]],
    rows: Sequence[Row],
    job_of: Callable[[Row], J],
    to_outcome: Callable[[Row, JSON], Accepted | Rejected],
) -> Iterator[Outcome]:
    """Yield the outcome of each row, which is one job; ``to_outcome`` converts the content of a reply."""
    for row, (reply,) in call_engine(journal, identity, ask, rows, lambda row: [job_of(row)]):
        yield replace(interpret_reply(reply, partial(to_outcome, row)), tokens=reply.tokens, seconds=reply.seconds)


def interpret_reply(reply: Reply[J], use: Callable[[JSON], T]) -> T | Rejected | Failed:
    """Return ``use(content)`` of a reply; Failed if it has no content, Rejected if the content is invalid."""
    content = reply.content
    if content is None:
        return Failed(reply.error or "the engine gave no answer", permanent=reply.permanent)
    if "invalid" in content:
        return Rejected("invalid_output", str(content["invalid"]), {"raw": content.get("raw")})
    try:
        return use(content)
    except (KeyError, TypeError, ValueError) as error:
        return Rejected("unreadable_answer", f"{type(error).__name__}: {error}", content)


def group_rows_by(rows: Iterable[Row], key: str) -> dict[str, list[Row]]:
    """Return rows by their ``key`` column, in order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups
