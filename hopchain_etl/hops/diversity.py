"""For a release: drops queries that repeat others, and limits how many have one template or answer.

Pure and deterministic: the same queries and limits give the same choice, in any input order.
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
RARE = 5  # queries with one value that a cap always keeps: shares of so few mean nothing


@dataclass(frozen=True)
class DiversityLimits:
    """Largest share that one value may have in a set; 1 means no limit. For ``near`` see ``near_duplicates``."""

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
    """The properties of a query that the selection needs; kept small because a whole set is in memory."""

    query_id: str
    image_id: str
    template: str  # of the program: its hops and its expression without names and constants
    capabilities: str  # what its hops read, such as "count+number"
    n_hops: int
    answer: str
    hop_signatures: frozenset[int]  # a hash per hop of target, category and reading; comparable within one image only


def candidate(row: Mapping[str, Any]) -> QueryProfile:
    """Return the profile of a row of the queries table or of a training set."""
    hops = row["hops"]
    shape = [f"{hop['rel']}{'>' if hop['to'] else ''}{hop['read'] or ''}" for hop in hops]
    reads = sorted({hop["read"] for hop in hops if hop["read"]})
    signatures = (f"{sorted(hop['target'])} {hop['category']} {hop['read']} {hop['arg']}" for hop in hops)
    return QueryProfile(
        row["query_id"],
        row["image_id"],
        sys.intern(_digest(f"{' '.join(shape)} = {_CONSTANT.sub('#', row['expr'])}")),
        sys.intern("+".join(reads)),
        len(hops),
        row["answer"],
        frozenset(map(_number, signatures)),
    )


def balance(candidates: Iterable[QueryProfile], limits: DiversityLimits = DiversityLimits()) -> dict[str, str]:
    """Return the query_ids to leave out, each with its reason; the remaining ones meet all limits.

    Reasons: ``near_duplicate``, then ``too_frequent_template``, ``_capabilities``, ``_n_hops`` and ``_answer``. Among
    queries with a too frequent value, a hash of the id decides which stay, so that no kind of photo is preferred. A
    value with up to RARE queries is never too frequent.
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
    while len(kept) < size:  # removing queries for one cap can raise another value's share above its cap
        size = len(kept)
        for reason, key, share in caps:
            kept, over = _capped(kept, key, share)
            dropped.update(dict.fromkeys((one.query_id for one in over), reason))
    return dropped


def near_duplicates(ranked: Sequence[QueryProfile], near: float) -> list[str]:
    """Return the ids of queries about an image that overlap too much with an earlier query on the same image.

    Two queries are near-duplicates if the Jaccard similarity of their hop sets (target, category, reading) is above
    ``near``, regardless of wording.
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
    """Return kept and removed candidates, so that no value of ``key`` has more than ``share`` of the kept ones."""
    if share >= 1:
        return list(ranked), []
    counts = Counter(map(key, ranked))
    size, last = len(ranked), -1
    while size != last:  # capping values makes the total smaller, which lowers the allowed counts again
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
    """Accuracy of guessers that do not see the image.

    ``constant`` always gives the most frequent answer, ``template`` the most frequent answer of each template with at
    least two queries (and the most frequent of all for the rest); ``top_three`` and ``top_ten`` are the shares of the
    most frequent answers together.
    """

    constant: float
    template: float
    top_three: float
    top_ten: float
    most_frequent: str | None


def guessers(pairs: Iterable[tuple[str, str]]) -> Guessers:
    """Return the accuracy of guessers on (template, answer) pairs.

    They are measured on the same set that they were fitted on, so this is an upper bound. For a
    template with a single query the template guesser gives the most frequent answer of all; otherwise it would always
    be correct there.
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
