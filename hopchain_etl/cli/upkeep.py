"""``hopchain`` commands for the upkeep of a lake: migrate, repair."""

import json
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer()


@app.command()
def migrate(as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of lines")] = False) -> None:
    """Bring a lake that an earlier version wrote into today's form. Run it once after an upgrade, while nothing builds.

    It can be stopped and run again at any time, and does nothing where nothing is left to do.
    """
    from rich.progress import Progress

    from hopchain_etl.lake.lake import Lake
    from hopchain_etl.lake.migrate_journal import migrate_journal
    from hopchain_etl.lake.migrate_votes import migrate_votes
    from hopchain_etl.settings import Settings

    lake, counts = Lake(Settings().lake), dict[str, int]()
    with Progress(console=Console(stderr=True)) as bars:
        for migration in (migrate_journal, migrate_votes):
            bar = bars.add_task(migration.__name__, total=None)

            def report(name: str, done: int, of: int | None, bar: int = bar) -> None:
                bars.update(bar, description=name, completed=done, total=of)  # type: ignore[arg-type]

            counts |= migration(lake, report)
    if as_json:
        typer.echo(json.dumps(counts, indent=1))
        return
    for counted, number in counts.items():
        typer.echo(f"{counted}: {number}")


@app.command()
def repair(as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of lines")] = False) -> None:
    """Write the manifests and indexes of the lake anew, from what they are made of.

    Only needed when they were damaged, or when markers were changed by hand; it reads every marker. It can be stopped
    and run again at any time.
    """
    from rich.progress import Progress

    from hopchain_etl.lake.lake import Lake
    from hopchain_etl.settings import Settings

    lake = Lake(Settings().lake)
    tables = lake.tables()
    counts = {}
    with Progress(console=Console(stderr=True)) as bars:
        for table, fingerprint in bars.track(tables, description="manifests"):
            counts[f"{table}/{fingerprint}" if fingerprint else table] = lake.manifest(table, fingerprint).rebuild()
    lake.drop_views()
    if as_json:
        typer.echo(json.dumps(counts, indent=1))
        return
    for place, number in counts.items():
        typer.echo(f"{place}: {number} complete shards")
