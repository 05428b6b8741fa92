"""``hopchain person``: the data of one annotator or lead: its export, and its erase."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="the name of the Airflow user, as the desk shows it")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of lines")]


class VotesChoice(StrEnum):
    """What becomes of the votes of an erased person."""

    KEEP = "keep"
    DROP = "drop"


@app.command()
def export(
    name: Name,
    to: Annotated[Path, typer.Option(help="an empty or new folder to write to")],
    as_json: AsJson = False,
) -> None:
    """Write all that lake and registry hold about a person, as JSON lines and CSV, with a README.md about them."""
    from hopchain_etl.settings import Settings
    from hopchain_etl.takedown.people.export import export_person

    _report(export_person(Settings(), name, to), as_json)


@app.command()
def erase(
    name: Name,
    votes: Annotated[VotesChoice, typer.Option(help="keep: they count on under a new pseudonym; drop: they go")],
    yes: Annotated[bool, typer.Option("--yes", help="erase; without it, only say what is held")] = False,
    as_json: AsJson = False,
) -> None:
    """Take a person out of the lake and the registry; nothing leads back to the name. This cannot be undone.

    Remove the login in Airflow first, and run it while no collect, build or publish is running. Votes that are kept
    lose comments and times, and count on under a new random pseudonym. With `drop` they go as if the person were
    voided: settled batches are computed again, and a release is refused if too many rows are lost. Released versions
    keep their rows, with the new pseudonym: tags and commits are pushed anew by force. If it is cut off, run it again.
    """
    from hopchain_etl.settings import Settings
    from hopchain_etl.takedown.people.command import erase_person, what_erase_changes

    if yes:
        _report(erase_person(Settings(), name, votes.value), as_json)
        return
    _report(what_erase_changes(Settings(), name, votes.value), as_json)
    typer.echo("nothing was changed; --yes erases", err=True)


def _report(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
        return
    for what, value in facts.items():
        if isinstance(value, dict):
            typer.echo(f"{what}:{'' if value else ' nothing'}")
            for name, count in value.items():
                typer.echo(f"  {name}: {count}")
        else:
            typer.echo(f"{what}: {', '.join(value) if isinstance(value, list) else value}")
