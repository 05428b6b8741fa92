"""For a release: drops queries that repeat others, and limits how many have one template or answer.

Pure and deterministic: the same queries and limits give the same choice, in any input order.
"""

from __future__ import annotations

import hashlib
import re
import sys
from array import array
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CONSTANT = re.compile(r'"[^"]*"|(?<![h\d.])\d+(?:\.\d+)?')
RARE = 5  # queries with one value that a cap always keeps: shares of so few mean nothing
# What ``balance`` returns are places in this list.
REASONS = ("", "near_duplicate", "too_frequent_template", "too_frequent_capabilities", "too_frequent_n_hops",
           "too_frequent_answer")  # fmt: skip
_CAPPED = ("template", "capabilities", "n_hops", "answer")

Mask = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class DiversityLimits:
    """Largest share that one value may have in a set; 1 means no limit. For ``near`` see ``balance``."""

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
    """The properties of a query that the selection needs."""

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


class Profiles:
    """The profiles of many queries in columns of hashes: about 100 bytes each, because a whole set is in memory.

    Texts are kept once for each different value of ``answer`` and ``capabilities``, not for each query.
    """

    def __init__(self) -> None:
        self._columns = {name: array("Q") for name in ("rank", "image", *_CAPPED)}
        self._signatures = array("Q")
        self._ends = array("q", [0])
        self._texts: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, one: QueryProfile) -> None:
        """Append a profile; its place is the number of those before it."""
        answer, capabilities = self._coded(one.answer), self._coded(one.capabilities)
        values = (_number(one.query_id), _number(one.image_id), _number(one.template), capabilities, one.n_hops, answer)
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)
        self._signatures.extend(one.hop_signatures)
        self._ends.append(len(self._signatures))

    def _coded(self, text: str) -> int:
        number = _number(text)
        self._texts.setdefault(number, text)
        return number

    def column(self, name: str) -> NDArray[np.uint64]:
        """Return the hashes of ``rank``, ``image``, ``template``, ``capabilities`` or ``answer``, or ``n_hops``."""
        return np.frombuffer(self._columns[name], np.uint64) if len(self) else np.empty(0, np.uint64)

    def counts(self, name: str, among: Mask) -> Counter[str]:
        """Return how often each ``answer``, each set of ``capabilities`` or each ``n_hops`` occurs."""
        values, counts = np.unique(self.column(name)[among], return_counts=True)
        names = [str(value) if name == "n_hops" else self._texts[int(value)] for value in values]
        return Counter(dict(zip(names, counts.tolist(), strict=True)))

    def guesses(self, among: Mask) -> Iterator[tuple[int, str]]:
        """Yield template and answer of each query, for ``guessers``."""
        for template, answer in zip(self.column("template")[among], self.column("answer")[among], strict=True):
            yield int(template), self._texts[int(answer)]

    def signatures(self, place: int) -> frozenset[int]:
        """Return the signatures of the hops of one query."""
        return frozenset(self._signatures[self._ends[place] : self._ends[place + 1]])


def balance(profiles: Profiles, limits: DiversityLimits = DiversityLimits(), among: Mask | None = None) -> Places:
    """Return for each query the place in REASONS why it is left out, 0 for those that stay: they meet all limits.

    Two queries on one image are near-duplicates if the Jaccard similarity of their hop sets (target, category, reading)
    is above ``near``, regardless of wording. Among queries with a too frequent value, a hash of the id decides which
    stay, so that no kind of photo is preferred. A value with up to RARE queries is never too frequent. Queries that are
    not ``among`` those to choose from count for nothing.
    """
    reasons = np.zeros(len(profiles), np.int64)
    rank = profiles.column("rank")
    kept = np.argsort(rank, kind="stable")
    if among is not None:
        kept = kept[among[kept]]
    near = _near_duplicates(profiles, kept, limits.near)
    reasons[near] = REASONS.index("near_duplicate")
    kept = kept[reasons[kept] == 0]
    codes = {name: np.unique(profiles.column(name), return_inverse=True)[1] for name in _CAPPED}
    size = len(kept) + 1
    while len(kept) < size:  # removing queries for one cap can raise another value's share above its cap
        size = len(kept)
        for name in _CAPPED:
            stays = _within_cap(codes[name][kept], getattr(limits, name))
            reasons[kept[~stays]] = REASONS.index(f"too_frequent_{name}")
            kept = kept[stays]
    return reasons


