"""Who may be named as a batch's annotators: people whom the desk knows, and enough of them for the seats."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set

from hopchain_etl.annotation.batch_details import BatchDetails
from hopchain_etl.annotation.votes import Vote
from hopchain_etl.web.errors import Invalid
from hopchain_etl.web.lead.batch_view import BatchView


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


def check_cap(details: BatchDetails, people: Iterable[str], shown: BatchView) -> None:
    """Raise Invalid if these people, each up to the cap, cannot fill the free seats of a batch's open questions."""
    if details.cap is None:
        return
    given = Counter(vote.annotator for votes in shown.votes.values() for vote in votes)
    left = {query: {one.annotator for one in shown.votes[query]} for query in shown.open_queries()}
    needed = sum(shown.batch.seats - len(taken) for taken in left.values())
    could = {who: sum(who not in taken for taken in left.values()) for who in people}
    questions = len(shown.batch.query_ids)

    def seats(limit: int) -> int:
        return sum(min(most, max(0, limit - given[who])) for who, most in could.items())

    if seats(details.limit(questions)) >= needed:
        return
    least = next((limit for limit in range(1, questions + 1) if seats(limit) >= needed), None)
    enough = f"at least {math.ceil(100 * least / questions)} %, or more people" if least else "more people, or no cap"
    raise Invalid(
        f"cap: {needed} answers are missing, and {len(could)} people with at most {details.cap:.0%} of the questions "
        f"each can give {seats(details.limit(questions))}: {enough}"
    )
