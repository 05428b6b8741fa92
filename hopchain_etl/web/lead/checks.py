"""The lead's functions about gold checks: how many there are, and adding more."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from hopchain_etl.annotation import batches, practice
from hopchain_etl.annotation.agreement import vote_value
from hopchain_etl.annotation.gold import GoldItem
from hopchain_etl.hops.consensus import parse_answer
from hopchain_etl.hops.query import decimal_text, query_id
from hopchain_etl.lake.lake import LakeError
from hopchain_etl.lake.object_store import MissingObjectError
from hopchain_etl.web.desk.questions import Question
from hopchain_etl.web.errors import Conflict, Invalid
from hopchain_etl.web.lead.lead import LeadDesk

JSON = dict[str, Any]


class Checks:
    """The gold checks of a lake, for leads."""

    def __init__(self, leading: LeadDesk) -> None:
        self._leading = leading
        self._lake = leading.lake
        self._gold = leading.index.gold

    def counts(self) -> JSON:
        """Return the number of gold checks, in total and by source."""
        self._gold.refresh()
        items = self._gold.items.values()
        return {"items": len(items), "sources": dict(Counter(item.source for item in items))}

    def add(self, source: str, limit: int, listed: Sequence[tuple[str, str]]) -> JSON:
        """Add gold checks: from unanimous answers of final batches, from a list, or from drawn pictures."""
        if source == "drawn":
            more = practice.drawn(self._leading.desk.settings.practice + 100)
            items = [self._drawn(one) for one in itertools.islice(more, limit)]
        elif source == "listed":
            self._gold.refresh()
            items = [self._listed(query, answer) for query, answer in listed]
        else:
            items = [_item(one, answer, source) for one, answer in itertools.islice(self._agreed(), limit)]
        added = self._gold.add(items)
        return {"items": len(self._gold.items), "added": added}

    def _agreed(self) -> Iterator[tuple[Question, str]]:
        """Yield questions of final batches with their unanimous answers, except existing checks."""
        for name, kinds in batches.batch_states(self._lake).items():
            if "decided" in kinds:
                try:
                    shown, questions = self._leading.show(name), self._leading.questions_of(name)
                except (LakeError, MissingObjectError):
                    continue  # a batch that cannot be read; the list of batches says so
                for query, given in shown.votes.items():
                    answer = shown.outcome(query).answer
                    unanimous = len({vote_value(one) for one in given}) == 1
                    if answer is not None and unanimous and query in questions and query not in self._gold.items:
                        yield questions[query], decimal_text(answer)

    def _listed(self, query: str, answer: str) -> GoldItem:
        item = _item(self._leading.question(query), answer, "listed")
        held = self._gold.items.get(query)
        if held and parse_answer(held.answer) != parse_answer(answer):
            raise Conflict(
                f"{query} is a check already, with the answer {held.answer}, not {answer}; if that is wrong, let an "
                f"administrator delete gold/items/{query}.json in the lake first"
            )
        return item

    def _drawn(self, one: practice.Drawn) -> GoldItem:
        name = query_id("drawn", one.question)
        key = f"gold/images/{name}.png"
        self._lake.store.put(key, one.png)
        return GoldItem(name, one.question, one.answer, "drawn", one.width, one.height, key)


def _item(question: Question, answer: str, source: str) -> GoldItem:
    if parse_answer(answer) is None:
        raise Invalid(f"answer: {answer!r} is not a plain number")
    place = question.width, question.height, question.blob_key, question.image_id
    return GoldItem(question.query_id, question.text, answer.strip(), source, *place)
