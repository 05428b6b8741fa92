"""A build: the current stages with their fingerprints; plans and runs them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property

from hopchain_etl.concurrency import map_threads
from hopchain_etl.engines.factory import Engines, create_engines
from hopchain_etl.lake.lake import Lake, Marker, Shard
from hopchain_etl.lake.object_store import ObjectStore
from hopchain_etl.quality.validator import Validator, make_validator
from hopchain_etl.settings import Settings
from hopchain_etl.stages import detect, generate, judge, screen, segment
from hopchain_etl.stages.ingest import IngestResult, ingest
from hopchain_etl.stages.lineage import Lineage
from hopchain_etl.stages.runner import Progress, Stage, run_shard
from hopchain_etl.stages.token_budget import limited_budget


@dataclass(frozen=True)
class Step:
    """A stage with its current lineage and fingerprint."""

    stage: Stage
    lineage: Lineage

    @property
    def fingerprint(self) -> str:
        """The fingerprint (folder name of its results below its table)."""
        return self.lineage.fingerprint


class Build:
    """Ingest and the stages after it for one set of settings. Cheap to create; models are loaded at first use."""

    def __init__(
        self,
        settings: Settings,
        *,
        lake: Lake | None = None,
        engines: Engines | None = None,
        validate: Validator | None = None,
    ) -> None:
        self.settings = settings
        self.lake = lake or Lake(settings.lake)
        self._engines = engines or create_engines(settings)
        self._validate = validate

    @cached_property
    def steps(self) -> dict[str, Step]:
        """The current stages in order, by name."""
        engines = self._engines
        detector, segmenter, author = engines.detector, engines.segmenter, engines.author
        ask = self.settings.ask
        reviewers = generate.Reviewers(engines.reader, engines.looker, ask.looks, ask.repairs, ask.max_unconfirmed)
        selection = asdict(engines.selection) if engines.selection else {}
        detected = Lineage("detect", detect.REVISION, detector.identity, None, selection)
        segmented = Lineage("segment", segment.REVISION, segmenter.identity, detected.fingerprint)
        writing = generate.Generate(author, segmented.fingerprint, reviewers)
        generated = Lineage("generate", generate.REVISION, author.identity, segmented.fingerprint, writing.params)
        steps = {
            "detect": Step(detect.Detect(detector, engines.selection), detected),
            "segment": Step(segment.Segment(segmenter, detected.fingerprint), segmented),
            "generate": Step(writing, generated),
        }
        return {**steps, **self._filter_steps(generated.fingerprint)}

    def _filter_steps(self, queries: str) -> dict[str, Step]:
        """Return the stages that filter queries before annotation (judge, screen), if there are engines for them."""
        steps: dict[str, Step] = {}
        settings, engines = self.settings, self._engines
        if engines.judge:
            judging = judge.JudgeStage(engines.judge, queries, settings.calibrate.judge_condemns)
            lineage = Lineage("judge", judge.REVISION, engines.judge.identity, queries, judging.params)
            steps["judge"] = Step(judging, lineage)
        if engines.solver:
            chance, alpha = settings.diversity.answer, settings.calibrate.alpha
            trying = screen.Screen(engines.solver, queries, settings.screen, chance, alpha)
            lineage = Lineage("screen", screen.REVISION, engines.solver.identity, queries, trying.params)
            steps["screen"] = Step(trying, lineage)
        return steps

    def ingest(
        self, intake: str, *, progress: Progress | None = None, stop: threading.Event | None = None
    ) -> IngestResult:
        """Take the new photos of the source bucket into the lake as ``intake``, and finish older intakes.

        Returns what became of them. Raises what ``stages.ingest.ingest`` does.
        """
        source, validate = ObjectStore(self.settings.source), self._validate or make_validator(self.settings.quality)
        return ingest(self.lake, source, self.settings.ingest, intake, validate=validate, progress=progress, stop=stop)

    @property
    def lineage(self) -> str:
        """The fingerprint of the current queries table, which covers all upstream stages."""
        return self.steps["generate"].fingerprint

    def run(
        self, name: str, shard: Shard, *, progress: Progress | None = None, stop: threading.Event | None = None
    ) -> Marker:
        """Run stage ``name`` over ``shard`` and return its marker.

        Raises what ``run_shard`` does, EngineDownError if an engine is down, and TokenCeilingError if the run's token
        budget is used up; then the shard is not marked complete and all answers are kept. ValueError if the profile has
        no engine for the stage.
        """
        if name not in self.steps:
            profile = self.settings.engines.profile.value
            raise ValueError(f"profile {profile!r} has no engine for {name!r}; its stages are {', '.join(self.steps)}")
        step = self.steps[name]
        self.lake.put_json(f"lineages/{step.fingerprint}.json", step.lineage.facts)
        validate = self._validate or make_validator(self.settings.quality)
        with limited_budget(self.lake, self.settings.engines.token_ceiling):
            return run_shard(
                step.stage, self.lake, step.fingerprint, shard, validate=validate, progress=progress, stop=stop
            )

    def plan(self, choose: str = "new") -> list[Shard]:
        """Return the shards that must be processed under the current fingerprints.

        ``choose``: ``new`` (never built, or left unfinished or with failed rows under the current fingerprints),
        ``all``, ``sample:N`` (N shards, always the same), or intake names separated by commas.
        """
        everything = self.lake.completed_shards("images")
        has_work = _selector(choose, everything, self)
        return [shard for shard, work in zip(everything, map_threads(has_work, everything), strict=True) if work]

    def needs_work(self, shard: Shard) -> bool:
        """Return whether any stage lacks this shard under the current fingerprints, or has failed or outdated rows."""
        for step in self.steps.values():
            marker = self.lake.marker(step.stage.table, step.fingerprint, shard)
            if marker is None or marker.failed:
                return True
            if marker.inputs != self.lake.inputs_digest(step.stage.sources, shard):
                return True
        return False

    def is_started(self, shard: Shard) -> bool:
        """Return whether the first stage has completed this shard under the current fingerprints."""
        first = self.steps["detect"]
        return self.lake.marker(first.stage.table, first.fingerprint, shard) is not None


def _selector(choose: str, everything: list[Shard], build: Build) -> Callable[[Shard], bool]:
    """Return a predicate for chosen and unfinished shards; raise ValueError if ``choose`` is not valid."""
    if choose == "all":
        return build.needs_work
    if choose == "new":
        built_once = {
            shard
            for fingerprint in build.lake.fingerprints("queries")
            for shard in build.lake.completed_shards("queries", fingerprint)
        }
        return lambda shard: (shard not in built_once or build.is_started(shard)) and build.needs_work(shard)
    if choose.startswith("sample:"):
        size = choose.removeprefix("sample:")
        if not size.isdigit() or int(size) < 1:
            raise ValueError(f"{choose!r}: write sample:N with N at least 1")
        drawn = set(random.Random(0).sample(everything, min(int(size), len(everything))))  # noqa: S311
        return lambda shard: shard in drawn and build.needs_work(shard)
    named = {name.strip() for name in choose.split(",")}
    known = {shard.intake for shard in everything}
    if missing := named - known:
        raise ValueError(f"no intake {sorted(missing)[0]!r}; there are {', '.join(sorted(known)) or 'none yet'}")
    return lambda shard: shard.intake in named and build.needs_work(shard)
