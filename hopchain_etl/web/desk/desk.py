"""The annotator's side of the desk: selects the next question, and stores, skips or undoes answers.

Every function reads the question's folder from the lake before it acts, and only creates new objects. So several API
workers can run in parallel, and a killed worker loses no acknowledged answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from hopchain_etl.annotation import batches
from hopchain_etl.annotation.gold import GoldItem
from hopchain_etl.annotation.votes import Vote, annotator_key
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.settings import DeskSettings
from hopchain_etl.web.desk.folder import QuestionStatus, QuestionVotes, Skip
from hopchain_etl.web.desk.index import Index, without_leases
from hopchain_etl.web.desk.open_batch import OpenBatch
from hopchain_etl.web.desk.questions import Question, as_question, is_withdrawn
from hopchain_etl.web.desk.submission import Submission, bounded, normalise
from hopchain_etl.web.errors import Conflict, Gone, NotFound, Unavailable

_MAX_SEAT_ATTEMPTS = 16  # attempts to take the next free seat of a question when others are faster
_MAX_READ = 40  # maximum number of questions read for one request when the index is out of date
_REMOVED = "this picture was removed meanwhile; its question needs no answer any more"
SKIP = "skip"  # what an undo may mean instead of an answer_id
_STALE_SECONDS = 2.0  # at least this many seconds lie between two looks for unknown questions


class Desk:
    """One API worker's desk over a lake."""

    def __init__(self, lake: Lake, settings: DeskSettings, clock: Callable[[], float] = time.time) -> None:
        self.lake = lake
        self.settings = settings
        self.index = Index(lake, settings)
        self.clock = clock
        self._shown: dict[str, str] = {}  # the question each annotator is viewing, as known by this worker

    # --- selecting questions ---

    def next_task(self, annotator: str) -> dict[str, Any]:
        """Return the next question for ``annotator``, or the reason why there is none; see the HTTP contract."""
        self.index.refresh_if_stale()
        check = self._check_due(annotator)
        if check:
            return self._task(annotator, as_question(check), None, self.clock() + self.settings.lease_seconds)
        asking = self.index.asking(annotator)
        for home in asking:
            for query in islice(self._likely(annotator, home), _MAX_READ):
                question = home.questions.get(query)
                if question is None or is_withdrawn(self.lake, question):
                    continue  # the index hears of a withdrawal some seconds later
                if until := self._lease(annotator, home, query):
                    return self._task(annotator, question, home, until)
        left = any(True for home in asking for _ in self.index.candidates(annotator, home))
        done = "share" if any(home.has_share(annotator) and home.waits for home in asking) else "done"
        why = "no_batch" if not asking else "waiting" if left else done
        name = asking[0].batch.id if asking else None
        return {"task": None, "why": why, "prefetch": None, "progress": self.index.progress(annotator, name)}

    def question(self, annotator: str, query_id: str) -> Question:
        """Return a question that ``annotator`` may see; raise NotFound otherwise."""
        self.index.refresh_if_stale()
        home, check = self.index.batch_of(query_id), self.index.gold.items.get(query_id)
        if home and home.asks(annotator) and (question := home.questions.get(query_id)):
            return question
        if check:
            return as_question(check)
        raise NotFound("this question is not assigned to you")

    def check_photo(self, question: Question) -> None:
        """Raise Gone if the photo of a question is withdrawn; asked for each photo, because the index may be stale."""
        if is_withdrawn(self.lake, question):
            raise Gone(_REMOVED)

    def image(self, question: Question) -> bytes:
        """Return the photo of a question; raise Gone if it was erased. See also ``check_photo``."""
        try:
            return self.lake.store.get(question.blob_key)
        except MissingObjectError as error:
            raise Gone(_REMOVED) from error

    def _task(self, annotator: str, question: Question, home: OpenBatch | None, until: float) -> dict[str, Any]:
        shown = home or next(iter(self.index.asking(annotator)), None)
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
        if not any(True for one in index.asking(annotator) for _ in index.candidates(annotator, one)):
            return None  # gold checks are mixed into normal work; without other questions they would be recognisable
        if not index.gold.is_due(annotator, index.turn(annotator), self.settings.gold_share):
            return None
        known = {query for query in index.gold.items if index.batch_of(query)}
        while check := index.gold.pick(annotator, known):
            if is_withdrawn(self.lake, as_question(check)):
                known.add(check.query_id)
            elif self.lake.store.exists(check.blob_key):
                return check
            else:
                index.gold.leave_out(check.query_id)
        return None

    def _likely(self, annotator: str, home: OpenBatch) -> Iterator[str]:
        """Yield candidates that still seem to have a free seat; the question the annotator is viewing comes first."""
        now = self.clock()
        shown = self._shown.get(annotator)
        if shown and self.index.batch_of(shown) is home:
            yield shown
        for query in self.index.candidates(annotator, home):
            folder, status = home.folder(query), home.status(query)
            if query == shown or status is None:
                continue
            if folder.next_lease(len(status.free), status.people, annotator, now, now):
                yield query

    def _lease(self, annotator: str, home: OpenBatch, query: str) -> float | None:
        """Return the end of the annotator's lease on a question; None if they must not be asked (any more)."""
        now = self.clock()
        until = now + self.settings.lease_seconds
        for _ in range(_MAX_SEAT_ATTEMPTS):
            folder, status = self._reload(home, query)
            answered = home.has_answered(annotator, query)
            if not status.waits or answered or annotator_key(annotator) in folder.skipped:
                return None
            held = folder.lease_of(annotator, now)
            if held and held.until - now > self.settings.lease_seconds / 2:
                return held.until
            lease = folder.next_lease(len(status.free), status.people, annotator, now, until)
            if lease is None:
                return None
            key = lease.key(folder)
            if self.lake.store.put_if_absent(key, lease.data()):
                old = [key for key, one in folder.leases.items() if one.slot == lease.slot or one == held]
                self.lake.store.delete(old)
                leases = {**without_leases(folder, old).leases, key: lease}
                self._update(home, replace(folder, leases=leases))
                self._shown[annotator] = query
                return until
        return None

    # --- storing answers ---

    def submit(self, annotator: str, submission: Submission) -> dict[str, Any]:
        """Store an answer and return the acknowledgement: when it returns, the answer is in the lake.

        Repeating the same answer_id stores it only once. Raises Gone if the photo was withdrawn meanwhile.
        """
        submission = normalise(submission)
        home = self._home(annotator, submission.query_id)
        if home is None:
            self._answer_check(annotator, submission.query_id, vars(submission))
            home = next(iter(self.index.asking(annotator)), None)
        else:
            self._store(annotator, submission, home)
        name = home.batch.id if home else None
        return {"stored": True, "answer_id": submission.answer_id, "progress": self.index.progress(annotator, name)}

    def _store(self, annotator: str, submission: Submission, home: OpenBatch) -> None:
        query = submission.query_id
        for _ in range(_MAX_SEAT_ATTEMPTS):
            folder, status = self._reload(home, query)
            if folder.answered(submission.answer_id, annotator):
                return  # already stored; only the reply was lost
            if annotator in status.people:
                raise Conflict("you have answered this question already; undo that answer to change it")
            if home.has_answered(annotator, query):
                raise Conflict("you have answered this question before; now others are asked")
            was_asked = any(lease.annotator == annotator for lease in folder.leases.values())
            if not was_asked and not home.may_answer(annotator, query):
                raise Conflict("you have answered your share of this batch; other people answer this question")
            # the index may not know yet that the batch was closed: votes of a closed batch must not change any more
            counts = status.waits and home.asks(annotator) and not batches.is_closed(self.lake, home.batch.id)
            seat = status.free[0] if counts else 0
            vote = Vote(
                **vars(submission),
                seat=seat,
                rev=folder.revision(seat) + 1 if counts else 0,
                annotator=annotator,
                answered_at=self._now(),
                batch=home.batch.id,
            )
            key = folder.vote_key(seat, vote.rev) if counts else folder.late_key(submission.answer_id)
            if self.lake.store.put_if_absent(key, vote.data()):
                self._add_to_index(home, folder, key, vote)
                return
            if not counts:
                raise Conflict("this answer_id is already used")
        raise Unavailable("too many people are answering this question at the same time; send the same answer again")

    def _add_to_index(self, home: OpenBatch, folder: QuestionVotes, key: str, vote: Vote) -> None:
        """Add a vote that was just stored to the index, and end its author's lease."""
        self._shown.pop(vote.annotator, None)
        ended = [lease for lease, one in folder.leases.items() if one.annotator == vote.annotator]
        self.lake.store.delete(ended)
        folder = without_leases(folder, ended)
        if vote.seat:
            self._update(home, replace(folder, votes={**folder.votes, key: vote}))
        else:
            self._update(home, replace(folder, late={**folder.late, key: vote}))

    def skip(self, annotator: str, query_id: str, active_seconds: float | None = None) -> dict[str, Any]:
        """Do not ask ``annotator`` this question again in this batch; the seat goes to another. See also ``submit``."""
        home = self._home(annotator, query_id)
        if home is None:
            self._answer_check(annotator, query_id, {"skipped": True, "active_seconds": bounded(active_seconds)})
        else:
            folder, status = self._reload(home, query_id)
            if annotator in status.people:
                raise Conflict("you have answered this question already")
            skip = Skip(annotator_key(annotator), annotator, self._now(), bounded(active_seconds))
            self.lake.store.put_if_absent(folder.skip_key(annotator), skip.data())
            self._shown.pop(annotator, None)
            ended = [key for key, one in folder.leases.items() if one.annotator == annotator]
            self.lake.store.delete(ended)
            skips = {**folder.skips, folder.skip_key(annotator): skip}
            self._update(home, replace(without_leases(folder, ended), skips=skips))
        return {"skipped": True, "progress": self.index.progress(annotator, home.batch.id if home else None)}

    def bring_back(self, annotator: str) -> dict[str, Any]:
        """Let ``annotator`` be asked again what they skipped in the open batches; return how many questions."""
        self.index.refresh_if_stale()
        returned = 0
        for home in self.index.asking(annotator):
            for query in home.skipped(annotator):
                folder, _ = self._reload(home, query)
                returned += self._forget_skip(annotator, home, folder)
        asking = next(iter(self.index.asking(annotator)), None)
        return {
            "returned": returned,
            "progress": self.index.progress(annotator, asking.batch.id if asking else None),
        }

    def _forget_skip(self, annotator: str, home: OpenBatch, folder: QuestionVotes) -> bool:
        """Delete the annotator's skip of a question; return whether there was one."""
        skip = folder.skip_key(annotator)
        if skip not in folder.skips:
            return False
        self.lake.store.delete([skip])
        self._update(home, replace(folder, skips={key: who for key, who in folder.skips.items() if key != skip}))
        return True

    def undo(self, annotator: str, query_id: str, meant: str | None = None) -> dict[str, Any]:
        """Undo the annotator's answer or skip of a question, and ask it again.

        ``meant``: the answer_id of the answer that is to be undone, or SKIP; None: whatever there is. Raises Conflict
        if there is nothing to undo or something else than what is meant, or if it is too late (``undo_seconds`` have
        passed, or the batch is closed or final). The vote stays in the lake; a new revision marks it as retracted.
        What is meant may be undone already: a page whose reply was lost asks again.
        """
        home = self._home(annotator, query_id)
        if home is None:
            return self._undo_check(annotator, query_id, meant)
        settled = batches.batch_states(self.lake).get(home.batch.id, frozenset()) & {"closed", "decided"}
        if settled or not home.asks(annotator):
            raise Conflict("this batch is closed; its answers cannot be changed")
        undone = self._retract(annotator, home, query_id, meant)
        until = self._lease(annotator, home, query_id)
        question = home.questions.get(query_id)
        if until and question:
            return {"undone": undone, **self._task(annotator, question, home, until)}
        progress = self.index.progress(annotator, home.batch.id)
        return {"undone": undone, "task": None, "progress": progress}

    def _retract(self, annotator: str, home: OpenBatch, query_id: str, meant: str | None) -> str:
        for _ in range(_MAX_SEAT_ATTEMPTS):
            folder, status = self._reload(home, query_id)
            own = next((one for one in status.taken.values() if one.annotator == annotator), None)
            if own is None:
                if folder.skip_key(annotator) in folder.skips:
                    _check_meant(meant, SKIP)
                    self._forget_skip(annotator, home, folder)
                    return SKIP
                if _is_undone(folder, annotator, meant):
                    return SKIP if meant == SKIP else "answer"
                late = [one for one in folder.late.values() if one.annotator == annotator]
                if not late:
                    raise Conflict("you have no answer to undo")
                self._in_time(max(one.answered_at for one in late))
                return "answer"
            _check_meant(meant, own.answer_id)
            self._in_time(own.answered_at)
            retraction = Vote(
                query_id=query_id,
                seat=own.seat,
                rev=own.rev + 1,
                annotator=annotator,
                answered_at=self._now(),
                batch=home.batch.id,
                retracted=True,
            )
            key = folder.vote_key(retraction.seat, retraction.rev)
            if self.lake.store.put_if_absent(key, retraction.data()):
                self._update(home, replace(folder, votes={**folder.votes, key: retraction}))
                return "answer"
        raise Unavailable("the answer could not be undone now; try again")

    def _answer_check(self, annotator: str, query_id: str, answer: dict[str, Any]) -> None:
        if not self.index.gold.answer(annotator, query_id, answer | {"answered_at": self._now()}):
            raise Gone(_REMOVED)

    def _undo_check(self, annotator: str, query_id: str, meant: str | None) -> dict[str, Any]:
        answer = self.index.gold.answered(annotator, query_id)
        if answer is not None:
            _check_meant(meant, SKIP if answer.get("skipped") else answer.get("answer_id"))
            self._in_time(answer["answered_at"])
        elif meant != SKIP:
            raise Conflict("you have no answer to undo")
        item = self.index.gold.items.get(query_id)
        if item is None:
            raise Gone(_REMOVED)
        self.index.gold.take_back(annotator, query_id)
        task = self._task(annotator, as_question(item), None, self.clock() + self.settings.lease_seconds)
        return {"undone": SKIP if answer is None or answer.get("skipped") else "answer", **task}

    def _in_time(self, answered_at: str) -> None:
        age = self.clock() - datetime.fromisoformat(answered_at).timestamp()
        if age > self.settings.undo_seconds:
            raise Conflict("this answer can no longer be undone: its time for that is over")

    def _home(self, annotator: str, query_id: str) -> OpenBatch | None:
        """Return the batch that contains a question, None for a gold check; raise NotFound for anything else.

        The batch may have been closed meanwhile; further answers are then stored as late. Raises Gone if the photo was
        withdrawn, of which the index may not know yet.
        """
        self.index.refresh_if_stale()
        for attempt in range(2):
            home = self.index.batch_of(query_id)
            if home and home.is_for(annotator):
                if question := home.questions.get(query_id):
                    self.check_photo(question)
                return home
            if item := self.index.gold.items.get(query_id):
                self.check_photo(as_question(item))
                return None
            if self.index.is_hidden(annotator, query_id):
                raise Gone(_REMOVED)
            if attempt == 0:
                self.index.look_for(query_id, _STALE_SECONDS)
        raise NotFound("this question is not assigned to you")

    def _reload(self, home: OpenBatch, query_id: str) -> tuple[QuestionVotes, QuestionStatus]:
        return home.reload(self.lake, query_id, self.index.voided)

    def _update(self, home: OpenBatch, folder: QuestionVotes) -> None:
        home.update(folder, self.index.voided)

    def _now(self) -> str:
        return datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="milliseconds")


def _check_meant(meant: str | None, there: str | None) -> None:
    if meant is not None and meant != there:
        raise Conflict("this was changed meanwhile, perhaps in another tab; nothing was undone")


def _is_undone(folder: QuestionVotes, annotator: str, meant: str | None) -> bool:
    """Return whether what is meant was undone, where nothing of the annotator counts. A skip leaves no trace."""
    given = {one.answer_id for one in folder.votes.values() if one.annotator == annotator}
    return meant == SKIP or (meant is not None and meant in given)


def _image(query_id: str) -> str:
    return f"api/queries/{query_id}/image"
