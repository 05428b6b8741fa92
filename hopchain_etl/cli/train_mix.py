"""``hopchain train mix``: several training files in one, in phases with exact shares."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from hopchain_etl.training.mix import MixSpec


def mix(
    out: Annotated[Path, typer.Option("--out", "-o", help="folder for train.parquet and mix.json")],
    spec: Annotated[Path | None, typer.Argument(help="mix.toml: [sources] and [[phase]] tables")] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--source", help="name=file.parquet; without mix.toml the sources come one after the other"),
    ] = None,
    interleave: Annotated[bool, typer.Option(help="without mix.toml: all sources in one phase, spread evenly")] = False,
    curriculum: Annotated[bool, typer.Option(help="without mix.toml: easy rows first, by band and difficulty")] = False,
    validation: Annotated[
        Path | None, typer.Option(help="file that is not mixed, but written beside with the same columns")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="of which rows are drawn, and of their order")] = None,
    align: Annotated[bool, typer.Option(help="fill columns that a file lacks with null")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Write one training file out of several, in phases with exact shares of each.

    The files (verl, TRL, EasyR1 or any other Parquet) must have the same columns. The order is the same on every
    machine, so switch the trainer's own shuffling off, for verl with data.shuffle=False.
    """
    from rich.progress import Progress

    from hopchain_etl.training.mix import mix as run

    changes = {"seed": seed, "align": align or None, "validation": validation}
    wanted = _spec(spec, _sources(given or []), interleave, curriculum, changes)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("rows", total=None)
        told = run(wanted, out, lambda rows: progress.advance(task, rows))
    if as_json:
        typer.echo(json.dumps(told, indent=1))
        return
    table = Table("phase", "first row", "rows", "order", "of", title=f"{told['rows']} rows: {out / told['file']}")
    for number, phase in enumerate(told["phases"], 1):
        of = ", ".join(f"{name} {taken['rows']}" for name, taken in phase["sources"].items())
        table.add_row(str(number), str(phase["first"]), str(phase["rows"]), phase["order"], of)
    Console(markup=False).print(table)


def _sources(given: list[str]) -> dict[str, list[Path]]:
    sources: dict[str, list[Path]] = {}
    for one in given:
        name, equals, path = one.partition("=")
        if not (name and equals and path):
            raise ValueError(f"--source {one} is not name=file.parquet")
        sources.setdefault(name, []).append(Path(path))
    return sources


def _spec(
    file: Path | None, sources: dict[str, list[Path]], interleave: bool, curriculum: bool, given: dict[str, Any]
) -> "MixSpec":
    from hopchain_etl.training.mix import MixError, MixSpec

    changes = {name: value for name, value in given.items() if value is not None}
    if file:
        if interleave or curriculum:
            raise MixError("--interleave and --curriculum are for mixes without mix.toml; write them into its phases")
        return MixSpec.read(file, sources=sources, **changes)
    if not sources:
        raise MixError("say what to mix: a mix.toml, or --source name=file.parquet for each source")
    order = {"order": "curriculum" if curriculum else "shuffled"}
    phases = [order] if interleave else [{"shares": {name: 1}, **order} for name in sources]
    return MixSpec.of({"sources": sources, "phases": phases, **changes}, "--source")
