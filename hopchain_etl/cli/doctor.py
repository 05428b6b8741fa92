"""``hopchain doctor``: checks that everything a run needs is available."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer()
_STYLES = {"ok": "green", "warning": "yellow", "missing": "bold red"}


@app.command()
def doctor(json_: Annotated[bool, typer.Option("--json", help="findings as JSON, for scripts")] = False) -> None:
    """Check S3, registry, Airflow, endpoints, GPUs and weights, as the chosen engines need them.

    Says what is missing and how to fix it. Exit code 1 if anything is missing, 0 otherwise. Run it where the tasks run.
    """
    from hopchain_etl.doctor import Finding, examine
    from hopchain_etl.settings import Settings

    with Console(stderr=True).status("checking ...") as status:
        findings: list[Finding] = []
        for finding in examine(Settings()):
            findings.append(finding)
            status.update(f"{finding.what}: {finding.state}")
    if json_:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        table = Table("what", "state", "found", "what to do")
        for one in findings:
            table.add_row(one.what, one.state, one.detail, one.remedy, style=_STYLES[one.state])
        Console(markup=False).print(table)
    raise typer.Exit(any(finding.state == "missing" for finding in findings))
