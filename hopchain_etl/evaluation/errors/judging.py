"""Asks a judge what went wrong first in wrong answers, through the journal and below the token ceiling."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hopchain_etl.engines.base import DiagnoseJob, Diagnoser, Photo
from hopchain_etl.engines.catalog import create
from hopchain_etl.evaluation.answers import EvaluationError
from hopchain_etl.evaluation.errors.kinds import ErrorKind
from hopchain_etl.evaluation.errors.taxonomy import Diagnosis, Key, Verdict
from hopchain_etl.evaluation.run import UnansweredError
from hopchain_etl.hops.describe import describe
from hopchain_etl.hops.query import Hop, QueryError, hop_from_row
from hopchain_etl.lake.journal import Journal
from hopchain_etl.lake.lake import Lake, Shard
from hopchain_etl.settings import Role, Settings
from hopchain_etl.stages.engine_calls import call_engine
from hopchain_etl.stages.token_budget import limited_budget
from hopchain_etl.training_set.dataset import TrainingSet

SHARD = Shard("evaluation", 0)  # of the journal, as that of the answers


def diagnoser_of(settings: Settings) -> Diagnoser:
    """Return the engine of the role ``diagnoser``. Raises EvaluationError if the settings name none."""
    entries = settings.engines.roles.of(Role.DIAGNOSER)
    if not entries:
        raise EvaluationError("nobody judges errors: set HOPCHAIN_ENGINES__DIAGNOSER=vlm and HOPCHAIN_VLM__...")
    made: Diagnoser = create(entries[0], settings)
    return made


@dataclass
class Judged:
    """The judge's verdicts, and on how many wrong answers there is none, for good."""

    verdicts: dict[Key, Verdict] = field(default_factory=dict)
    asked: int = 0
    refused: int = 0  # the request fails each time
    invalid: int = 0  # the reply is not in the judge's schema

    def counts(self) -> dict[str, int]:
        """Return the counts as plain JSON."""
        return {"asked": self.asked, "refused": self.refused, "invalid": self.invalid}


def judged(
    diagnoses: Sequence[Diagnosis], rows: TrainingSet, judge: Diagnoser, lake: Lake, *, token_ceiling: int | None = None
) -> Judged:
    """Return the judge's verdicts on wrong answers; those that the journal of ``lake`` has are not asked for again.

    Raises UnansweredError at the end if some have no reply for reasons that may pass.
    """
    done, missing = Judged(), list[str]()
    with limited_budget(lake, token_ceiling), Journal(lake, SHARD) as journal:
        asked = call_engine(journal, judge.identity, judge.diagnose, diagnoses, lambda one: [_job(one, rows)])
        for one, (reply,) in asked:
            done.asked += 1
            if (said := reply.content) is None:
                done.refused += reply.permanent
                missing += [] if reply.permanent else [reply.error or "no answer"]
            elif "invalid" in said:
                done.invalid += 1
            else:
                done.verdicts[one.key] = Verdict(ErrorKind(said["kind"]), said["hop"], said["reason"])
    if missing:
        raise UnansweredError(
            f"{len(missing)} of {done.asked} verdicts of the judge are missing, for instance because: {missing[0]}; "
            "the others are kept, run the same command again"
        )
    return done


def some_of(diagnoses: Sequence[Diagnosis], count: int | None, seed: int = 0) -> list[Diagnosis]:
    """Return ``count`` of the wrong answers that have a text, drawn at random and in their order; None: all."""
    told = [one for one in diagnoses if one.answer["text"]]
    if count is None or count >= len(told):
        return told
    places = sorted(random.Random(seed).sample(range(len(told)), count))  # noqa: S311 - a sample, not a secret
    return [told[place] for place in places]


def steps(hops: Sequence[Mapping[str, Any]] | None) -> tuple[str, ...]:
    """Return the hops of a released program in words, each with what is read there; empty if there is none."""
    try:
        parsed = [hop_from_row(hop, number) for number, hop in enumerate(hops or (), start=1)]
    except QueryError:
        return ()
    return tuple(_words(hop) for hop in parsed)


def _words(hop: Hop) -> str:
    finds, asks, gets = describe(hop)
    return f"{finds}: {asks} {gets or ''}".strip() if asks else finds


def _job(one: Diagnosis, rows: TrainingSet) -> DiagnoseJob:
    row, answer = rows.by_id(one.key.item_id), one.answer
    hops = row["hops" if one.key.variant == "full" else f"hops_{one.key.variant}"]
    load = partial(rows.images.read, row["image_id"])
    photo = Photo(row["image_id"], rows.images.blob_sha(row["image_id"]), row["width"], row["height"], load)
    return DiagnoseJob(photo, answer["question"], steps(hops), answer["gold"], answer["text"] or "")
