"""Which objects of the lake hold data of people: the one list that export, erase, README and docs follow.

A new kind of object needs a line here: in ``STORES`` if it holds data of people, else in ``WITHOUT_PEOPLE``. A test
fails for keys that neither has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

_KEY = r"(?P<who>[0-9a-f]{16})"  # votes.annotator_key of a person
_OF_QUESTION = r"[^/]+/[^/]+/"  # batch and query


class Rule(StrEnum):
    """What an erase does with an object about the person."""

    GO = "goes"
    CHOICE = "stays under the new pseudonym, or goes with `--votes drop`"
    RENAME = "stays, with the new pseudonym (in lists of people: nothing) instead of the name"
    COPY = "goes if it names the person, because it only repeats others"
    PLAN = "goes when the erase is finished"


class Form(StrEnum):
    """How an object is read."""

    JSON = "JSON"
    ARCHIVE = "archive of votes"
    TABLE = "table"
    OTHER = "any text"


@dataclass(frozen=True)
class Store:
    """One kind of object. ``prefix`` and ``rest`` (a regular expression) make up its keys.

    A group ``who`` in ``rest`` is the key of the person whom it is about; without one, the field ``about`` names that
    person. ``named`` are fields with who did it. Of an object that stays, ``private`` are the fields that get another
    value, and ``times`` those of which only the day is kept.
    """

    name: str
    prefix: str
    rest: str
    holds: str
    rule: Rule
    about: str = "annotator"
    named: tuple[str, ...] = ()
    private: Mapping[str, Any] = field(default_factory=dict)
    times: tuple[str, ...] = ()
    form: Form = Form.JSON

    @cached_property
    def keys(self) -> re.Pattern[str]:
        """The pattern of its keys."""
        return re.compile(re.escape(self.prefix) + self.rest)

    @property
    def told_by_key(self) -> bool:
        """Whether the key alone says whether an object concerns a person."""
        return "who" in self.keys.groupindex and not self.named


# Of a vote that stays, as an object and as a row of `answers`.
PRIVATE_OF_VOTES = {"comment": None, "unsure": None, "seconds": None, "active_seconds": None, "answer_id": None}

STORES = (
    Store("votes", "votes/", _OF_QUESTION + r"seat-\d+\.\d+\.json", "answers and reject reasons with comment and "
          "times, one for each revision of a seat; `retracted` ones are undone", Rule.CHOICE, private=PRIVATE_OF_VOTES,
          times=("answered_at",)),
    Store("late_answers", "votes/", _OF_QUESTION + r"late-[^/]+\.json", "answers that came too late to count", Rule.GO),
    Store("skips", "votes/", _OF_QUESTION + rf"skip-{_KEY}\.json", "questions that were skipped", Rule.GO),
    Store("leases", "votes/", _OF_QUESTION + r"lease-[^/]+\.json", "which question was open until when", Rule.GO),
    Store("archived_votes", "votes/", r"[^/]+\.parquet", "all of the above of batches that were settled long ago",
          Rule.CHOICE, form=Form.ARCHIVE),
    Store("answers", "answers/", r".*", "rows of the table `answers`: the votes that count", Rule.CHOICE,
          form=Form.TABLE),
    Store("checks", "gold/answers/", rf"{_KEY}/[^/]+\.json", "answers to checks with a known answer, and whether they "
          "are right", Rule.GO),
    Store("comments", "comments/", rf"{_KEY}/[0-9a-f]+/\d+\.[a-z]+\.json", "comments to the lead about a question, and "
          "the lead's answers", Rule.GO, named=("by",)),
    Store("practice_rounds", "practised/", rf"{_KEY}\.json", "that a practice round was finished", Rule.GO),
    Store("practice_answers", "qualification/practice/", rf"{_KEY}/\d+\.json", "whether the first answer to a practice "
          "question was right", Rule.GO),
    Store("qualification", "qualification/events/", rf"{_KEY}\.\d+\.json", "pauses, and which lead let somebody go on "
          "or admitted them", Rule.GO, named=("by",)),
    Store("guidelines_opened", "guidelines/opened/", rf"{_KEY}/\d+\.json", "which version of the guidelines was opened",
          Rule.GO),
    Store("guidelines", "guidelines/versions/", r"\d+\.json", "versions of the guidelines, with who published them",
          Rule.RENAME, about="by"),
    Store("adjudications", "adjudications/", _OF_QUESTION + r"\d+\.json", "what a lead said of a question on which "
          "people disagreed", Rule.RENAME, about="by", private={"comment": None}, times=("at",)),
    Store("assignments", "batches/", r"[^/]+\.assigned\.json", "to whom a batch is assigned", Rule.RENAME,
          about="annotators"),
    Store("closed_batches", "batches/", r"[^/]+\.closed\.json", "which lead closed a batch", Rule.RENAME,
          about="closed_by"),
    Store("batch_details", "batches/", r"[^/]+\.details\.\d+\.json", "title, priority, due date, tags and cap of a "
          "batch, with the lead who set them", Rule.RENAME, about="by", times=("at",)),
    Store("batches", "batches/", r"[^/]+\.json", "which lead made a batch", Rule.RENAME, about="created_by_run"),
    Store("voids", "annotators/", rf"{_KEY}(\.\d+)?\.(voided|finished)\.json", "that answers do not count, why, and "
          "which lead said so", Rule.CHOICE, named=("by",), private={"reason": ""}),
    Store("error_reviews", "reviews/", rf"[^/]+/said/[^/]+/{_KEY}\.json", "what somebody said of a wrong answer of a "
          "model", Rule.CHOICE, about="person", private={"comment": None}, times=("said_at",)),
    Store("error_batches", "reviews/", r"[^/]+/batch\.json", "who made a batch of wrong answers", Rule.RENAME,
          about="created_by"),
    Store("unfinished_erases", "annotators/erasing/", rf"{_KEY}\.json", "what an unfinished erase of a person has "
          "still to do", Rule.PLAN),
    Store("pages", "runs/", r".*\.html", "validation results, with samples of rows that failed", Rule.COPY,
          form=Form.OTHER),
    Store("reports", "reports/", r".*", "reports and exports that the DAG `hopchain_admin` wrote", Rule.COPY,
          form=Form.OTHER),
    Store("proposals", "proposals/", r".*", "a release that waits for approval", Rule.COPY, form=Form.OTHER),
    Store("views", "views/", r".*", "rows derived from other objects", Rule.COPY, form=Form.OTHER),
)  # fmt: skip

# Prefixes of keys that hold no data of annotators and leads, and what they hold.
WITHOUT_PEOPLE = {
    "annotators/erased/": "pseudonyms of erased people, which no name leads to",
    "annotators/pseudonyms.key": "random bytes; see `annotation.pseudonyms`",
    "attempts/": "answers of a weaker model",
    "blobs/": "photos",
    "categories/": "a table about photos",
    "contamination.json": "photos that are in a benchmark",
    "doctor/": "what `hopchain doctor` writes to see whether it may",
    "erasing/": "plans of erases of photos",
    "evaluations/": "answers of models",
    "format.json": "the layout of the lake",
    "gold/images/": "drawn pictures",
    "gold/items/": "questions with known answers",
    "images/": "a table about photos",
    "instances/": "a table about photos",
    "journal/": "answers of models",
    "judgements/": "what a judge model said",
    "labels/": "label files; names of their makers are not read",
    "lineages/": "models, prompts and parameters",
    "locks/": "host and process that hold a lock",
    "manifests/": "markers of tables",
    "migrated/": "which migrations are done",
    "notices/": "which notices were sent",
    "queries/": "a table of questions",
    "runs/": "records of runs; their pages are above",
    "spending/": "tokens of a run",
    "statistics/": "figures of builds",
    "withdrawn/": "photos that were taken back",
}


def store_of(key: str) -> Store | None:
    """Return the kind of object that a key is of; None if it holds no data of people, or is of no known kind."""
    return next((one for one in STORES if one.keys.fullmatch(key)), None)


def is_classified(key: str) -> bool:
    """Return whether it is known if an object holds data of people."""
    return store_of(key) is not None or key.startswith(tuple(WITHOUT_PEOPLE))