def _near_duplicates(profiles: Profiles, ranked: Places, near: float) -> list[int]:
    """Return the places of queries about an image that overlap too much with an earlier query on the same image."""
    if near >= 1 or not len(ranked):
        return []
    images = profiles.column("image")[ranked]
    together = np.argsort(images, kind="stable")
    starts = np.flatnonzero(np.diff(images[together])) + 1
    found: list[int] = []
    for group in np.split(ranked[together], starts):
        earlier: list[frozenset[int]] = []
        for place in group.tolist() if len(group) > 1 else ():
            hops = profiles.signatures(place)
            if any(len(hops & other) > near * len(hops | other) for other in earlier):
                found.append(place)
            else:
                earlier.append(hops)
    return found


def _within_cap(values: Places, share: float) -> Mask:
    """Return which queries, given in order of rank, stay so that no value has more than ``share`` of them."""
    if share >= 1 or not len(values):
        return np.ones(len(values), np.bool_)
    counts = np.bincount(values)
    size, last = len(values), -1
    while size != last:  # capping values makes the total smaller, which lowers the allowed counts again
        last, allowed = size, max(RARE, int(share * size))
        size = int(np.minimum(counts, allowed).sum())
    together = np.argsort(values, kind="stable")
    earlier = np.empty(len(values), np.int64)  # queries of the same value with a better rank
    earlier[together] = np.arange(len(values)) - (counts.cumsum() - counts)[values[together]]
    return earlier < max(RARE, int(share * size))


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


def guessers(pairs: Iterable[tuple[Hashable, str]]) -> Guessers:
    """Return the accuracy of guessers on (template, answer) pairs.

    They are measured on the same set that they were fitted on, so this is an upper bound. For a
    template with a single query the template guesser gives the most frequent answer of all; otherwise it would always
    be correct there.
    """
    codes: dict[str, int] = {}  # of the different answers
    templates, answers = array("Q"), array("q")
    for template, answer in pairs:
        templates.append(_number(str(template)))
        answers.append(codes.setdefault(answer, len(codes)))
    if not answers:
        return Guessers(0.0, 0.0, 0.0, 0.0, None)
    given, total, names = np.frombuffer(answers, np.int64), len(answers), list(codes)
    counts = np.bincount(given)
    best = min(range(len(names)), key=lambda code: (-counts[code], names[code]))
    top = [int(count) for count in np.sort(counts)[::-1][:10]]
    learned = _learned(np.frombuffer(templates, np.uint64), given, best)
    return Guessers(top[0] / total, max(top[0], learned) / total, sum(top[:3]) / total, sum(top) / total, names[best])


def _learned(templates: NDArray[np.uint64], answers: Places, best: int) -> int:
    """Return how many queries the template guesser gets right; for a template that occurs once it says ``best``."""
    order = np.lexsort((answers, templates))
    templates, answers = templates[order], answers[order]
    new_template = np.flatnonzero(np.append(True, templates[1:] != templates[:-1]))
    new_pair = np.append(True, answers[1:] != answers[:-1])
    new_pair[new_template] = True
    pairs = np.flatnonzero(new_pair)
    most = np.maximum.reduceat(np.diff(np.append(pairs, len(order))), np.searchsorted(pairs, new_template))
    alone = np.diff(np.append(new_template, len(order))) == 1
    return int(most[~alone].sum() + (answers[new_template[alone]] == best).sum())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
