"""Commands that build: ingest, the stages, run, plan, status and rejects."""

import json
import threading
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from hopchain_etl.cli.terminal import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hopchain_etl.lake.lake import Shard
    from hopchain_etl.pipeline.build import Build
    from hopchain_etl.pipeline.explain import StageWork
    from hopchain_etl.pipeline.funnel import Level
    from hopchain_etl.pipeline.shard_errors import ShardErrors
    from hopchain_etl.stages.ingest import IngestResult
    from hopchain_etl.stages.runner import Progress

app = typer.Typer()

Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Intakes = Annotated[str, typer.Option("--intakes", help="new | all | sample:N | names of intakes, separated by commas")]
RetryQuarantined = Annotated[
    bool, typer.Option("--retry-quarantined", help="also run rows again that were given up after several attempts")
]
_SHOWN = 50  # rejects in a table
_STAGES = "ingest | labels | detect | segment | generate | judge | screen"
IntakeName = Annotated[
    str | None, typer.Option("--intake", help="name of the set of new photos; default: the time now")
]


@app.command()
def ingest(intake: IntakeName = None, retry_quarantined: RetryQuarantined = False, json_: Json = False) -> None:
    """Fetch new photos, normalise them, and record each photo or its reject reason."""
    from hopchain_etl.cli.progress import watched
    from hopchain_etl.pipeline.shard_errors import ShardErrors

    build, errors = _build(retry_quarantined=retry_quarantined), ShardErrors()
    with watched() as (progress, stop):
        result = _ingest(build, intake, progress, stop, errors)
    if json_:
        typer.echo(json.dumps({**asdict(result), "shards": list(map(str, result.shards))}))
        errors.raise_any()
        return
    labels = f", of which {result.label_files} are label files" if result.label_files else ""
    Console().print(
        f"intake {result.intake}: {result.new} new of {result.listed} listed{labels}; "
        f"{result.ok} usable, {result.rejected} rejected, {result.failed} failed"
    )
    errors.raise_any()


@app.command()
def run(
    intake: IntakeName = None,
    intakes: Intakes = "new",
    retry_quarantined: RetryQuarantined = False,
    json_: Json = False,
) -> None:
    """Run the whole build: ingest, then run all stages on every shard that needs work.

    A bad shard does not stop the others; it is named at the end, with exit code 1.
    """
    from hopchain_etl.cli.progress import watched
    from hopchain_etl.pipeline.funnel import funnel
    from hopchain_etl.pipeline.shard_errors import ShardErrors

    taking, errors = _build(retry_quarantined=retry_quarantined), ShardErrors()
    with watched() as (progress, stop):
        _ingest(taking, intake, progress, stop, errors)
        build = _build(retry_quarantined=retry_quarantined)
        for shard in build.plan(intakes):
            with errors.of(shard):
                for name in build.steps:
                    build.run(name, shard, progress=progress, stop=stop)
    _show(funnel(build), json_)
    errors.raise_any()


def _stage_command(name: str, help_: str) -> None:
    @app.command(name, help=help_)
    def stage(intakes: Intakes = "new", retry_quarantined: RetryQuarantined = False) -> None:
        from hopchain_etl.cli.progress import watched
        from hopchain_etl.pipeline.shard_errors import ShardErrors

        build, errors = _build(retry_quarantined=retry_quarantined), ShardErrors()
        with watched() as (progress, stop):
            for shard in build.plan(intakes):
                with errors.of(shard):
                    build.run(name, shard, progress=progress, stop=stop)
        errors.raise_any()


_stage_command("detect", "Name the categories of things in each photo.")
_stage_command("segment", "Segment each instance of the categories found by detect.")
_stage_command("generate", "Write multi-hop questions over the instances found by segment, and check each.")
_stage_command("judge", "Let a model decide which questions are not suitable for annotators; needs engines.judge.")
_stage_command(
    "screen", "Let a weaker model answer each question with and without the image. Only with a solver (engines.solver)."
)


@app.command()
def plan(
    intakes: Intakes = "new",
    retry_quarantined: RetryQuarantined = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="say which fingerprints are new and why, what is built again, its cost")
    ] = False,
    json_: Json = False,
) -> None:
    """List the shards that need work under the current fingerprints; runs nothing.

    After a change of a model, a prompt or a version of this package, `hopchain plan --intakes all --explain` says what
    a build of everything would cost.
    """
    build = _build(retry_quarantined=retry_quarantined)
    planned = build.plan(intakes)
    shards = [str(shard) for shard in planned]
    fingerprints = {name: step.fingerprint for name, step in build.steps.items()}
    work = _explained(build, planned) if explain else []
    if json_:
        told = {"shards": shards, "fingerprints": fingerprints}
        typer.echo(json.dumps({**told, "work": [vars(one) for one in work]} if explain else told))
        return
    if explain:
        _show_work(work, len(shards))
        return
    for name, fingerprint in fingerprints.items():
        Console().print(f"{name:9} {fingerprint}")
    Console().print("\n".join(shards) if shards else "nothing to do")


