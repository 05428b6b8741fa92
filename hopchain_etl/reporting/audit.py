"""Quality figures of a build: rejects by reason, the acceptance of drafts, guessability and difficulty.

Read from the tables under the current fingerprints, one shard after the other. A share includes its sample size and, if
it estimates a rate, the Wilson interval.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from hopchain_etl.annotation import votes
from hopchain_etl.hops.calibration import Thresholds, band, score_attempts
from hopchain_etl.hops.checks import count_conditions
from hopchain_etl.hops.diversity import REASONS, DiversityLimits, Profiles, balance, candidate, guessers
from hopchain_etl.hops.grading import parse_number
from hopchain_etl.hops.numbers import exact_number
from hopchain_etl.hops.query import query_from_row
from hopchain_etl.lake.lake import Shard
from hopchain_etl.pipeline.build import Build
from hopchain_etl.pipeline.funnel import as_json, funnel
from hopchain_etl.release.human_answers import HumanAnswers, answer_facts
from hopchain_etl.release.query_keys import keys_of
from hopchain_etl.reporting.acceptance import Acceptance
from hopchain_etl.reporting.build_rows import BuildRows
from hopchain_etl.reporting.figures import Row, share


def audit(build: Build) -> Row:
    """Return every quality figure of a build as plain JSON; None for figures that were not measured."""
    rows = BuildRows(build)
    drafts, queries, solver, judge = (
        Acceptance(build, rows),
        _Queries(rows),
        _Screen(build, rows),
        _Judge(build, rows),
    )
    for shard, found in rows.queries():
        drafts.add(shard, found)
        queries.add(shard, found)
        solver.add(shard, found)
        judge.add(shard)
    limits = build.settings.diversity.model_dump(include=set(DiversityLimits.__dataclass_fields__))
    return {
        "lineage": build.lineage,
        "funnel": as_json(funnel(build)),
        "acceptance": drafts.figures(),
        **queries.figures(DiversityLimits(**limits)),
        "screen": solver.figures() if "screen" in build.steps else None,
        "judge": judge.figures() if "judge" in build.steps else None,
    }


class _Queries:
    """Figures of the queries themselves."""

    def __init__(self, rows: BuildRows) -> None:
        self._rows = rows
        self._eyes: Counter[str] = Counter()
        self._profiles = Profiles()
        self._images = self._met = self._unmet = 0
        self._unchecked = 0.0

    def add(self, shard: Shard, rows: Sequence[Row]) -> None:
        """Add the queries of a shard; all queries about a photo are in the same one."""
        for row in rows:
            self._profiles.add(candidate(row))
            self._unchecked += row["unchecked"]
        yes, no = count_conditions(map(query_from_row, rows))
        self._met, self._unmet = self._met + yes, self._unmet + no
        images = sorted({row["image_id"] for row in rows})
        self._images += len(images)
        eyes = self._rows.eyes_by_image(shard, images)
        self._eyes.update(eyes[row["image_id"]] for row in rows)

    def figures(self, limits: DiversityLimits) -> Row:
        """Return the figures; those of the mix are of what the diversity limits would leave."""
        reasons = balance(self._profiles, limits)
        kept, total = reasons == 0, len(self._profiles)
        left_out = Counter(REASONS[place] for place in reasons[~kept].tolist())
        _, of_template = np.unique(self._profiles.column("template")[kept], return_counts=True)
        return {
            "queries": total,
            "images": self._images,
            "seen_by": dict(self._eyes.most_common()),
            "unchecked": self._unchecked / total if total else None,
            "conditions_met": share(self._met, self._met + self._unmet),
            "left_out_for_balance": dict(sorted(left_out.items())),
            "guessers": vars(guessers(self._profiles.guesses(kept))),
            "mix": {
                "hops": dict(self._profiles.counts("n_hops", kept).most_common()),
                "capabilities": dict(self._profiles.counts("capabilities", kept).most_common()),
                "answers": dict(self._profiles.counts("answer", kept).most_common()),
                "largest_template": int(max(of_template, default=0)),
            },
        }


class _Screen:
    """The accuracy of weaker models with and without the image, against the provisional answers."""

    def __init__(self, build: Build, rows: BuildRows) -> None:
        self._rows = rows
        self._thresholds = Thresholds(build.settings.calibrate.hard, build.settings.calibrate.medium)
        self._marks: dict[str, Counter[bool]] = defaultdict(Counter)
        self._bands: Counter[str] = Counter()

    def add(self, shard: Shard, queries: Sequence[Row]) -> None:
        """Add the attempts of a shard, whose queries are ``queries``."""
        attempts: defaultdict[str, list[bool]] = defaultdict(list)
        answers: dict[str, Fraction] = {row["query_id"]: exact_number(row["answer"]) for row in queries}
        for row in self._rows.of("screen", shard):
            if row["query_id"] not in answers:
                continue
            correct = row["answer"] is not None and parse_number(row["answer"]) == answers[row["query_id"]]
            kind = "seeing" if row["sees_image"] else "blind_held_out" if row["held_out"] else "blind"
            self._marks[kind][correct] += 1
            if row["sees_image"]:
                attempts[row["query_id"]].append(correct)
        self._bands.update(str(band(score_attempts(correct), self._thresholds)) for correct in attempts.values())

    def figures(self) -> Row:
        """Return the shares of correct attempts, and the number of queries in each band."""
        shares = {kind: share(correct[True], correct.total()) for kind, correct in sorted(self._marks.items())}
        return {**shares, "bands": dict(self._bands.most_common())}


class _Judge:
    """The judge's verdicts and how often they agree with what people decided, under the rules of their batches."""

    def __init__(self, build: Build, rows: BuildRows) -> None:
        self._rows = rows
        self._verdicts: Counter[str] = Counter()
        self._agrees: Counter[bool] = Counter()
        self._people: HumanAnswers | None = None
        if "judge" in build.steps:
            desk = build.settings.desk
            facts = answer_facts(build.lake, rows.fingerprints("answers"))
            rule = {"consensus": {"seats": desk.seats, "agree": desk.agree}}
            self._people = HumanAnswers(rows, facts | rule, votes.voided(build.lake).__contains__)

    def add(self, shard: Shard) -> None:
        """Add the verdicts of a shard."""
        verdicts = {row["query_id"]: row["verdict"] for row in self._rows.of("judge", shard)}
        self._verdicts.update(verdicts.values())
        answered = self._people.of(keys_of(verdicts)) if self._people else {}
        told = list(verdicts.values())
        for place, found in answered.items():
            kept = found.verdict.answer is not None
            if kept or found.verdict.dropped == "no_consensus":
                self._agrees[(told[place] == "fine") == kept] += 1

    def figures(self) -> Row:
        """Return the number of each verdict, and the share that agrees with people."""
        both = share(self._agrees[True], self._agrees.total())
        return {"verdicts": dict(self._verdicts.most_common()), "agrees_with_people": both}
