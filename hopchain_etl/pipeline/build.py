"""A build: the current stages with their fingerprints; plans and runs them."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hopchain_etl.engines.base import uses_labels
from hopchain_etl.engines.factory import Engines, create_engines
from hopchain_etl.lake.lake import Lake, Marker, Shard, inputs_digest
from hopchain_etl.lake.lake_format import record_format, require_known_format
from hopchain_etl.lake.migrate_journal import require_migrated_journal
from hopchain_etl.lake.stores import open_store
from hopchain_etl.pipeline.launches import remembered_launches
from hopchain_etl.pipeline.shard_errors import ShardErrors
from hopchain_etl.quality.validator import Validator, make_validator
from hopchain_etl.settings import Settings
from hopchain_etl.stages import detect, generate, judge, labels, screen, segment
from hopchain_etl.stages.lineage import Lineage
from hopchain_etl.stages.resources import ROLES
from hopchain_etl.stages.runner import Progress, Stage, run_shard
from hopchain_etl.stages.token_budget import limited_budget

if TYPE_CHECKING:
    from hopchain_etl.stages.ingest import IngestResult

log = logging.getLogger(__name__)


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
    """Ingest and the stages after it for one set of settings. Cheap to create; models are loaded at first use.

    ``retry_quarantined``: plan and run rows again that were given up, see ``stages.quarantine``.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        lake: Lake | None = None,
        engines: Engines | None = None,
        validate: Validator | None = None,
        retry_quarantined: bool = False,
    ) -> None:
        self.settings = settings
        self.lake = lake or Lake(settings.lake)
        self._engines = engines or create_engines(settings)
        self._validate = validate or make_validator(settings.quality)
        self.retry_quarantined = retry_quarantined

    @cached_property
    def steps(self) -> dict[str, Step]:
        """The current stages in order, by name."""
        engines = self._engines
        detector, segmenter = engines.detector, engines.segmenter
        ask = self.settings.ask
        reviewers = generate.Reviewers(engines.reader, engines.looker, ask.looks, ask.repairs, ask.max_unconfirmed)
        selection = asdict(engines.selection) if engines.selection else {}
        chosen = {**selection, **labels.params_of(detector)}
        detected = Lineage("detect", detect.REVISION, detector.identity, None, chosen)
        cut = labels.params_of(segmenter)
        segmented = Lineage("segment", segment.REVISION, segmenter.identity, detected.fingerprint, cut)
        writing = generate.Generate(engines.authors, segmented.fingerprint, reviewers)
        generated = Lineage("generate", generate.REVISION, writing.identity, segmented.fingerprint, writing.params)
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
        from hopchain_etl.stages.ingest import ingest  # with Pillow and all formats, which only an ingest needs
        from hopchain_etl.stages.label_files import is_label_file

        record_format(self.lake)
        source, validate = open_store(self.settings.source), self._validate
        return ingest(
            *(self.lake, source, self.settings.ingest, intake),
            validate=validate,
            progress=progress,
            stop=stop,
            max_attempts=self.settings.quality.max_attempts,
            retry_quarantined=self.retry_quarantined,
            is_label_file=lambda uri: self.uses_labels and is_label_file(uri, self.settings.labels),
        )

    @property
    def uses_labels(self) -> bool:
        """Whether an engine of this build uses labels that exist already."""
        return uses_labels(self._engines.detector) or uses_labels(self._engines.segmenter)

    def read_labels(self) -> None:
        """Bring the labels table up to date with the label files, if an engine uses them. ``plan`` does this first.

        Raises StoreError if they cannot be listed or read; what is wrong in them becomes rejects.
        """
        if self.uses_labels:
            from hopchain_etl.stages.label_files import read_labels  # with the readers of all formats

            read_labels(self.lake, self.settings.labels, self.settings.source, validate=self._validate)

    @property
    def lineage(self) -> str:
        """The fingerprint of the current queries table, which covers all upstream stages."""
        return self.steps["generate"].fingerprint

    def run(
        self, name: str, shard: Shard, *, progress: Progress | None = None, stop: threading.Event | None = None
    ) -> Marker:
        """Run stage ``name`` over ``shard`` and return its marker.

        Raises what ``run_shard`` does, EngineDownError if an engine is down, and TokenCeilingError if the run's token
        budget is used up; then the shard is not marked complete and all answers are kept. ValueError if no engine was
        chosen for the stage.
        """
        if name not in self.steps:
            profile = self.settings.engines.profile.value
            role = f"; set HOPCHAIN_ENGINES__{ROLES[name][0].upper()}" if name in ROLES else ""
            raise ValueError(
                f"profile {profile!r} has no engine for {name!r}; its stages are {', '.join(self.steps)}{role}"
            )
        step = self.steps[name]
        self.lake.put_json(f"lineages/{step.fingerprint}.json", step.lineage.facts)
        with remembered_launches(self.lake), limited_budget(self.lake, self.settings.engines.token_ceiling):
            return run_shard(
                *(step.stage, self.lake, step.fingerprint, shard),
                validate=self._validate,
                progress=progress,
                stop=stop,
                max_attempts=self.settings.quality.max_attempts,
                retry_quarantined=self.retry_quarantined,
            )

    def run_each(
        self,
        name: str,
        shards: Sequence[Shard],
        *,
        progress: Progress | None = None,
        stop: threading.Event | None = None,
    ) -> int:
        """Run stage ``name`` over one shard after the other; return over how many.

        Shards that the stages above have not completed are left out. An error of one shard does not stop the others:
        ShardsFailedError at the end names all. Raises at once what would stop the others too (``shard_errors.FATAL``).
        """
        errors, ready = ShardErrors(), [shard for shard in shards if self._is_ready(name, shard)]
        for shard in ready:
            with errors.of(shard):
                self.run(name, shard, progress=progress, stop=stop)
        errors.raise_any()
        return len(ready)

    def _is_ready(self, name: str, shard: Shard) -> bool:
        """Return whether all source tables of a stage are complete for a shard."""
        sources = self.steps[name].stage.sources if name in self.steps else ()
        for table, fingerprint in sources:
            if self.lake.marker(table, fingerprint, shard) is None:
                log.warning("%s %s is left out: its %s are not complete", name, shard, table)
                return False
        return True

    def plan(self, choose: str = "new") -> list[Shard]:
        """Return the shards that must be processed under the current fingerprints.

        ``choose``: ``new`` (never built, or left unfinished or with failed rows under the current fingerprints),
        ``all``, ``sample:N`` (N shards, always the same), or intake names separated by commas. Folds the manifests, and
        reads the labels anew where an engine uses them.
        Raises MigrationNeededError if stored answers are not where a build looks for them, and LakeError if a newer
        version of the package wrote the lake.
        """
        require_known_format(self.lake)
        require_migrated_journal(self.lake)
        self.fold_manifests()
        self.read_labels()
        known = _Known(self)
        return [shard for shard in _chosen(choose, known) if known.needs_work(shard)]

    def unfinished(self) -> list[Shard]:
        """Return the shards that a build has begun under the current fingerprints, and where it has work left."""
        known = _Known(self)
        return [shard for shard in known.shards if known.is_started(shard) and known.needs_work(shard)]

    def fold_manifests(self) -> None:
        """Fold what the last runs recorded into the manifests, so that the next readers need few requests."""
        self.lake.manifest("images", None).fold()
        if self.uses_labels:
            self.lake.manifest("labels", labels.FINGERPRINT).fold()
        for step in self.steps.values():
            self.lake.manifest(step.stage.table, step.fingerprint).fold()
        for lineage in self.lake.fingerprints("queries"):  # those of the past are read by ``plan`` too
            self.lake.manifest("queries", lineage).fold()


