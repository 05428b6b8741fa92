"""What of many sound queries to keep, so that none repeats another and no answer or template can be guessed.

Pure and deterministic: the same queries and limits give the same choice, in whatever order they come.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_CONSTANT = re.compile(r'"[^"]*"|(?<![h\d.])\d+(?:\.\d+)?')
RARE = 5  # queries of a kind that a cap leaves in any case: shares of a handful say nothing


@dataclass(frozen=True)
class DiversityLimits:
    """Shares of a set that one value may have at most; 1 sets no limit. ``near`` see ``near_duplicates``."""

    answer: float = 0.1
    template: float = 0.25
    capabilities: float = 1.0
    n_hops: float = 1.0
    near: float = 0.75

    def __post_init__(self) -> None:
        for name, share in vars(self).items():
            if not 0 < share <= 1:
                raise ValueError(f"the limit of {name} is a share above 0 and up to 1, not {share}")


@dataclass(frozen=True, slots=True)
class QueryProfile:
    """What the choice needs to know of a query; small, since a whole set of them is held at once."""

    query_id: str
    image_id: str
    template: str  # of the program: its hops and its expression without names and constants
    capabilities: str  # what its hops read, such as "count+number"
    n_hops: int
    answer: str
    hop_signatures: frozenset[int]  # at what it looks, for what: hashes, equal within one image only


def candidate(row: Mapping[str, Any]) -> QueryProfile:
    """Return a row of the queries table, or of a training set, as a candidate."""
    hops = row["hops"]
    shape = [f"{hop['rel']}{'>' if hop['to'] else ''}{hop['read'] or ''}" for hop in hops]
    reads = sorted({hop["read"] for hop in hops if hop["read"]})
    looks = (f"{sorted(hop['target'])} {hop['category']} {hop['read']} {hop['arg']}" for hop in hops)
    return QueryProfile(
        row["query_id"],
        row["image_id"],
        sys.intern(_digest(f"{' '.join(shape)} = {_CONSTANT.sub('#', row['expr'])}")),
        sys.intern("+".join(reads)),
        len(hops),
        row["answer"],
        frozenset(map(_number, looks)),
    )


def balance(candidates: Iterable[QueryProfile], limits: DiversityLimits = DiversityLimits()) -> dict[str, str]:
    """Return the query_ids to leave out, each with its reason; the rest stays within all limits.

    Reasons: ``near_duplicate``, then ``too_frequent_template``, ``_capabilities``, ``_n_hops`` and ``_answer``. Which
    of the queries with a value that is too frequent stay is decided by a hash of their id, so that no kind of photo
    is preferred. A value with up to RARE queries is never too frequent.
    """
    ranked = sorted(candidates, key=lambda one: _digest(one.query_id))
    dropped = dict.fromkeys(near_duplicates(ranked, limits.near), "near_duplicate")
    kept = [one for one in ranked if one.query_id not in dropped]
    caps: list[tuple[str, Callable[[QueryProfile], Any], float]] = [
        ("too_frequent_template", lambda one: one.template, limits.template),
        ("too_frequent_capabilities", lambda one: one.capabilities, limits.capabilities),
        ("too_frequent_n_hops", lambda one: one.n_hops, limits.n_hops),
        ("too_frequent_answer", lambda one: one.answer, limits.answer),
    ]
    size = len(kept) + 1
    while len(kept) < size:  # what one cap takes away may bring another value over its share
        size = len(kept)
        for reason, key, share in caps:
            kept, over = _capped(kept, key, share)
            dropped.update(dict.fromkeys((one.query_id for one in over), reason))
    return dropped


def near_duplicates(ranked: Sequence[QueryProfile], near: float) -> list[str]:
    """Return the ids of queries about an image that look where an earlier one about it looks already.

    Two queries are near-duplicates where the looks that both take are more than the share ``near`` of the looks that
    either takes: the same things, read for the same, however the question is worded.
    """
    if near >= 1:
        return []
    by_image: defaultdict[str, list[frozenset[int]]] = defaultdict(list)
    found = []
    for one in ranked:
        earlier = by_image[one.image_id]
        if any(len(one.hop_signatures & other) > near * len(one.hop_signatures | other) for other in earlier):
            found.append(one.query_id)
        else:
            earlier.append(one.hop_signatures)
    return found


def _capped(
    ranked: Sequence[QueryProfile], key: Callable[[QueryProfile], Any], share: float
) -> tuple[list[QueryProfile], list[QueryProfile]]:
    """Return what stays and what goes, so that no value of ``key`` has more than ``share`` of what stays."""
    if share >= 1:
        return list(ranked), []
    counts = Counter(map(key, ranked))
    size, last = len(ranked), -1
    while size != last:  # every value cut down to its share makes the whole smaller, and the shares with it
        last, allowed = size, max(RARE, int(share * size))
        size = sum(min(count, allowed) for count in counts.values())
    allowed, taken = max(RARE, int(share * size)), Counter[Any]()
    kept: list[QueryProfile] = []
    over: list[QueryProfile] = []
    for one in ranked:
        value = key(one)
        taken[value] += 1
        (kept if taken[value] <= allowed else over).append(one)
    return kept, over


@dataclass(frozen=True)
class Guessers:
    """What share of a set is right for whoever looks at nothing.

    ``constant`` always says the most frequent answer, ``template`` the most frequent answer of each template with at
    least two queries (and the most frequent of all for the rest); ``top_three`` and ``top_ten`` are the shares of the
    most frequent answers together.
    """

    constant: float
    template: float
    top_three: float
    top_ten: float
    most_frequent: str | None


def guessers(pairs: Iterable[tuple[str, str]]) -> Guessers:
    """Return how well guessers do on (template, answer) pairs.

    They are measured on the very set they have learned from, so they are an upper bound: with as many templates as
    queries a template guesser that counted single queries would be right always, which is why it must not.
    """
    by_template: defaultdict[str, Counter[str]] = defaultdict(Counter)
    answers: Counter[str] = Counter()
    for template, answer in pairs:
        by_template[template][answer] += 1
        answers[answer] += 1
    total = answers.total()
    if not total:
        return Guessers(0.0, 0.0, 0.0, 0.0, None)
    best = min(answers, key=lambda answer: (-answers[answer], answer))
    learned = sum(max(one.values()) if one.total() > 1 else one[best] for one in by_template.values())
    top = [count for _, count in answers.most_common(10)]
    return Guessers(top[0] / total, max(top[0], learned) / total, sum(top[:3]) / total, sum(top) / total, best)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
