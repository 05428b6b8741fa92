"""Commands that show and supply: the report, and sample photos to try things on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hopchain_etl.build import Build
from hopchain_etl.report import write_report
from hopchain_etl.samples import write_samples
from hopchain_etl.settings import Settings, described

app = typer.Typer()


@app.command()
def report(
    output: Annotated[Path, typer.Option("--output", "-o", help="the page to write")] = Path("report.html"),
    pictures: Annotated[int, typer.Option(min=1, help="photos in the gallery")] = 24,
) -> None:
    """Write one HTML page about the build: funnel, gallery with masks hop by hop, mixes and timings."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(write_report(Build(Settings()), pictures=pictures), encoding="utf-8")
    Console().print(f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB); open it in a browser")


@app.command()
def samples(
    folder: Annotated[Path, typer.Argument(help="where the images go")],
    count: Annotated[int, typer.Option(min=1, max=1_000)] = 30,
    seed: int = 0,
    json_: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Write sample images: real photos out of installed packages, and drawn posters, charts, tables and signs."""
    written = write_samples(folder, count=count, seed=seed)
    if json_:
        typer.echo(json.dumps([vars(sample) for sample in written], default=str))
        return
    table = Table("file", "kind", "from", "licence")
    for sample in written:
        table.add_row(str(sample.name), sample.kind, sample.source, sample.license)
    Console(markup=False).print(table)


@app.command()
def settings(markdown: Annotated[bool, typer.Option(help="as the table in the README")] = False) -> None:
    """List every setting with its environment variable, default and meaning."""
    if markdown:
        typer.echo("| variable | default | meaning |\n|---|---|---|")
        for variable, default, meaning in described():
            typer.echo(f"| `{variable}` | {f'`{default}`' if default else ''} | {meaning} |".replace("  ", " "))
        return
    table = Table("variable", "default", "meaning")
    for row in described():
        table.add_row(*row)
    Console(markup=False).print(table)