class _Known:
    """The markers of the photos and of every current stage, read once from the manifests."""

    def __init__(self, build: Build) -> None:
        self._lake, self._retry_quarantined = build.lake, build.retry_quarantined
        self._stages = [step.stage for step in build.steps.values()]
        places = {("images", None), *((step.stage.table, step.fingerprint) for step in build.steps.values())}
        places |= {source for stage in self._stages for source in stage.sources}
        self._markers = {place: build.lake.markers(*place) for place in places}
        self._own = [self._markers[step.stage.table, step.fingerprint] for step in build.steps.values()]
        self.shards = list(self._markers["images", None])

    def needs_work(self, shard: Shard) -> bool:
        """Return whether any stage lacks this shard under the current fingerprints, or has failed or outdated rows.

        Quarantined rows are work only if they are to be tried again.
        """
        for stage, own in zip(self._stages, self._own, strict=True):
            marker = own.get(shard)
            sources = [self._markers[source].get(shard) for source in stage.sources]
            if marker is None or marker.failed or (self._retry_quarantined and marker.quarantined):
                return True
            if marker.inputs != inputs_digest(filter(None, sources)):
                return True
        return False

    def is_started(self, shard: Shard) -> bool:
        """Return whether the first stage has completed this shard under the current fingerprints."""
        return shard in self._own[0]

    def built_once(self) -> set[Shard]:
        """Return the shards whose questions were written under any fingerprint."""
        lineages = self._lake.fingerprints("queries")
        return {shard for lineage in lineages for shard in self._lake.markers("queries", lineage)}


def _chosen(choose: str, known: _Known) -> list[Shard]:
    """Return the chosen shards, in order; raise ValueError if ``choose`` is not valid."""
    everything = known.shards
    if choose == "all":
        return everything
    if choose == "new":
        built = known.built_once()
        return [shard for shard in everything if shard not in built or known.is_started(shard)]
    if choose.startswith("sample:"):
        size = choose.removeprefix("sample:")
        if not size.isdigit() or int(size) < 1:
            raise ValueError(f"{choose!r}: write sample:N with N at least 1")
        return sorted(random.Random(0).sample(everything, min(int(size), len(everything))))  # noqa: S311
    named = {name.strip() for name in choose.split(",")}
    intakes = {shard.intake for shard in everything}
    if missing := named - intakes:
        raise ValueError(f"no intake {sorted(missing)[0]!r}; there are {', '.join(sorted(intakes)) or 'none yet'}")
    return [shard for shard in everything if shard.intake in named]
