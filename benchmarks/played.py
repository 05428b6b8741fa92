"""Do real questions get through? What a competent author wrote about six photos, and what honest eyes make of it.

    python -m benchmarks.played

The corpus (``tests/data/played``) holds hand-drawn masks and thirty questions with a judgement by eye, and four that
must not be kept. Each draft goes through code and then through looks that scripted honest eyes answer. Every question
kept by code is then spoiled: another target at each hop, one more and one less of each count, another colour. A
combination is chainable if a search finds a chain over it that the rules accept. The last line is JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from hopchain_etl.engines.base import Photo
from hopchain_etl.hops.chain_search import chainable
from hopchain_etl.hops.colours import COLOURS
from hopchain_etl.hops.combinations import combinations
from hopchain_etl.hops.context import build_context
from hopchain_etl.hops.instance import parse_phrase
from hopchain_etl.hops.query import Query, Read, query_from_row
from hopchain_etl.hops.scene import Scene
from hopchain_etl.hops.verdict import Verdict
from hopchain_etl.stages.drafts import Drafts
from support.played import CANNOT_TELL, PHOTOS, HonestEyes, Played, PlayedPhoto, bad, load

LOOKS = 2
COMBINATIONS = 5  # a photo


def judged(photo: PlayedPhoto, asked: Played) -> tuple[Drafts, Drafts]:
    """Return a question after code alone, and after honest eyes."""
    blind = [hop for name, number, hop in CANNOT_TELL if (name, number) == (asked.photo, asked.number)]
    by_code, by_eyes = photo.drafts(asked.draft), photo.drafts(asked.draft)
    eyes, truth = HonestEyes(), query_from_row(asked.draft)
    for draft in by_eyes.kept.values():
        eyes.know(truth, draft, photo.scene, blind)
    return by_code, seen(by_eyes, eyes)


def seen(drafts: Drafts, eyes: HonestEyes) -> Drafts:
    """Return drafts after the looks of ``eyes``; nothing may stay unconfirmed."""
    jobs = drafts.look_jobs(_photo(drafts), LOOKS)
    return drafts.look(list(eyes.look(jobs)), LOOKS).finish(0.0)


def _photo(drafts: Drafts) -> Photo:
    row = drafts.row
    return Photo(row["image_id"], row["image_id"], row["width"], row["height"], bytes)


def spoiled(query: Query, scene: Scene) -> Iterator[tuple[str, int, Query]]:
    """Yield a question with one hop changed: what was changed, the hop's number, and the question."""
    for number, hop in query.numbered():
        if hop.referent:
            noun = parse_phrase(hop.category)[1] if scene.knows(hop.category) else scene.get(hop.referent).category
            for other, _ in scene.matching(noun):
                if other.id != hop.referent:
                    yield "target", number, _with(query, number, target=(other.id,))
        if hop.read is Read.COUNT and isinstance(hop.value, Fraction):
            for value in (hop.value - 1, hop.value + 1):
                yield "count", number, _with(query, number, value=value)
        if hop.read is Read.COLOUR:
            for colour in COLOURS:
                if colour != hop.value:
                    yield "colour", number, _with(query, number, value=colour)


def _with(query: Query, number: int, **changes: object) -> Query:
    hops = list(query.hops)
    hops[number - 1] = replace(hops[number - 1], **changes)  # type: ignore[arg-type]
    return replace(query, hops=tuple(hops))


def swaps(query: Query, scene: Scene) -> Counter[tuple[str, bool, str]]:
    """Return how many spoiled hops got each verdict: by what was spoiled and whether code confirmed the right one."""
    found: Counter[tuple[str, bool, str]] = Counter()
    right = build_context(query, scene).verdicts
    for what, number, wrong in spoiled(query, scene):
        verdict = build_context(wrong, scene).verdicts[number - 1]
        part = "target" if what == "target" else "reading"
        before, after = (getattr(one, part).verdict for one in (right[number - 1], verdict))
        found[what, before is Verdict.CONFIRMED, after.value] += 1
    return found


def main() -> None:
    figures: Counter[str] = Counter()
    found: Counter[tuple[str, bool, str]] = Counter()
    for name in PHOTOS:
        photo = load(name)
        for asked in photo.questions:
            by_code, by_eyes = judged(photo, asked)
            figures["asked"] += 1
            figures["kept_by_code"] += bool(by_code.kept)
            figures["kept"] += bool(by_eyes.kept)
            figures["wrong_kept"] += bool(by_eyes.kept) and not asked.right
            figures["ambiguous_kept"] += bool(by_eyes.kept) and asked.ambiguous is not None
            reasons = ", ".join(one.reason for one in by_eyes.rejected) or "kept"
            print(f"{name:10} {asked.draft['expr']:50} {reasons}")
            if by_code.kept:
                found += swaps(query_from_row(asked.draft), photo.scene)
        drawn = combinations(photo.scene, COMBINATIONS)
        figures["combinations"] += len(drawn)
        figures["chainable"] += sum(chainable(photo.scene, one) for one in drawn)
    for photo, draft, part in bad():
        drafts = seen(photo.drafts(draft), HonestEyes())
        refused = all(part not in kept.parts for kept in drafts.kept.values())
        figures["bad"] += 1
        figures["bad_refused"] += refused
        print(f"bad        {draft['expr']:50} {drafts.rejected[0].reason if drafts.rejected else 'kept'}")
    for (what, executable, verdict), count in sorted(found.items()):
        before = "code confirmed the right one" if executable else "open before"
        print(f"spoiled {what:7} {before:30} {verdict:14} {count}")
    executable = sum(count for (_, sure, _), count in found.items() if sure)
    refused = sum(count for (_, sure, verdict), count in found.items() if sure and verdict == "contradicted")
    confirmed = sum(count for (_, _, verdict), count in found.items() if verdict == "confirmed")
    figures_of_all = {**figures, "chainable": round(figures["chainable"] / figures["combinations"], 3)}
    print(json.dumps({**figures_of_all, "swaps_refused": round(refused / executable, 3), "swaps_confirmed": confirmed}))


if __name__ == "__main__":
    main()
