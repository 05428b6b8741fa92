"""Why a photo has no question, in plain words: from its rejects, and from what was seen in it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hopchain_etl.engines.vision.certainty import TEXT, Candidate, uncertainty_reasons
from hopchain_etl.hops.checks import MIN_INSTANCES
from hopchain_etl.hops.nouns import plural
from hopchain_etl.reporting.reasons import OF_DOUBTS, UNCLEAR, because

Row = dict[str, Any]
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
# Figures that help, or which kind of file it is.
_WITH_DETAIL = frozenset({"too_many_pixels", "too_many_bytes", "too_small", "too_elongated", "unsupported_format"})
_MOST = 3  # kinds of thing, or reasons, that a sentence names


@dataclass(frozen=True)
class SeenPhoto:
    """What the tables hold about a photo. ``rejects`` are in the order of the stages.

    ``judged_by_boxes``: whether the segmenter decides by the rules of ``engines.vision.certainty`` what is certain.
    """

    width: int
    height: int
    instances: Sequence[Row]
    rejects: Sequence[Row]
    quality: str | None = None
    judged_by_boxes: bool = False

    @property
    def certain(self) -> list[Row]:
        """The instances that may be referred to."""
        return [one for one in self.instances if one["certain"]]

    @property
    def doubtful(self) -> list[Row]:
        """The other instances."""
        return [one for one in self.instances if not one["certain"]]


def why_not(seen: SeenPhoto, names: Mapping[str, str] | None = None) -> list[str]:
    """Return sentences that say why a photo has no question. ``names`` are those of other photos, by image_id."""
    end = next((row for row in seen.rejects if row["scope"] == "input"), None)
    if end is None or end["reason"] == "nothing_left":
        return list(_refused(seen))
    reason, detail = end["reason"], end["detail"] or ""
    if end["outcome"] != "rejected":
        return [f"An error stopped it: {_shortened(detail)}."]
    if reason == "too_few_instances":
        said = list(_too_few(seen))
    elif reason == "no_chain":
        said = list(_no_chain(seen))
    else:
        said = [_sentence(_plain(end, names or {}))]
    if seen.quality == "low":
        said.append("The photo is blurred or small, so that little in it can be told for sure.")
    return said


def things(rows: Iterable[Row]) -> str:
    """Return instances in words: "five cats, one sofa and two lines of text"; the most frequent first."""
    return _listed([_counted(count, kind) for kind, count in Counter(row["category"] for row in rows).most_common()])


def _plain(end: Row, names: Mapping[str, str]) -> str:
    if end["stage"] == "ingest" and end["reason"] == "duplicate":
        first = names.get(json.loads(end["payload"] or "{}").get("image_id", ""))
        return f"it is the same picture as {first}" if first else because("ingest", "duplicate")
    said = because(end["stage"], end["reason"])
    return f"{said} ({end['detail']})" if end["reason"] in _WITH_DETAIL and end["detail"] else said


def _too_few(seen: SeenPhoto) -> Iterator[str]:
    certain = seen.certain
    if not certain:
        yield f"Nothing in it is certain; a chain needs {_number(MIN_INSTANCES)} things."
    else:
        only = "Only one thing is" if len(certain) == 1 else f"Only {_number(len(certain))} things are"
        yield f"{only} certain ({things(certain)}); a chain needs {_number(MIN_INSTANCES)}."
    yield from _doubts(seen)


def _no_chain(seen: SeenPhoto) -> Iterator[str]:
    kinds = Counter(row["category"] for row in seen.certain)
    several = [kind for kind, count in kinds.items() if count > 1]
    in_doubt = Counter(row["category"] for row in seen.doubtful if row["category"] in several)
    certain = _sentence(things(seen.certain), stop="")
    if not several:
        yield f"Everything that is certain is the only one of its kind ({things(seen.certain)})."
        yield "A chain needs several of one kind: its name alone must not lead to a thing."
    elif in_doubt:
        more = _listed([f"{_number(count)} more {_noun(count, kind)}" for kind, count in in_doubt.most_common()])
        yield f"{certain} are certain, but {more} {'is' if in_doubt.total() == 1 else 'are'} in doubt."
        yield "So neither how many there are nor which of them is next to another can be told for sure."
    else:
        yield f"{certain} are certain, but no chain leads from one to the next without doubt."
        yield "It needs several of one kind, of which one is clearly the nearest, the largest or the next on a side."
    yield from _doubts(seen)


def _doubts(seen: SeenPhoto) -> Iterator[str]:
    """Yield one sentence that tells what is in doubt and, where that is known, why."""
    doubtful = seen.doubtful
    if not doubtful:
        return
    if not seen.judged_by_boxes:
        yield f"In doubt: {things(doubtful)}."
        return
    found = [
        Candidate(row["category"], row["score"], (box[0], box[1], box[2], box[3]), row["text"])
        for row in seen.instances
        for box in [row["box"]]
    ]
    reasons = uncertainty_reasons(found, seen.width, seen.height)
    whys: dict[str, Counter[str]] = {}
    for row, reason in zip(seen.instances, reasons, strict=True):
        if not row["certain"]:
            whys.setdefault(row["category"], Counter())[reason or ""] += 1
    by_number = sorted(whys.items(), key=lambda pair: -pair[1].total())
    told = [f"{_counted(count.total(), kind)} ({_causes(count)})" for kind, count in by_number[:_MOST]]
    others = sum(count.total() for _, count in by_number[_MOST:])
    yield f"In doubt: {'; '.join(told + ([f'and {_number(others)} more'] if others else []))}."


def _causes(causes: Counter[str]) -> str:
    """Return reasons in words, with their numbers where there are several."""
    told = [(OF_DOUBTS.get(reason, UNCLEAR), count) for reason, count in causes.most_common()]
    return told[0][0] if len(told) == 1 else ", ".join(f"{_number(count)} {cause}" for cause, count in told)


def _refused(seen: SeenPhoto) -> Iterator[str]:
    """Yield why every question that was written about a photo was refused."""
    drafts = [row for row in seen.rejects if row["stage"] in ("generate", "judge", "screen")]
    drafts = [row for row in drafts if row["reason"] != "nothing_left" and not row["reason"].startswith("broken_")]
    if not drafts:
        yield "Its stages were not finished; the log says why."
        return
    were = "was" if len(drafts) == 1 else "were"
    yield f"{_sentence(_counted(len(drafts), 'question'), stop='')} about it {were} written and refused."
    for said, count in Counter(because(row["stage"], row["reason"]) for row in drafts).most_common(_MOST):
        yield f"{_sentence(_number(count), stop='')} because {said}."


def _counted(count: int, kind: str) -> str:
    return f"{_number(count)} {_noun(count, kind)}"


def _noun(count: int, kind: str) -> str:
    if kind == TEXT:
        return "line of text" if count == 1 else "lines of text"
    return kind if count == 1 else plural(kind)


def _number(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else f"{count:,}"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _sentence(text: str, stop: str = ".") -> str:
    return f"{text[:1].upper()}{text[1:]}{stop}"


def _shortened(detail: str) -> str:
    return detail if len(detail) <= 300 else f"{detail[:300]} ..."
