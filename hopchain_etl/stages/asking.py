"""How a stage asks an engine: jobs out, journal first, one outcome for each input row, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from hopchain_etl.engines.base import JSON, Identity, Job, Photo, Reply
from hopchain_etl.journal import Journal, replies
from hopchain_etl.lake import Lake
from hopchain_etl.stages.runner import Failed, Made, Outcome, Rejected, Row

J = TypeVar("J", bound=Job)


def photo_of(lake: Lake, row: Row) -> Photo:
    """Return the photo of an images row; its bytes are fetched when an engine loads them."""
    sha = row["blob_sha"]
    return Photo(row["image_id"], sha, row["width"], row["height"], lambda: lake.blob(sha))


def outcomes(
    lake: Lake,
    identity: Identity,
    ask: Callable[[Iterable[J]], Iterator[Reply[J]]],
    rows: Sequence[Row],
    job_of: Callable[[Row], J],
    made: Callable[[Row, JSON], Made | Rejected],
) -> Iterator[Outcome]:
    """Yield what each row became. ``made`` turns an engine's content into rows; content it cannot read is rejected.

    An engine that is not journaled must reply in order.
    """
    jobs = (job_of(row) for row in rows)
    if identity.journaled:
        flush = lake.settings.flush_calls, lake.settings.flush_seconds
        answers = replies(ask, jobs, Journal(lake, identity), flush_calls=flush[0], flush_seconds=flush[1])
    else:
        answers = ask(jobs)
    for row, reply in zip(rows, answers, strict=True):
        if reply.content is None:
            yield Failed(reply.error or "the engine gave no answer")
            continue
        try:
            outcome = made(row, reply.content)
        except (KeyError, TypeError, ValueError) as error:
            outcome = Rejected("unreadable_answer", f"{type(error).__name__}: {error}", reply.content)
        if isinstance(outcome, Made) and reply.tokens:
            outcome = Made(outcome.rows, outcome.refused, reply.tokens)
        yield outcome


def grouped(rows: Iterable[Row], key: str) -> dict[str, list[Row]]:
    """Return rows by their ``key`` column, in order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups
