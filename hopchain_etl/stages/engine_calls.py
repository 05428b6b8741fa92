"""Calls an engine for the rows of a stage, through the journal; replies come grouped by row."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, TypeVar

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
) -> Iterator[tuple[R, list[Reply[J]]]]:
    """Yield each row with the (possibly empty) list of replies to its jobs, in order.

    Rows are read lazily, so that one engine can consume rows while another is still producing them. An engine without
    the cache must reply in order. ``identity`` is as of ``ResponseCache``.
    """
    open_rows: deque[tuple[R, int]] = deque()

    def jobs() -> Iterator[J]:
        for row in rows:
            row_jobs = jobs_of(row)
            open_rows.append((row, len(row_jobs)))
            yield from row_jobs

    ask = limit_tokens(ask)
    uncached = isinstance(identity, Identity) and not identity.cached
    replies = ask(jobs()) if uncached else replies_with_cache(ask, jobs(), ResponseCache(journal, identity))
    row_replies: list[Reply[J]] = []
    for reply in replies:
        while not open_rows[0][1]:
            yield open_rows.popleft()[0], []
        row_replies.append(reply)
        if len(row_replies) == open_rows[0][1]:
            yield open_rows.popleft()[0], row_replies
            row_replies = []
    assert not row_replies, "an engine left jobs without a reply"
    for row, jobs_left in open_rows:
        assert not jobs_left, "an engine left jobs without a reply"
        yield row, []


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