def _explained(build: "Build", planned: "Sequence[Shard]") -> "list[StageWork]":
    from hopchain_etl.pipeline.explain import explain

    return explain(build, planned)


def _show_work(work: "Sequence[StageWork]", planned: int) -> None:
    console = Console(markup=False, highlight=False)
    for one in work:
        since = f" (before: {one.since})" if one.changes else ""
        console.print(f"{one.stage:9} {one.fingerprint}{since}")
        for change in one.changes:
            console.print(plain(f"    {change}"))
    table = Table("stage", "shards to build", "tokens", "basis of the tokens")
    for one in work:
        table.add_row(one.stage, f"{one.shards} of {planned}", f"{one.tokens:,}", one.basis)
    console.print(table)


@app.command()
def status(json_: Json = False) -> None:
    """Show the numbers of rows read, ok, rejected, failed and quarantined at each stage, with reasons."""
    from hopchain_etl.pipeline.funnel import funnel

    _show(funnel(_build()), json_)


@app.command()
def rejects(
    stage: Annotated[str | None, typer.Option(help=f"{_STAGES}; default: all")] = None,
    reason: Annotated[str | None, typer.Option(help="only this reason code")] = None,
    photo: Annotated[str | None, typer.Option(help="only photos with this text in their URI or image_id")] = None,
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="only rows that were given up after several attempts")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="show at most so many; default: 50 in the table, all of them in JSON")
    ] = None,
    json_: Json = False,
) -> None:
    """List rows that were rejected, failed or are quarantined, with stage, reason and detail."""
    from hopchain_etl.pipeline.funnel import rejects_of

    found = rejects_of(_build(), stage=stage, reason=reason, photo=photo, quarantined=quarantined)
    if json_:
        typer.echo(json.dumps(found[:limit]))
        return
    shown = found[: limit or _SHOWN]
    title = f"{len(found)} rejects" + (f", {len(shown)} shown (--limit)" if len(shown) < len(found) else "")
    table = Table("stage", "outcome", "reason", "what", "detail", title=title)
    for row in shown:
        what = (row["uri"] or "").rsplit("/", 1)[-1] or (row["image_id"] or "")[:12]
        table.add_row(row["stage"], row["outcome"], row["reason"], plain(what), plain((row["detail"] or "")[:80]))
    Console(markup=False).print(table)


def _build(*, retry_quarantined: bool = False) -> "Build":
    """Return the build of the settings. Importing it takes seconds, which no help text should wait for."""
    from hopchain_etl.pipeline.build import Build
    from hopchain_etl.settings import Settings

    return Build(Settings(), retry_quarantined=retry_quarantined)


def _ingest(
    build: "Build", intake: str | None, progress: "Progress", stop: threading.Event, errors: "ShardErrors"
) -> "IngestResult":
    """Ingest and return the result; the shards that failed their suite are added to ``errors``."""
    from hopchain_etl.lake.lake import Shard
    from hopchain_etl.quality.validator import QualityError

    name = intake or datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S")
    result = build.ingest(name, progress=progress, stop=stop)
    for shard, message in result.bad.items():
        errors.add(Shard.parse(shard), QualityError(message))
    return result


def _show(levels: "list[Level]", json_: bool) -> None:
    from hopchain_etl.pipeline.funnel import as_json

    if json_:
        typer.echo(json.dumps(as_json(levels)))
        return
    figures = ["read", "ok", "rejected", "failed", "rows"]
    if any(level.quarantined for level in levels):
        figures.insert(4, "quarantined")
    table = Table("stage", "fingerprint", *(Column(name, justify="right") for name in figures))
    why = Table("stage", "reason", Column("rows", justify="right"))
    for level in levels:
        table.add_row(level.stage, level.fingerprint or "", *(str(getattr(level, name)) for name in figures))
        for reason, count in level.reasons.items():
            why.add_row(level.stage, reason, str(count))
    console = Console(markup=False)
    console.print(table)
    if why.row_count:
        console.print(why)
