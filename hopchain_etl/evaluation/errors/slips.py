"""Which hop went wrong first, where code can tell: the answer is the program's with that one hop perturbed.

Hops are programs, so a wrong answer often gives its cause away: 43 instead of 34 where one hop reads a number, a count
that is off by one. Where several hops explain the same answer, what the model wrote on the way decides between them, if
it is there; where two still explain it about equally, the slip is ``ambiguous``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hopchain_etl.evaluation.errors.kinds import ErrorKind
from hopchain_etl.evaluation.errors.perturb import Cause, causes, words
from hopchain_etl.hops.expression import ExpressionError
from hopchain_etl.hops.grading import parse_number
from hopchain_etl.hops.query import Query, QueryError, query_from_row
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.variants import VARIANTS, variant_from_row

REVISION = 2
EQUAL = 0.7  # the next hop is at least so plausible as the first, in relation: they explain an answer about equally
_LONGEST = 20_000  # characters of a text, from its end, that are read
_UNSAID = 0.05  # how much less plausible each word or number makes a cause that the model does not name on its way


@dataclass(frozen=True)
class Slip:
    """The hop (from 1) that went wrong first and its kind; ``rivals``: hops that explain the answer about as well."""

    hop: int
    kind: ErrorKind
    share: float  # of the plausibility of all explanations
    rivals: tuple[int, ...] = ()

    @property
    def ambiguous(self) -> bool:
        """Whether another hop explains the answer about equally."""
        return bool(self.rivals)


class Slips:
    """The slips of questions of one release; what each wrong answer may come from is computed once a question."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Mapping[Fraction, Sequence[Cause]]] = {}

    def of(
        self, row: Mapping[str, Any], answer: str | None, text: str | None = None, kind: str = "full"
    ) -> Slip | None:
        """Return the slip of one answer to a row's question (``kind``: full, half or single); see ``slip``."""
        number = None if answer is None else parse_number(answer)
        if number is None:
            return None
        key = (row["query_id"], kind)
        if key not in self._known:
            self._known[key] = _causes(row, kind)
        return likeliest_slip(self._known[key].get(number, ()), text, answer)

    def forget(self) -> None:
        """Forget what was computed: for runs over many questions, one after the other."""
        self._known.clear()


def slip(row: Mapping[str, Any], answer: str | None, text: str | None = None, kind: str = "full") -> Slip | None:
    """Return which hop of a released row explains a wrong answer; None if none does, or the row has no program.

    ``row``: of schemas.TRAINING_ROWS. ``answer``: what the model declared. ``text``: all that it wrote, if it is known.
    """
    return Slips().of(row, answer, text, kind)


def likeliest_slip(explained_by: Sequence[Cause], text: str | None = None, answer: str | None = None) -> Slip | None:
    """Return the most plausible of the causes of one answer; None if there are none."""
    on_the_way = _told(explained_by, text, answer)
    hops: defaultdict[int, float] = defaultdict(float)
    kinds: defaultdict[tuple[int, ErrorKind], float] = defaultdict(float)
    for cause in explained_by:
        weight = cause.weight * _UNSAID ** _unsaid(cause.marks, on_the_way)
        hops[cause.hop] += weight
        kinds[cause.hop, cause.kind] += weight
    if not hops:
        return None
    first, *others = sorted(hops, key=lambda hop: (-hops[hop], hop))
    rivals = tuple(hop for hop in others if hops[hop] >= EQUAL * hops[first])
    kind = max((kind for hop, kind in kinds if hop == first), key=lambda kind: kinds[first, kind])
    return Slip(first, kind, hops[first] / sum(hops.values()), rivals)


def _causes(row: Mapping[str, Any], kind: str) -> Mapping[Fraction, Sequence[Cause]]:
    query = _query(row, kind)
    if query is None or not query.values:
        return {}
    try:
        return causes(query, Scene.from_rows(row["instances"], row["width"], row["height"]))
    except ExpressionError:
        return {}


def _query(row: Mapping[str, Any], kind: str) -> Query | None:
    """Return the program of a row or of one of its variants; None if it has none, or people gave another answer."""
    try:
        if kind in VARIANTS:
            return variant_from_row(kind, row)
        return query_from_row(row) if row.get("program_agrees", True) is not False else None
    except QueryError:
        return None


def _told(explained_by: Sequence[Cause], text: str | None, answer: str | None) -> list[str]:
    """Return the words and numbers of a text that any of the causes would make one see, in their order.

    Where a text states the answer last is left out: that is no step, and would speak for each cause that sees the same
    number somewhere.
    """
    if not text or len({cause.hop for cause in explained_by}) < 2:
        return []
    known = frozenset(mark for cause in explained_by for mark in cause.marks)
    said, stated = words(text[-_LONGEST:]), words(answer or "")
    ends = (end for end in range(len(said), 0, -1) if stated and said[max(0, end - len(stated)) : end] == stated)
    if end := next(ends, None):
        said = said[: end - len(stated)] + said[end:]
    return [word for word in said if word in known]


def _unsaid(marks: Sequence[str], told: Sequence[str]) -> int:
    """Return how many marks are not in a text in the order in which they would be seen (longest common subsequence)."""
    if not told:
        return 0
    row = [0] * (len(told) + 1)
    for mark in marks:
        before = 0
        for place, word in enumerate(told, start=1):
            before, row[place] = row[place], before + 1 if word == mark else max(row[place], row[place - 1])
    return len(marks) - row[-1]
