"""QuestionVotes and QuestionStatus: the stored votes of one question, who may answer next, and on which seat.

``votes/<batch>/<query_id>/`` contains:

- ``seat-<n>.<rev>.json``: votes (see ``annotation.votes``). An annotator writes the next revision of the lowest free
  seat, and only if the object does not exist. So votes are serialised, each sees the earlier ones, and no seat is
  filled twice.
- ``late-<answer_id>.json``: answers that arrived after the question was decided; stored, never counted.
- ``skip-<annotator_key>.json``: this annotator has skipped the question, for as long as the batch lasts; says when, and
  after how many active seconds (those of earlier versions say nothing).
- ``lease-<slot>.<n>.json``: an annotator is viewing the question until a given time. Advisory: it only avoids
  unnecessary work; a lost lease causes at most one late answer.

If the batch continues a closed one, votes there count too, skips do not; what is new is stored below the new batch
only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from hopchain_etl.annotation.votes import VOTE_KEY, Vote, annotator_key, valid_votes, vote_key, votes_prefix
from hopchain_etl.annotation.workdays import Work, work_on_question, work_on_skip
from hopchain_etl.hops.consensus import ConsensusOutcome, ConsensusRule, Decision, tally_votes
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError

_LATE = re.compile(r".*/late-(?P<answer>[0-9a-f-]{36})\.json")
SKIP_KEY = re.compile(r".*/skip-(?P<who>[0-9a-f]{16})\.json")
_LEASE = re.compile(r".*/lease-(?P<slot>\d{1,2})\.(?P<number>\d{1,9})\.json")


@dataclass(frozen=True)
class Lease:
    """An annotator is viewing the question until ``until``, in seconds since the epoch."""

    slot: int
    number: int
    annotator: str
    until: float

    def key(self, folder: QuestionVotes) -> str:
        """Return the key of the lease on a question."""
        return f"{folder.prefix}lease-{self.slot}.{self.number}.json"

    def data(self) -> bytes:
        """Return the bytes that are stored."""
        return json.dumps({"annotator": self.annotator, "until": self.until}).encode()


@dataclass(frozen=True)
class Skip:
    """A skip, by ``annotator_key``. The rest is empty in skips of earlier versions."""

    who: str
    annotator: str = ""
    skipped_at: str = ""  # ISO 8601, UTC
    active_seconds: float | None = None

    def data(self) -> bytes:
        """Return the bytes that are stored."""
        facts = {"annotator": self.annotator, "skipped_at": self.skipped_at, "active_seconds": self.active_seconds}
        return json.dumps(facts, sort_keys=True).encode()


@dataclass(frozen=True)
class QuestionVotes:
    """The stored objects of one question of a batch, by key; those of continued batches come first."""

    batch: str
    query_id: str
    votes: Mapping[str, Vote] = field(default_factory=dict)
    late: Mapping[str, Vote] = field(default_factory=dict)
    leases: Mapping[str, Lease] = field(default_factory=dict)
    skips: Mapping[str, Skip] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """What the keys of new objects begin with."""
        return votes_prefix(self.batch, self.query_id)

    @property
    def skipped(self) -> frozenset[str]:
        """The annotator_keys of who has skipped the question."""
        return frozenset(one.who for one in self.skips.values())

    def unread(self, keys: Iterable[str]) -> list[str]:
        """Return those of the listed keys whose contents are not known yet; objects here never change."""
        known = (self.votes, self.late, self.leases, self.skips)
        return [key for key in keys if not any(key in one for one in known)]

    def listed(self, keys: Iterable[str], contents: Mapping[str, bytes]) -> QuestionVotes:
        """Return the folder for a listing, given the contents of the unread keys.

        The listing begins with the keys of the votes of continued batches.
        """
        votes: dict[str, Vote] = {}
        late: dict[str, Vote] = {}
        leases: dict[str, Lease] = {}
        skips: dict[str, Skip] = {}
        for key in keys:
            if key in self.skips:
                skips[key] = self.skips[key]
            elif key in self.votes:
                votes[key] = self.votes[key]
            elif key in self.late:
                late[key] = self.late[key]
            elif key in self.leases:
                leases[key] = self.leases[key]
            elif key not in contents:
                continue  # a lease or a skip that was removed since the listing
            elif match := SKIP_KEY.fullmatch(key):
                skips[key] = _skip(match["who"], contents[key])
            elif match := VOTE_KEY.fullmatch(key):
                votes[key] = _vote(self.query_id, int(match["seat"]), int(match["rev"]), contents[key])
            elif match := _LEASE.fullmatch(key):
                leases[key] = _lease(int(match["slot"]), int(match["number"]), contents[key])
            elif _LATE.fullmatch(key):
                late[key] = _vote(self.query_id, 0, 0, contents[key])
        return QuestionVotes(self.batch, self.query_id, votes, late, leases, skips)

    def reload(self, lake: Lake) -> QuestionVotes:
        """Return the folder as it is in the lake now: with one listing and a read of each new object.

        The votes of continued batches are not listed again: those batches are closed.
        """
        earlier = [key for key in self.votes if not key.startswith(self.prefix)]
        keys = earlier + [entry.key for entry in lake.store.list_objects(self.prefix)]
        contents = {}
        for key in self.unread(keys):
            try:
                contents[key] = lake.store.get(key)
            except MissingObjectError:
                continue  # a lease or a skip that was removed in the meantime
        return self.listed(keys, contents)

    def vote_key(self, seat: int, rev: int) -> str:
        """Return the key of a vote."""
        return vote_key(self.batch, self.query_id, seat, rev)

    def skip_key(self, annotator: str) -> str:
        """Return the key of a skip."""
        return f"{self.prefix}skip-{annotator_key(annotator)}.json"

    def late_key(self, answer_id: str) -> str:
        """Return the key of a late answer."""
        return f"{self.prefix}late-{answer_id}.json"

    def taken(self, voided: Container[str] = ()) -> dict[int, Vote]:
        """Return the valid votes, by seat."""
        return valid_votes(self.votes.values(), voided)

    def work(self, counted: Iterable[Vote], too_fast: float) -> Work:
        """Return what was done about the question in this batch (see ``workdays``); ``counted``: the votes that count.

        The work on votes of continued batches is counted there.
        """
        own = {(vote.seat, vote.rev): vote for key, vote in self.votes.items() if key.startswith(self.prefix)}
        found = work_on_question([*own.values(), *self.late.values()], list(counted), own.keys(), too_fast)
        for one in self.skips.values():
            found.update(work_on_skip(one.annotator, one.skipped_at, one.active_seconds))
        return found

    def seen(self) -> Iterator[tuple[str, str]]:
        """Yield each annotator with the time of something that they sent."""
        own = (vote for key, vote in self.votes.items() if key.startswith(self.prefix))
        yield from ((vote.annotator, vote.answered_at) for vote in (*own, *self.late.values()) if vote.annotator)
        yield from ((one.annotator, one.skipped_at) for one in self.skips.values() if one.annotator)

    def answered(self, answer_id: str, annotator: str) -> Vote | None:
        """Return the vote stored earlier for the same request (answer_id), or None."""
        every = (*self.votes.values(), *self.late.values())
        own = (one for one in every if one.answer_id == answer_id and one.annotator == annotator)
        return next((one for one in own if not one.retracted), None)

    def revision(self, seat: int) -> int:
        """Return the number of the last revision of a seat; 0 if the seat was never taken."""
        return max((one.rev for one in self.votes.values() if one.seat == seat), default=0)

    def lease_of(self, annotator: str, now: float) -> Lease | None:
        """Return the annotator's active lease, or None."""
        return next((one for one in self._last().values() if one.annotator == annotator and one.until > now), None)

    def next_lease(self, slots: int, busy: Container[str], annotator: str, now: float, until: float) -> Lease | None:
        """Return the lease that ``annotator`` could take; None if ``slots`` others already have the question open.

        Annotators in ``busy`` have answered, so their leases are over. Two people who see the same folder get the same
        key, so only one can store it.
        """
        last = self._last()
        live = {
            slot
            for slot, one in last.items()
            if one.until > now and one.annotator != annotator and one.annotator not in busy
        }
        if len(live) >= slots:
            return None
        slot = next(number for number in range(1, slots + 1) if number not in live)
        return Lease(slot, last[slot].number + 1 if slot in last else 1, annotator, until)

    def _last(self) -> dict[int, Lease]:
        last: dict[int, Lease] = {}
        for one in self.leases.values():
            if one.slot not in last or one.number > last[one.slot].number:
                last[one.slot] = one
        return last


