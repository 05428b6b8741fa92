"""Agreement of annotators with each other, with the program and with gold checks. Pure functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from hopchain_etl.annotation.votes import Vote
from hopchain_etl.hops.consensus import ConsensusOutcome, ConsensusRule, Decision, parse_answer, tally_votes

REJECT = "reject"  # all rejects count as the same vote, regardless of the reason


def alpha(units: Iterable[Sequence[Hashable]]) -> float | None:
    """Return Krippendorff's alpha for nominal values; a unit contains the value of each rater.

    1 is full agreement, 0 is chance level, below 0 is worse than chance. None if it is not defined: fewer than two
    values that can be compared, or all of them equal. Units with one rater do not count.
    Formula: K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C.
    """
    paired = [unit for unit in units if len(unit) > 1]
    totals = Counter(value for unit in paired for value in unit)
    n = totals.total()
    expected = n * n - sum(count * count for count in totals.values())
    if expected == 0:
        return None
    observed = 0.0
    for unit in paired:
        here = Counter(unit)
        observed += (len(unit) ** 2 - sum(count * count for count in here.values())) / (len(unit) - 1)
    return 1 - (n - 1) * observed / expected


def kappa(pairs: Iterable[tuple[Hashable, Hashable]]) -> float | None:
    """Return Cohen's kappa of two raters who both gave a nominal value to each unit.

    1 is full agreement, 0 is chance level. None if it is not defined: no unit, or both always gave the same value.
    Formula: J. Cohen, "A Coefficient of Agreement for Nominal Scales", Educ. Psychol. Meas. 20 (1960).
    """
    given = list(pairs)
    one, other = Counter(a for a, _ in given), Counter(b for _, b in given)
    n = len(given)
    by_chance = sum(count * other[value] for value, count in one.items())  # times n squared
    if not n or by_chance == n * n:
        return None
    observed = sum(a == b for a, b in given)
    return (observed * n - by_chance) / (n * n - by_chance)


def vote_value(vote: Vote) -> Hashable:
    """Return the value of a vote: a number, or REJECT."""
    number = vote.number
    return REJECT if number is None else number


def measure(
    votes: Mapping[str, Sequence[Vote]],
    rule: ConsensusRule,
    full: Iterable[str],
    programs: Mapping[str, str],
    checks: Iterable[Mapping[str, Any]],
    voided: Iterable[str] = (),
    outcomes: Mapping[str, ConsensusOutcome] | None = None,
) -> dict[str, Any]:
    """Return the statistics of a batch for the lead page (see the keys); shares are None without data.

    ``votes`` contains the valid votes of each question, ``full`` the questions that all seats answer, ``programs`` the
    program's answers, ``checks`` the answers to gold checks, ``outcomes`` those of the questions if they are known.
    Alpha is measured on the first two answers of each question and on the full sample: collection stops at the first
    disagreement, so using all answers would underestimate agreement.
    """
    votes = {query: given for query, given in votes.items() if given}
    outcomes = outcomes or {
        query: tally_votes(((one.annotator, one.number) for one in given), rule) for query, given in votes.items()
    }
    decided = [query for query, outcome in outcomes.items() if outcome.decision is not Decision.OPEN]
    same = [
        query for query in decided if len({vote_value(one) for one in votes[query]}) == 1 and _kept(outcomes[query])
    ]
    kept = [query for query in decided if _kept(outcomes[query]) and query in programs]
    differing = [query for query in kept if outcomes[query].answer != parse_answer(programs[query])]
    first_two = [sorted(given, key=lambda one: one.answered_at)[:2] for given in votes.values()]
    whole = [votes[query] for query in full if len(votes.get(query, ())) == rule.seats]
    return {
        "decided": len(decided),
        "unanimous_share": _share(len(same), len(decided)),
        "alpha_first_two": _rounded(alpha([[vote_value(one) for one in two] for two in first_two])),
        "alpha_full": _rounded(alpha([[vote_value(one) for one in given] for given in whole])),
        "full_queries": len(whole),
        "program_differs_share": _share(len(differing), len(kept)),
        "annotators": _per_annotator(votes, list(checks), set(voided)),
        "reject_reasons": dict(
            Counter(one.reject_reason for one in _all_votes(votes) if one.reject_reason).most_common()
        ),
    }


def _per_annotator(
    votes: Mapping[str, Sequence[Vote]], checks: Sequence[Mapping[str, Any]], voided: set[str]
) -> list[dict[str, Any]]:
    votes_by_annotator: defaultdict[str, list[Vote]] = defaultdict(list)
    compared: Counter[str] = Counter()
    equal: Counter[str] = Counter()
    for given in votes.values():
        values = Counter(map(vote_value, given))
        for one in given:
            votes_by_annotator[one.annotator].append(one)
            compared[one.annotator] += len(given) - 1
            equal[one.annotator] += values[vote_value(one)] - 1
    answered = [check for check in checks if not check.get("skipped")]
    gold = Counter(check["annotator"] for check in answered)
    correct = Counter(check["annotator"] for check in answered if check.get("right"))
    return [
        {
            "annotator": name,
            "answers": len(votes_by_annotator[name]),
            "rejects": sum(one.reject_reason is not None for one in votes_by_annotator[name]),
            "agree_with_rest": _share(equal[name], compared[name]),
            "gold_right": correct[name],
            "gold_asked": gold[name],
            "median_seconds": _median([one.seconds for one in votes_by_annotator[name] if one.seconds is not None]),
            "voided": name in voided,
        }
        for name in sorted(votes_by_annotator.keys() | gold.keys())
    ]


def _all_votes(votes: Mapping[str, Sequence[Vote]]) -> Iterable[Vote]:
    return (one for given in votes.values() for one in given)


def _kept(outcome: Any) -> bool:
    return bool(outcome.decision is Decision.KEPT)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _median(values: Sequence[float]) -> float | None:
    return round(median(values), 1) if values else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
