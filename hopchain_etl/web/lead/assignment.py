"""Who may be named as a batch's annotators: people whom the desk knows, and enough of them for the seats."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence, Set

from hopchain_etl.annotation.votes import Vote
from hopchain_etl.lake.lake import Lake
from hopchain_etl.settings import DeskSettings
from hopchain_etl.web.desk.practice import PRACTISED
from hopchain_etl.web.errors import Invalid


def known_people(lake: Lake, settings: DeskSettings) -> set[str]:
    """Return whom the settings name as annotators, and who has finished the practice round."""
    named = {entry.removeprefix("user:") for entry in settings.annotators if entry.startswith("user:")}
    finished = (json.loads(lake.store.get(entry.key)) for entry in lake.store.list_objects(PRACTISED))
    return named | {one["annotator"] for one in finished if "annotator" in one}


def check_names(names: Iterable[str], known: Set[str], voided: Set[str]) -> None:
    """Raise Invalid if a name is unknown or voided."""
    if unknown := sorted(set(names) - known):
        raise Invalid(
            f"not an annotator here: {', '.join(unknown)}; check the spelling. Who is new must finish the practice "
            "round first, or be named in the setting desk.annotators"
        )
    if void := sorted(set(names) & voided):
        raise Invalid(f"the answers of {', '.join(void)} are void: they get no questions")


def check_seats(names: Iterable[str], seats: int, votes: Mapping[str, Sequence[Vote]]) -> None:
    """Raise Invalid if these people, with who has answered already, are too few for a question's seats.

    ``votes``: the valid votes of the questions that are still open.
    """
    people = set(names)
    fewest = min((len(people | {one.annotator for one in given}) for given in votes.values()), default=len(people))
    if fewest < seats:
        raise Invalid(
            f"each question needs {seats} different people, and with this choice some have only {fewest}: "
            "choose more annotators, or all"
        )