@dataclass(frozen=True)
class QuestionStatus:
    """The state of a question under a consensus rule. ``waits``: more answers are needed."""

    outcome: ConsensusOutcome
    taken: Mapping[int, Vote]
    free: tuple[int, ...]  # seats
    waits: bool

    @property
    def people(self) -> frozenset[str]:
        """The annotators who have answered."""
        return frozenset(one.annotator for one in self.taken.values())


def question_status(
    folder: QuestionVotes, rule: ConsensusRule, *, full: bool = False, voided: Container[str] = ()
) -> QuestionStatus:
    """Return the state of a question; one of the ``full`` sample waits until every seat is taken."""
    taken = folder.taken(voided)
    outcome = tally_votes(((one.annotator, one.number) for one in taken.values()), rule)
    free = tuple(seat for seat in range(1, rule.seats + 1) if seat not in taken)
    return QuestionStatus(outcome, taken, free, bool(free) and (full or outcome.decision is Decision.OPEN))


def is_lease(key: str) -> bool:
    """Return whether a key is that of a lease."""
    return _LEASE.fullmatch(key) is not None


def _vote(query_id: str, seat: int, rev: int, data: bytes) -> Vote:
    """Return a stored vote. An unreadable vote counts as retracted, so its seat is free."""
    try:
        return Vote.model_validate_json(data).model_copy(update={"seat": seat, "rev": rev, "query_id": query_id})
    except ValidationError:
        return Vote(query_id=query_id, seat=seat, rev=rev, annotator="", answered_at="", retracted=True)


def _lease(slot: int, number: int, data: bytes) -> Lease:
    try:
        value = json.loads(data)
        return Lease(slot, number, str(value["annotator"]), float(value["until"]))
    except (ValueError, KeyError, TypeError):
        return Lease(slot, number, "", 0.0)


def _skip(who: str, data: bytes) -> Skip:
    try:
        value = json.loads(data)
        seconds = value.get("active_seconds")
        return Skip(
            who,
            str(value.get("annotator", "")),
            str(value.get("skipped_at", "")),
            None if seconds is None else float(seconds),
        )
    except (ValueError, AttributeError, TypeError):
        return Skip(who)
