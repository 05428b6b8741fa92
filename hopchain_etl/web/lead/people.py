"""The lead's functions about annotators: who answered how much, and voiding somebody with its effect shown first."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any

from hopchain_etl.annotation import batches, voiding
from hopchain_etl.annotation.settled import settled_batches
from hopchain_etl.hops.consensus import Decision, tally_votes
from hopchain_etl.release.answers_used import releases_with_answers
from hopchain_etl.release.git import RegistryError
from hopchain_etl.settings import Settings
from hopchain_etl.web.errors import Conflict, Invalid
from hopchain_etl.web.lead.assignment import check_names
from hopchain_etl.web.lead.batch_view import BatchView
from hopchain_etl.web.lead.lead import PATIENCE_SECONDS, LeadDesk
from hopchain_etl.web.lead.work import all_work, last_seen

log = logging.getLogger(__name__)

JSON = dict[str, Any]


class People:
    """The annotators of a lake, for leads."""

    def __init__(self, leading: LeadDesk, settings: Settings) -> None:
        self._leading = leading
        self._index = leading.index
        self._lake = leading.lake
        self._settings = settings

    def annotators(self) -> list[JSON]:
        """Return all annotators with their number of answers and whether they are voided.

        These are all whom the desk knows: by an answer, by the practice round or by the settings. ``erased`` ones are
        pseudonyms of people who were erased: their answers count, but nobody works under that name.
        """
        self._index.refresh_shortly(older_than=2, patience=PATIENCE_SECONDS)
        counts: Counter[str] = Counter()
        settled = settled_batches(self._lake)
        for one in settled.values():
            counts.update(one.annotators)
        for name in self._index.open.keys() - settled.keys():
            counts.update(vote.annotator for given in self._leading.show(name).votes.values() for vote in given)
        stones = self._index.voided
        return [
            {
                "annotator": name,
                "answers": counts[name],
                "voided": name in stones,
                "voided_by": stones[name].by if name in stones else None,
                "voided_reason": stones[name].reason if name in stones else None,
                "erased": name in self._index.erased,
            }
            for name in sorted(counts.keys() | stones.keys() | self._index.known.names())
        ]

    def check_names(self, names: list[str] | None) -> None:
        """Raise Invalid if somebody to whom a batch is to be assigned is unknown or voided."""
        if names is not None:
            known = {one["annotator"] for one in self.annotators() if not one["erased"]}
            check_names(names, known, self._index.voided.keys())

    def who_may_answer(self, assigned: Iterable[str] | None) -> set[str]:
        """Return the annotators whose answers count, of those to whom a batch is assigned; None: of all."""
        known = {one["annotator"] for one in self.annotators() if not (one["voided"] or one["erased"])}
        return known if assigned is None else known & set(assigned)

    def waiting(self, name: str) -> JSON:
        """Return why an open batch does not move: how many questions wait, and who has skipped how many of them.

        ``short``, ``only_skips`` and ``beyond_cap`` (see ``open_batch.Waiting``) count only people whom the desk knows.
        ``capped``: who has their share. For a batch that is not open, nothing waits.
        """
        home = self._index.open.get(name)
        if home is None or home.closed:
            return {
                "questions": 0,
                "short": 0,
                "only_skips": 0,
                "beyond_cap": 0,
                "people": 0,
                "skips": [],
                "capped": [],
            }
        known = [one["annotator"] for one in self.annotators() if not (one["voided"] or one["erased"])]
        people = [one for one in known if home.is_for(one)]
        skips = [(one, len(home.skipped(one))) for one in known]
        return {
            **vars(home.waiting(people)),
            "people": len(people),
            "skips": [{"annotator": one, "questions": many} for one, many in skips if many],
            "capped": [one for one in people if home.has_share(one)],
        }

    def effect(self, annotator: str) -> JSON:
        """Return what voiding an annotator changes; changes nothing.

        These are the ``answers`` that count no more, the ``kept`` questions that are not kept without them, the
        ``seats`` that are open again, the ``batches`` with the same figures, and the ``releases`` that contain answers
        to these batches (None if the registry cannot be read).
        """
        found = self._effect(annotator)
        return {**found, "releases": self._releases(found)}

    def void(self, annotator: str, by: str, reason: str) -> JSON:
        """Void an annotator and return the effect (see ``effect``).

        Their answers no longer count, their seats are free, and settled batches are collected again. That is written
        first: whatever is slow or fails while the effect is looked up, the answers do not count. Raises Invalid for a
        name that nobody has.
        """
        if not self._knows(annotator):
            self._index.refresh()
            if not self._knows(annotator):
                raise Invalid(f"not an annotator here: {annotator}; check the spelling. Nobody was voided")
        voiding.begin(self._lake, annotator, by=by, reason=reason)
        found = self._effect(annotator)
        voiding.finish(self._lake)
        self._index.refresh()
        return {**found, "releases": self._releases(found), "voided": True}

    def unvoid(self, annotator: str, by: str) -> JSON:
        """Let a voided annotator's answers count again, and return the batches that are collected again."""
        if annotator not in self._index.voided:
            self._index.refresh()
        if annotator not in self._index.voided:
            raise Conflict(f"{annotator} is not void")
        names = voiding.unvoid(self._lake, annotator, by=by)
        self._index.refresh()
        return {"voided": False, "batches": names}

    def _knows(self, annotator: str) -> bool:
        """Return whether somebody of this name is known, is void, or has ever sent anything."""
        known = self._index.known.names() | self._index.voided.keys()
        return annotator in known or annotator in last_seen(all_work(self._index))

    def _effect(self, annotator: str) -> JSON:
        """Return the effect on the batches, without that on releases; the annotator may already be voided."""
        self._index.refresh(older_than=2)
        others = self._index.voided.keys() - {annotator}
        settled = settled_batches(self._lake)
        names = [name for name, one in settled.items() if annotator in one.annotators]
        names += [name for name in self._index.open if name not in settled]
        changed = []
        for name in sorted(names):
            try:
                effect = _effect_on(self._leading.show(name, others), annotator)
            except batches.UNREADABLE:
                log.exception("batch %s cannot be read; what it loses is not told", name)
                continue
            changed += [effect] if effect["answers"] else []
        totals = {key: sum(one[key] for one in changed) for key in ("answers", "kept", "seats")}
        return {"annotator": annotator, **totals, "batches": changed}

    def _releases(self, effect: JSON) -> list[str] | None:
        names = [one["id"] for one in effect["batches"]]
        if not self._settings.registry.git_url or not names:
            return []
        try:
            return releases_with_answers(self._settings, names)
        except (RegistryError, OSError):
            log.exception("the registry cannot be read")
            return None


def _effect_on(shown: BatchView, annotator: str) -> JSON:
    """Return what a batch loses without an annotator's answers."""
    kept = answers = 0
    for query, given in shown.votes.items():
        without = [(one.annotator, one.number) for one in given if one.annotator != annotator]
        answers += len(given) - len(without)
        if len(without) < len(given) and shown.outcome(query).decision is Decision.KEPT:
            kept += tally_votes(without, shown.rule).decision is not Decision.KEPT
    state = next((kind for kind in ("closed", "decided") if kind in shown.kinds), "open")
    seats = 0 if state == "closed" else answers
    return {"id": shown.batch.id, "state": state, "answers": answers, "kept": kept, "seats": seats}
