"""Quality figures of a build: rejects by reason, the acceptance of drafts, guessability and difficulty.

Read from the tables under the current fingerprints. A share includes its sample size and, if it estimates a rate, the
Wilson interval.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from fractions import Fraction

from hopchain_etl.hops.calibration import Thresholds, band, score_attempts
from hopchain_etl.hops.checks import count_conditions
from hopchain_etl.hops.consensus import ConsensusRule, Decision, parse_answer, tally_votes
from hopchain_etl.hops.diversity import DiversityLimits, balance, candidate, guessers
from hopchain_etl.hops.grading import parse_number
from hopchain_etl.hops.query import query_from_row
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.funnel import as_json, funnel
from hopchain_etl.reporting.acceptance import acceptance
from hopchain_etl.reporting.build_rows import read_rows
from hopchain_etl.reporting.figures import Row, mix, share


def audit(build: Build) -> Row:
    """Return every quality figure of a build as plain JSON; None for figures that were not measured."""
    queries = list(read_rows(build, "queries", build.lineage))
    candidates = [candidate(row) for row in queries]
    limits = build.settings.diversity
    dropped = balance(
        candidates, DiversityLimits(**limits.model_dump(include=set(DiversityLimits.__dataclass_fields__)))
    )
    kept = [one for one in candidates if one.query_id not in dropped]
    yes, no = count_conditions(map(query_from_row, queries))
    return {
        "lineage": build.lineage,
        "funnel": as_json(funnel(build)),
        "acceptance": acceptance(build, queries),
        "queries": len(queries),
        "images": len({row["image_id"] for row in queries}),
        "unchecked": sum(row["unchecked"] for row in queries) / len(queries) if queries else None,
        "conditions_met": share(yes, yes + no),
        "left_out_for_balance": dict(sorted(Counter(dropped.values()).items())),
        "guessers": vars(guessers((one.template, one.answer) for one in kept)),
        "mix": {
            "hops": mix(str(one.n_hops) for one in kept),
            "capabilities": mix(one.capabilities for one in kept),
            "answers": mix(one.answer for one in kept),
            "largest_template": max(Counter(one.template for one in kept).values(), default=0),
        },
        "screen": _screen(build, {row["query_id"]: Fraction(row["answer"]) for row in queries}),
        "judge": _judge(build),
    }


def _screen(build: Build, answers: dict[str, Fraction]) -> Row | None:
    """Return the accuracy of weaker models with and without the image, against the provisional answers."""
    if "screen" not in build.steps:
        return None
    marks: defaultdict[str, list[bool]] = defaultdict(list)
    attempts: defaultdict[str, list[bool]] = defaultdict(list)
    for row in read_rows(build, "attempts", build.steps["screen"].fingerprint):
        if row["query_id"] not in answers:
            continue
        correct = row["answer"] is not None and parse_number(row["answer"]) == answers[row["query_id"]]
        kind = "seeing" if row["sees_image"] else "blind_held_out" if row["held_out"] else "blind"
        marks[kind].append(correct)
        if row["sees_image"]:
            attempts[row["query_id"]].append(correct)
    calibrate = build.settings.calibrate
    bands = (
        band(score_attempts(correct), Thresholds(calibrate.hard, calibrate.medium)) for correct in attempts.values()
    )
    shares = {kind: share(sum(correct), len(correct)) for kind, correct in sorted(marks.items())}
    return {**shares, "bands": mix(str(one) for one in bands)}


def _judge(build: Build) -> Row | None:
    """Return the judge's verdicts and how often they agree with human decisions."""
    if "judge" not in build.steps:
        return None
    judgements = read_rows(build, "judgements", build.steps["judge"].fingerprint)
    verdicts = {row["query_id"]: row["verdict"] for row in judgements}
    people = _decided(build)
    both = verdicts.keys() & people.keys()
    same = sum((verdicts[query] == "fine") == people[query] for query in both)
    return {"verdicts": mix(verdicts.values()), "agrees_with_people": share(same, len(both))}


def _decided(build: Build) -> dict[str, bool]:
    """Return for each query decided by humans whether it was kept."""
    desk = build.settings.desk
    rule = ConsensusRule(desk.seats, desk.agree)
    given: defaultdict[str, list[Row]] = defaultdict(list)
    for fingerprint in build.lake.fingerprints("answers"):
        for row in read_rows(build, "answers", fingerprint):
            given[row["query_id"]].append(row)
    outcomes = {
        query: tally_votes(((row["annotator"], parse_answer(row["answer"])) for row in rows), rule).decision
        for query, rows in given.items()
    }
    decided = (Decision.KEPT, Decision.DROPPED)
    return {query: outcome is Decision.KEPT for query, outcome in outcomes.items() if outcome in decided}
