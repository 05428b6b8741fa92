"""Drafts: the questions that authors wrote about one photo, on their way through code, reader and other eyes.

A draft holds the whole question and its variants, each a program of its own that passes the same checks. A variant
that fails is dropped; the question stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from hopchain_etl.engines.base import JSON, AuthorJob, LookJob, Photo, ReadJob, Reply
from hopchain_etl.hops.checks import (
    DRAFT_RULES,
    DRAFT_VARIANT_RULES,
    MENDABLE,
    MIN_INSTANCES,
    RULES,
    VARIANT_RULES,
    Violation,
    by_others,
    check_draft,
)
from hopchain_etl.hops.looks import Look, disagreement, looks
from hopchain_etl.hops.query import Query, QueryError, query_from_row, query_id
from hopchain_etl.hops.round_trip import RoundTripError, run_program, unexecutable_facts
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.variants import VARIANTS, to_row, variant_from_row, variant_violation
from hopchain_etl.hops.verdict import HopVerdict, Verdict
from hopchain_etl.stages.engine_calls import interpret_reply
from hopchain_etl.stages.runner import Accepted, Failed, Outcome, Rejected, Row

WHOLE = "whole"  # the question itself, beside its variants


@dataclass
class Part:
    """The whole question or a variant of a draft, with what code says and what other eyes saw."""

    query: Query
    scene: Scene
    verdicts: tuple[HopVerdict, ...]
    agreed: dict[int, int] = field(default_factory=dict)  # how many looks agreed with the author, by hop

    @cached_property
    def looks(self) -> dict[int, Look]:
        """The look for each open hop, by its number."""
        return looks(self.query, self.verdicts, self.scene)

    @property
    def confirmed_by(self) -> list[JSON]:
        """Who confirmed each hop: code, eyes (all looks agreed) or nobody."""
        rows = []
        for number, verdict in enumerate(self.verdicts, start=1):
            looked = self.agreed.get(number, 0)
            by = "code" if verdict.verdict is Verdict.CONFIRMED else "eyes" if looked else "nobody"
            rows.append({"by": by, "looks": looked})
        return rows

    @property
    def unconfirmed(self) -> float:
        """The share of hops that nobody confirmed."""
        return [one["by"] for one in self.confirmed_by].count("nobody") / max(1, len(self.verdicts))


@dataclass
class Draft:
    """A question as a row of the queries table, and its parts by name: ``whole``, ``half``, ``single``.

    ``saw_photo``: its author's, see ``engines.base.Author``.
    """

    row: Row
    parts: dict[str, Part]
    saw_photo: bool = True

    def drop(self, kind: str) -> Row:
        """Remove a variant and return what its columns held."""
        self.parts.pop(kind, None)
        held = {name: self.row.get(name) for name in to_row(kind, None)}
        self.row.update(to_row(kind, None))
        return held


@dataclass
class Drafts:
    """All drafts of one photo. ``author`` and ``saw_photo`` are of the one who writes now, see ``hand_to``."""

    row: Row  # of images, with its instances
    author: str = ""
    saw_photo: bool = False
    kept: dict[str, Draft] = field(default_factory=dict)  # by query_id
    rejected: list[Rejected] = field(default_factory=list)
    errors: list[Failed] = field(default_factory=list)  # calls that failed
    mendable: dict[tuple[str, ...], list[JSON]] = field(default_factory=dict)  # refused drafts, by combination
    tokens: int = 0
    seconds: float = 0.0  # of model time

    @cached_property
    def scene(self) -> Scene:
        """The scene that the drafts are checked on."""
        return Scene.from_rows(self.row["instances"], self.row["width"], self.row["height"])

    @property
    def usable(self) -> int:
        """How many instances of the photo may be referred to."""
        return sum(one["certain"] for one in self.row["instances"])

    @property
    def has_too_few_instances(self) -> bool:
        """Whether no chain of hops is possible."""
        return self.usable < MIN_INSTANCES

    @property
    def outcome(self) -> Outcome:
        """The outcome of the photo."""
        kept = tuple(draft.row for draft in self.kept.values())
        outcome: Outcome = Rejected("no_chain", "no chain of hops is unambiguous here")
        if self.errors:
            outcome = Failed.of(self.errors, kept, self.rejected)
        elif kept or self.rejected:
            outcome = Accepted(kept, self.rejected)
        elif self.has_too_few_instances:
            outcome = Rejected("too_few_instances", f"{self.usable} certain instances; a chain needs {MIN_INSTANCES}")
        return replace(outcome, tokens=self.tokens, seconds=self.seconds)

    def hand_to(self, author: str, saw_photo: bool) -> Drafts:
        """Take the next replies as those of this author; nobody mends what another wrote."""
        self.author, self.saw_photo, self.mendable = author, saw_photo, {}
        return self

    def write(self, replies: Iterable[Reply[AuthorJob]], *, repaired: bool = False) -> Drafts:
        """Take in an author's replies: drafts that break a rule are rejected, and noted if they can be mended."""
        for reply in replies:
            self._add_cost(reply)
            judged = interpret_reply(reply, lambda content: [self._taken(one, repaired) for one in content["queries"]])
            if isinstance(judged, Failed):
                self.errors.append(judged)
                continue
            for one in [_reject(judged, None, repaired)] if isinstance(judged, Rejected) else judged:
                if isinstance(one, Rejected):
                    self.rejected.append(one)
                elif one.row["query_id"] in self.kept:
                    asked = self.kept[one.row["query_id"]].row["author"]
                    where = "over other instances" if asked == self.author else f"by {asked}"
                    again = Rejected("duplicate_query", f"asked already, {where}")
                    self.rejected.append(_reject(again, one.row, repaired))
                else:
                    self.kept[one.row["query_id"]] = one
        return self

    def repair_jobs(self, photo: Photo) -> list[AuthorJob]:
        """Return a job for each combination with refused drafts that their author may mend."""
        instances = tuple(self.row["instances"])
        return [AuthorJob(photo, instances, at, tuple(refused)) for at, refused in self.mendable.items()]

    def read_jobs(self, photo: Photo) -> list[ReadJob]:
        """Return one job for each question whose author saw the photo, and each of its variants, in their order."""
        instances = tuple(self.row["instances"])
        return [
            ReadJob(photo, part.query.question, instances, unexecutable_facts(part.query, self.scene))
            for _, _, part in self._read_parts()
        ]

    def read(self, replies: Iterable[Reply[ReadJob]]) -> Drafts:
        """Take in the reader's programs: a question that it understands differently is rejected."""
        for (draft, kind, part), reply in zip(list(self._read_parts()), replies, strict=True):
            self._add_cost(reply)
            if draft.row["query_id"] in self.kept:
                self._refuse(draft, kind, interpret_reply(reply, partial(_mismatch, part.query, self.scene)))
        return self

    def look_jobs(self, photo: Photo, samples: int) -> list[LookJob]:
        """Return ``samples`` jobs for each different look at an open hop, in their order."""
        return [
            LookJob(photo, look.question, self._boxes(look), look.choices, sample)
            for look in self._looks()
            for sample in range(samples)
        ]

    def look(self, replies: Iterable[Reply[LookJob]], samples: int) -> Drafts:
        """Take in what other eyes saw: a question of which a look disagrees with its author is rejected."""
        seen: dict[Look, list[Reply[LookJob]]] = {}
        waiting = iter(replies)
        for look in self._looks():
            seen[look] = [next(waiting) for _ in range(samples)]
            for reply in seen[look]:
                self._add_cost(reply)
        for draft, kind, part in list(self._parts()):
            if draft.row["query_id"] not in self.kept:
                continue
            for number, look in part.looks.items():
                found = self._compared(part, number, look, seen[look])
                if found is None:
                    part.agreed[number] = samples
                elif self._refuse(draft, kind, found):
                    break
        return self

    def finish(self, max_unconfirmed: float) -> Drafts:
        """Reject what too few confirmed, and write into each row who confirmed its hops."""
        for draft, kind, part in list(self._parts()):
            share = part.unconfirmed
            if draft.saw_photo and draft.row["query_id"] in self.kept and share > max_unconfirmed:
                detail = f"nobody confirmed {share:.0%} of its hops; at most {max_unconfirmed:.0%} may be unconfirmed"
                self._refuse(draft, kind, Rejected("unconfirmed", detail))
        for draft in self.kept.values():
            whole = draft.parts[WHOLE]
            if not by_others(whole.confirmed_by):
                self._drop_unproven_variants(draft)
            draft.row |= {"confirmed_by": whole.confirmed_by, "unconfirmed": whole.unconfirmed}
        return self

    def _taken(self, draft: JSON, repaired: bool) -> Draft | Rejected:
        """Return ``_judged``; a draft that the checks do not expect costs no other draft of its reply."""
        try:
            return self._judged(draft, repaired)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            return _reject(Rejected("unreadable_query", f"{type(error).__name__}: {error}"), draft, repaired)

    def _judged(self, draft: JSON, repaired: bool) -> Draft | Rejected:
        """Return a draft with its parts, or the rules that it breaks."""
        try:
            query = query_from_row(draft)
        except QueryError as error:
            return _reject(Rejected("unreadable_query", str(error)), draft, repaired)
        checked = check_draft(query, self.scene, DRAFT_RULES if self.saw_photo else RULES)
        if checked.violations:
            self._note(draft, checked.violations, repaired)
            detail = "; ".join(f"{one.reason}: {one.detail}" for one in checked.violations)
            return _reject(Rejected(checked.violations[0].reason, detail), draft, repaired)
        row = {
            **draft,
            "query_id": query_id(self.row["image_id"], query.question),
            "image_id": self.row["image_id"],
            "author": self.author,
            "n_hops": len(query.hops),
            "unchecked": checked.open_share,
            "has_shortcut": checked.has_shortcut,
            "repaired": repaired,
        }
        made = Draft(row, {WHOLE: Part(query, self.scene, checked.verdicts)}, self.saw_photo)
        self._add_variants(made)
        return made

    def _note(self, draft: JSON, violations: list[Violation], repaired: bool) -> None:
        """Note a refused draft as mendable, if all that is wrong with it can be mended and it is the first try."""
        if not repaired and all(one.reason in MENDABLE for one in violations):
            complaints = [f"{one.reason.replace('_', ' ')}: {one.detail}" for one in violations]
            self.mendable.setdefault(tuple(draft["combination"]), []).append({"draft": draft, "complaints": complaints})

    def _add_variants(self, draft: Draft) -> None:
        """Add each variant that passes the checks; what is wrong with another is a reject."""
        rules = DRAFT_VARIANT_RULES if self.saw_photo else VARIANT_RULES
        for kind in VARIANTS:
            if wrong := variant_violation(kind, draft.row, self.scene, rules):
                self._refuse(draft, kind, Rejected(wrong.reason, wrong.detail))
            elif variant := variant_from_row(kind, draft.row):
                draft.parts[kind] = Part(variant, self.scene, check_draft(variant, self.scene, ()).verdicts)

    def _drop_unproven_variants(self, draft: Draft) -> None:
        """Drop the variants that code does not prove, of a question that it does: a row is proven as a whole or not."""
        for kind in VARIANTS:
            if kind in draft.parts and (wrong := variant_violation(kind, draft.row, self.scene)):
                self._refuse(draft, kind, Rejected(wrong.reason, wrong.detail))

    def _refuse(self, draft: Draft, kind: str, found: Rejected | Failed | None) -> bool:
        """Reject a draft, or drop a variant of it; return whether there was something to reject."""
        name = draft.row["query_id"]
        if isinstance(found, Failed):
            self.errors.append(found)
            self.kept.pop(name, None)
        elif found is not None and kind == WHOLE:
            self.kept.pop(name, None)
            self.rejected.append(_reject(found, draft.row, draft.row["repaired"]))
        elif found is not None:
            dropped = {**draft.drop(kind), **({"found": found.payload} if found.payload else {})}
            self.rejected.append(Rejected(f"broken_{kind}", f"{found.reason}: {found.detail}", dropped))
        return found is not None

    def _parts(self) -> Iterator[tuple[Draft, str, Part]]:
        for draft in list(self.kept.values()):
            for kind, part in list(draft.parts.items()):
                yield draft, kind, part

    def _read_parts(self) -> Iterator[tuple[Draft, str, Part]]:
        """Yield the parts that a reader reads: code alone proves the others."""
        return ((draft, kind, part) for draft, kind, part in self._parts() if draft.saw_photo)

    def _looks(self) -> list[Look]:
        """Return every different look that the drafts need; question and variants share many."""
        return list(dict.fromkeys(look for _, _, part in self._parts() for look in part.looks.values()))

    def _boxes(self, look: Look) -> tuple[tuple[str, tuple[float, ...]], ...]:
        return tuple((label, self.scene.get(one).box) for label, one in look.marks)

    def _compared(
        self, part: Part, number: int, look: Look, replies: Iterable[Reply[LookJob]]
    ) -> Rejected | Failed | None:
        """Return a reject if a look does not agree with the author of a hop, Failed if one could not be taken."""

        def compare(content: Mapping[str, Any]) -> str | None:
            return disagreement(look, content, part.query, number, self.scene)

        for reply in replies:
            found = interpret_reply(reply, compare)
            if isinstance(found, Failed):
                return found
            if found is not None:
                detail = found.detail if isinstance(found, Rejected) else found
                payload = {"hop": number, "question": look.question, "answer": reply.content}
                return Rejected("eyes_disagree", f"h{number}: {look.question} {detail}", payload)
        return None

    def _add_cost(self, reply: Reply[Any]) -> None:
        self.tokens += reply.tokens
        self.seconds += reply.seconds


def _reject(found: Rejected, draft: Row | None, repaired: bool) -> Rejected:
    """Return a reject that names its draft (None: an answer without drafts), its try (1 or 2) and what was found."""
    return replace(found, payload={"draft": draft, "try": 1 + repaired, "found": found.payload})


def _mismatch(query: Query, scene: Scene, content: JSON) -> Rejected | None:
    """Return a reject if the reader's program gives another answer than the author's, otherwise None."""
    if content["unclear"]:
        return Rejected("wording_mismatch", f"the reader cannot take it apart: {content['unclear']}", content)
    try:
        answer = run_program(content["hops"], content["expr"], scene, query)
    except RoundTripError as error:
        return Rejected("wording_mismatch", f"the reader's program does not run: {error}", content)
    if answer == query.answer:
        return None
    return Rejected("wording_mismatch", f"the reader gets {answer}, not {query.answer}", content)
