"""The annotator's side of the desk: selects the next question, and stores, skips or undoes answers.

Every function reads the question's folder from the lake before it acts, and writes only where nothing is. So any number
of API workers may run, and one that is killed loses nothing that it has acknowledged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.gold import GoldItem
from hopchain_etl.annotation.votes import Vote, annotator_key
from hopchain_etl.hops.consensus import parse_answer
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.settings import DeskSettings
from hopchain_etl.web.errors import Conflict, Gone, Invalid, NotFound, Unavailable
from hopchain_etl.web.folder import QuestionVotes, late_key, skip_key
from hopchain_etl.web.index import Index, OpenBatch, Question, as_question, without_leases

REASONS = {
    "ambiguous": "The question can be understood in more than one way",
    "several_answers": "More than one answer is right",
    "not_visible": "What is asked for cannot be seen in the picture",
    "outside_knowledge": "Knowledge that is not in the picture is needed",
    "broken_image": "The picture is broken",
    "offensive_or_private": "The picture or the question is offensive, or shows something private",
    "other": "Something else (please say what)",
}
_MAX_SEAT_ATTEMPTS = 16  # attempts to take the next free seat of a question when others are faster
_LOOKS = 40  # maximum number of questions read for one request when the index is out of date
_STALE_SECONDS = 2.0  # maximum age of the index before a request for an unknown question triggers a refresh
_MINUS = str.maketrans({"\N{MINUS SIGN}": "-"})


@dataclass(frozen=True)
class Submission:
    """An annotator's submission: a plain decimal, or a reject reason with a comment."""

    answer_id: str
    query_id: str
    answer: str | None
    reject_reason: str | None
    comment: str | None
    seconds: float | None


