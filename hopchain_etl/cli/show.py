"""Commands for information and sample data: report, audit, samples, decontaminate, settings, estimate."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

if TYPE_CHECKING:
    from hopchain_etl.settings import SettingRow

app = typer.Typer()


@app.command()
def report(
    output: Annotated[Path, typer.Option("--output", "-o", help="the page to write")] = Path("report.html"),
    pictures: Annotated[int, typer.Option(min=1, help="photos in the gallery")] = 24,
) -> None:
    """Write one HTML page about the build: funnel, gallery with a mask per hop, distributions and timings."""
    from hopchain_etl.pipeline.build import Build
    from hopchain_etl.reporting.report import write_report
    from hopchain_etl.settings import Settings

    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(write_report(Build(Settings()), pictures=pictures), encoding="utf-8")
    Console().print(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB); open it in a browser")


@app.command("audit")
def audit_command(json_: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Report the quality figures of the current build: rejects, fate of drafts, balance, guessing, screening, judge.

    See the same figures as plots with `hopchain report`.
    """
    from hopchain_etl.pipeline.build import Build
    from hopchain_etl.reporting.audit import audit
    from hopchain_etl.reporting.figures import as_text as figures_as_text
    from hopchain_etl.settings import Settings

    figures = audit(Build(Settings()))
    if json_:
        typer.echo(json.dumps(figures, sort_keys=True))
        return
    table = Table("figure", "value")
    for name, value in figures_as_text(figures):
        table.add_row(name, value)
    Console(markup=False).print(table)


@app.command()
def samples(
    folder: Annotated[Path, typer.Argument(help="where the images go")],
    count: Annotated[int, typer.Option(min=1, max=1_000)] = 30,
    seed: int = 0,
    json_: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Write sample images: real photos from installed packages, and drawn posters, charts, tables and signs."""
    from hopchain_etl.demo.samples import write_samples

    written = write_samples(folder, count=count, seed=seed)
    if json_:
        typer.echo(json.dumps([vars(sample) for sample in written], default=str))
        return
    table = Table("file", "kind", "from", "licence")
    for sample in written:
        table.add_row(str(sample.name), sample.kind, sample.source, sample.license)
    Console(markup=False).print(table)


@app.command()
def decontaminate(
    benchmark: Annotated[
        str | None, typer.Argument(help="folder or s3://bucket/prefix; default: the one in the settings")
    ] = None,
    json_: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Find a benchmark's images and questions (.txt, one per line) in the lake; later releases exclude them.

    Every release does this for the benchmark in the settings; use this command for others. It finds resized,
    recompressed, slightly cropped and mirrored copies, but not rotated ones or small parts.
    """
    from hopchain_etl.lake.lake import Lake
    from hopchain_etl.release.decontaminate import decontaminate as find_copies
    from hopchain_etl.settings import BenchmarkSettings, Settings

    settings = Settings()
    named = settings.benchmarks.model_dump() | ({"uri": benchmark} if benchmark else {})
    if not named["uri"]:
        raise typer.BadParameter("give a folder or s3://bucket/prefix, or set HOPCHAIN_BENCHMARKS__URI")
    found = find_copies(Lake(settings.lake), BenchmarkSettings.model_validate(named))
    if json_:
        typer.echo(json.dumps(found, sort_keys=True))
        return
    table = Table("photo", "benchmark image", "likeness")
    for image, match in sorted(found["images"].items()):
        table.add_row(image[:12], match["benchmark"], f"{match['likeness']:.3f}")
    Console(markup=False).print(table)
    Console().print(f"{len(found['images'])} photos and {len(found['questions'])} question texts are excluded")


@app.command()
def settings(
    all_: Annotated[bool, typer.Option("--all", help="list the advanced settings too")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="print all settings as Markdown tables")] = False,
) -> None:
    """List the settings that you are likely to need: environment variable, default and meaning."""
    from hopchain_etl.settings import as_markdown, described

    if markdown:
        typer.echo(as_markdown())
        return
    rows = described()
    console = Console(markup=False)
    console.print(_settings_table([row for row in rows if not row.advanced]))
    advanced = [row for row in rows if row.advanced]
    if all_:
        console.print(_settings_table(advanced, "Advanced"))
    else:
        console.print(f"{len(advanced)} advanced settings: hopchain settings --all")