class Desk:
    """One API worker's desk over a lake."""

    def __init__(self, lake: Lake, settings: DeskSettings, clock: Callable[[], float] = time.time) -> None:
        self.lake = lake
        self.settings = settings
        self.index = Index(lake, settings)
        self.clock = clock
        self._shown: dict[str, str] = {}  # the question each annotator is viewing, as known by this worker

    # --- what is asked ---

    def next_task(self, annotator: str) -> dict[str, Any]:
        """Return the next question for ``annotator``, or the reason why there is none; see the HTTP contract."""
        self.index.refresh_if_stale()
        check = self._check_due(annotator)
        if check:
            return self._asked(annotator, as_question(check), None, self.clock() + self.settings.lease_seconds)
        asking = [one for _, one in sorted(self.index.open.items()) if one.asks(annotator)]
        for home in asking:
            for query in islice(self._likely(annotator, home), _LOOKS):
                question = self.index.question(query)
                if question and (until := self._lease(annotator, query)):
                    return self._asked(annotator, question, home, until)
        left = any(True for home in asking for _ in self.index.candidates(annotator, home))
        why = "no_batch" if not asking else "waiting" if left else "done"
        name = asking[0].batch.id if asking else None
        return {"task": None, "why": why, "prefetch": None, "progress": self.index.progress(annotator, name)}

    def question(self, annotator: str, query_id: str) -> Question:
        """Return a question that ``annotator`` may see; raise NotFound otherwise."""
        self.index.refresh_if_stale()
        home, check = self.index.batch_of(query_id), self.index.gold.items.get(query_id)
        if home and home.asks(annotator) and (question := self.index.question(query_id)):
            return question
        if check:
            return as_question(check)
        raise NotFound("you are not asked this question")

    def image(self, question: Question) -> bytes:
        """Return the photo of a question; raise Gone if it was erased."""
        try:
            return self.lake.store.get(question.blob_key)
        except MissingObjectError as error:
            raise Gone("this picture was removed") from error

    def _asked(self, annotator: str, question: Question, home: OpenBatch | None, until: float) -> dict[str, Any]:
        shown = home or next((one for _, one in sorted(self.index.open.items()) if one.asks(annotator)), None)
        coming = self._likely(annotator, shown) if shown else iter(())
        after = next((query for query in coming if query != question.query_id), None)
        task = {
            "query_id": question.query_id,
            "question": question.text,
            "image": _image(question.query_id),
            "width": question.width,
            "height": question.height,
            "lease_until": datetime.fromtimestamp(until, UTC).isoformat(timespec="seconds"),
        }
        name = shown.batch.id if shown else None
        return {
            "task": task,
            "why": None,
            "prefetch": _image(after) if after else None,
            "progress": self.index.progress(annotator, name),
        }

    def _check_due(self, annotator: str) -> GoldItem | None:
        index = self.index
        asking = [one for one in list(index.open.values()) if one.asks(annotator)]
        if not any(True for one in asking for _ in index.candidates(annotator, one)):
            return None  # gold checks are mixed into normal work; without other questions they would be recognisable
        if not index.gold.is_due(annotator, index.turn(annotator), self.settings.gold_share):
            return None
        known = {query for query in index.gold.items if index.batch_of(query)}
        return index.gold.pick(annotator, known)

    def _likely(self, annotator: str, home: OpenBatch) -> Iterator[str]:
        """Yield candidates that still seem to have a free seat; the question the annotator is viewing comes first."""
        now = self.clock()
        shown = self._shown.get(annotator)
        if shown and self.index.batch_of(shown) is home:
            yield shown
        for query in self.index.candidates(annotator, home):
            folder, standing = self.index.folder(query), self.index.standing(query)
            if query == shown or standing is None:
                continue
            if folder.next_lease(len(standing.free), standing.people, annotator, now, now):
                yield query

    def _lease(self, annotator: str, query: str) -> float | None:
        """Return the end of the annotator's lease on a question; None if they must not be asked (any more)."""
        now = self.clock()
        until = now + self.settings.lease_seconds
        for _ in range(_MAX_SEAT_ATTEMPTS):
            folder, standing = self.index.reload_question(query)
            if not standing.waits or annotator in standing.people or annotator_key(annotator) in folder.skipped:
                return None
            held = folder.lease_of(annotator, now)
            if held and held.until - now > self.settings.lease_seconds / 2:
                return held.until
            lease = folder.next_lease(len(standing.free), standing.people, annotator, now, until)
            if lease is None:
                return None
            if self.lake.store.put_if_absent(lease.key(query), lease.data()):
                old = [key for key, one in folder.leases.items() if one.slot == lease.slot or one == held]
                self.lake.store.delete(old)
                leases = {**without_leases(folder, old).leases, lease.key(query): lease}
                self.index.update(replace(folder, leases=leases))
                self._shown[annotator] = query
                return until
        return None

    # --- what is answered ---

    def submit(self, annotator: str, said: Submission) -> dict[str, Any]:
        """Store an answer and return the acknowledgement: when it returns, the answer is in the lake. Repeating the same answer_id stores it only once."""
        said = _checked(said)
        home = self._home(annotator, said.query_id)
        if home is None:
            self.index.gold.answer(annotator, said.query_id, vars(said) | {"answered_at": self._now()})
            home = next((one for _, one in sorted(self.index.open.items()) if one.asks(annotator)), None)
        else:
            self._store(annotator, said, home)
        name = home.batch.id if home else None
        return {"stored": True, "answer_id": said.answer_id, "progress": self.index.progress(annotator, name)}

    def _store(self, annotator: str, said: Submission, home: OpenBatch) -> None:
        query = said.query_id
        for _ in range(_MAX_SEAT_ATTEMPTS):
            folder, standing = self.index.reload_question(query)
            if folder.answered(said.answer_id, annotator):
                return  # already stored; only the reply was lost
            if annotator in standing.people:
                raise Conflict("you have answered this question already; undo that answer to change it")
            counts = standing.waits and home.asks(annotator)
            seat = standing.free[0] if counts else 0
            ballot = Vote(
                **vars(said),
                seat=seat,
                rev=folder.revision(seat) + 1 if counts else 0,
                annotator=annotator,
                answered_at=self._now(),
                batch=home.batch.id,
            )
            key = ballot.key if counts else late_key(query, said.answer_id)
            if self.lake.store.put_if_absent(key, ballot.data()):
                self._learn(folder, key, ballot, annotator)
                return
            if not counts:
                raise Conflict("this answer_id is taken")
        raise Unavailable("too many people answer this question at once; send the same answer again")

    def _learn(self, folder: QuestionVotes, key: str, ballot: Vote, annotator: str) -> None:
        """Remember a vote that was just stored, and end its author's lease."""
        self._shown.pop(annotator, None)
        ended = [lease for lease, one in folder.leases.items() if one.annotator == annotator]
        self.lake.store.delete(ended)
        folder = without_leases(folder, ended)
        if ballot.seat:
            self.index.update(replace(folder, ballots={**folder.ballots, key: ballot}))
        else:
            self.index.update(replace(folder, late={**folder.late, key: ballot}))

    def skip(self, annotator: str, query_id: str) -> dict[str, Any]:
        """Do not ask ``annotator`` this question again; the seat goes to another annotator."""
        home = self._home(annotator, query_id)
        if home is None:
            self.index.gold.answer(annotator, query_id, {"skipped": True, "answered_at": self._now()})
        else:
            folder, standing = self.index.reload_question(query_id)
            if annotator in standing.people:
                raise Conflict("you have answered this question already")
            self.lake.store.put_if_absent(skip_key(query_id, annotator), b"{}")
            self._shown.pop(annotator, None)
            ended = [key for key, one in folder.leases.items() if one.annotator == annotator]
            self.lake.store.delete(ended)
            skipped = folder.skipped | {annotator_key(annotator)}
            self.index.update(replace(without_leases(folder, ended), skipped=skipped))
        return {"skipped": True, "progress": self.index.progress(annotator, home.batch.id if home else None)}

    def undo(self, annotator: str, query_id: str) -> dict[str, Any]:
        """Undo the annotator's answer or skip of a question, and ask it again.

        Raises Conflict if there is nothing to take back, or it is too late: ``undo_seconds`` are over, or the batch
        is closed or final. The vote stays in the lake, under a revision that says that it is retracted.
        """
        home = self._home(annotator, query_id)
        if home is None:
            return self._undo_check(annotator, query_id)
        if not home.asks(annotator) or "decided" in batches.batch_states(self.lake).get(home.batch.id, ()):
            raise Conflict("this batch is closed; its answers stay as they are")
        undone = self._retract(annotator, query_id)
        until = self._lease(annotator, query_id)
        question = self.index.question(query_id)
        if until and question:
            return {"undone": undone, **self._asked(annotator, question, home, until)}
        progress = self.index.progress(annotator, home.batch.id)
        return {"undone": undone, "task": None, "progress": progress}

    def _retract(self, annotator: str, query_id: str) -> str:
        for _ in range(_MAX_SEAT_ATTEMPTS):
            folder, standing = self.index.reload_question(query_id)
            mine = next((one for one in standing.taken.values() if one.annotator == annotator), None)
            if mine is None:
                if annotator_key(annotator) in folder.skipped:
                    self.lake.store.delete([skip_key(query_id, annotator)])
                    self.index.update(replace(folder, skipped=folder.skipped - {annotator_key(annotator)}))
                    return "skip"
                late = [one for one in folder.late.values() if one.annotator == annotator]
                if not late:
                    raise Conflict("there is no answer of yours to undo")
                self._in_time(max(one.answered_at for one in late))
                return "answer"
            self._in_time(mine.answered_at)
            back = Vote(
                query_id=query_id,
                seat=mine.seat,
                rev=mine.rev + 1,
                annotator=annotator,
                answered_at=self._now(),
                batch=mine.batch,
                retracted=True,
            )
            if self.lake.store.put_if_absent(back.key, back.data()):
                self.index.update(replace(folder, ballots={**folder.ballots, back.key: back}))
                return "answer"
        raise Unavailable("the answer could not be taken back now; try again")

    def _undo_check(self, annotator: str, query_id: str) -> dict[str, Any]:
        said = self.index.gold.answered(annotator, query_id)
        if said is None:
            raise Conflict("there is no answer of yours to undo")
        self._in_time(said["answered_at"])
        self.index.gold.take_back(annotator, query_id)
        question = as_question(self.index.gold.items[query_id])
        asked = self._asked(annotator, question, None, self.clock() + self.settings.lease_seconds)
        return {"undone": "skip" if said.get("skipped") else "answer", **asked}

    def _in_time(self, answered_at: str) -> None:
        age = self.clock() - datetime.fromisoformat(answered_at).timestamp()
        if age > self.settings.undo_seconds:
            raise Conflict(f"an answer can be undone for {self.settings.undo_seconds:.0f} seconds only")

    def _home(self, annotator: str, query_id: str) -> OpenBatch | None:
        """Return the batch that contains a question, None for a gold check; raise NotFound for anything else.

        The batch may have been closed meanwhile; further answers are then stored as late.
        """
        self.index.refresh_if_stale()
        for attempt in range(2):
            home = self.index.batch_of(query_id)
            if home and (home.assigned is None or annotator in home.assigned):
                return home
            if query_id in self.index.gold.items:
                return None
            if attempt == 0:
                self.index.refresh(
                    _STALE_SECONDS
                )  # another worker may have created or settled a batch or check since the last refresh
        raise NotFound("you are not asked this question")

    def _now(self) -> str:
        return datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="milliseconds")


def _checked(said: Submission) -> Submission:
    """Return the normalised submission; raise Invalid if it has neither a number nor a reject reason."""
    if (said.answer is None) == (said.reject_reason is None):
        raise Invalid("send either answer or reject_reason")
    if said.reject_reason is not None:
        if said.reject_reason not in REASONS:
            raise Invalid(f"reject_reason must be one of {', '.join(REASONS)}")
        if said.reject_reason == "other" and not (said.comment or "").strip():
            raise Invalid("comment: please say what is wrong")
        return said
    text = (said.answer or "").strip().translate(_MINUS)
    if parse_answer(text) is None:
        raise Invalid("answer: write a plain number such as 12, -3 or 0.5 (no units, no thousands separators)")
    return replace(said, answer=text)


def _image(query_id: str) -> str:
    return f"api/queries/{query_id}/image"