def _settings_table(rows: "list[SettingRow]", title: str | None = None) -> Table:
    width = max(len(row.variable) for row in rows)  # a name that is cut off could not be copied
    table = Table(Column("variable", min_width=width), "default", "meaning", title=title)
    for row in rows:
        table.add_row(row.variable, f"as {row.inherits}" if row.inherits else row.default, row.description)
    return table


@app.command()
def where(
    what: Annotated[str, typer.Argument(help="dags | plugins | expectations")] = "dags",
) -> None:
    """Print the folder of the DAGs (or plugins, expectations) that belong to this version of the package.

    A DAG bundle of Airflow that points there needs no copy: the DAGs are upgraded with the package.
    """
    from hopchain_etl.project_files import project_file

    if what not in ("dags", "plugins", "expectations"):
        raise typer.BadParameter(f"{what!r} is none of dags, plugins, expectations")
    typer.echo(project_file(what))


@app.command("estimate")
def estimate_command(
    images: Annotated[int, typer.Option("--images", "-n", min=1, help="photos to build")] = 1_000,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs that the vision-language model runs on")] = 8,
    runs: Annotated[int, typer.Option(min=1, help="runs, such as nights, that the photos come in")] = 1,
    json_: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Estimate model tokens and GPU hours of a build over this number of photos.

    Stages that have run under the current settings are scaled from their stored statistics; the others use the listed
    assumptions. Run a sample first: hopchain run --intakes sample:3. Where tasks launch their own model servers, the
    launches of all runs are added, for a comparison with a server that stays up.
    """
    from hopchain_etl.pipeline.build import Build
    from hopchain_etl.pipeline.estimate import Assumptions, StageCost, estimate
    from hopchain_etl.pipeline.launches import launch_costs, recorded_launches
    from hopchain_etl.settings import Settings

    build = Build(Settings())
    costs = estimate(build, images, gpus)
    total = StageCost("all", images, sum(c.tokens for c in costs), sum(c.gpu_hours for c in costs), "")
    launches = [
        {**vars(cost), "launches": times, "gpu_hours": times * cost.gpu_seconds / 3_600}
        for cost in launch_costs(build.settings, recorded_launches(build.lake))
        for times in [runs * cost.launches(-(-images // runs // build.settings.ingest.shard_size))]
    ]
    if json_:
        found = {"stages": [vars(cost) for cost in costs], "launches": launches, "assumptions": vars(Assumptions())}
        typer.echo(json.dumps(found))
        return
    table = Table("stage", "inputs", "tokens", "GPU hours", "basis")
    for cost in (*costs, total):
        table.add_row(cost.stage, f"{cost.rows:,}", f"{cost.tokens:,}", f"{cost.gpu_hours:,.1f}", cost.basis)
    Console(markup=False).print(table)
    if launches:
        _print_launches(launches, total.gpu_hours, runs)
    if any(cost.basis == "assumed" for cost in costs):
        typer.echo("assumed: " + ", ".join(f"{name} {value:,}" for name, value in vars(Assumptions()).items()))


def _print_launches(launches: list[dict[str, Any]], work: float, runs: int) -> None:
    """Print what launching costs beside ``work``, the GPU hours of the stages."""
    table = Table("launched in", "model", "launches", "seconds each", "GPUs", "GPU hours", "basis")
    for one in launches:
        figures = f"{one['launches']:,}", f"{one['seconds']:,.0f}", f"{one['gpus']}", f"{one['gpu_hours']:,.1f}"
        table.add_row(one["stage"], one["model"], *figures, one["basis"])
    Console(markup=False).print(table)
    spent = sum(one["gpu_hours"] for one in launches)
    once = {one["model"]: runs * one["gpus"] * one["seconds"] / 3_600 for one in launches}
    share = spent / (spent + work) if spent + work else 0.0
    shared = ", ".join(f"HOPCHAIN_{name.upper()}__ENDPOINT_URL" for name in once)
    typer.echo(
        f"Launching takes {spent:,.1f} GPU hours, {share:.0%} of work and launches together. Servers that all tasks "
        f"share ({shared}), started once a run, would take {sum(once.values()):,.1f}; while one stands idle, it costs "
        "its GPUs."
    )
