"""Runs the check where only the trainer, pyarrow and typer are installed."""

from __future__ import annotations

import sys

import typer

from hopchain_etl.training.preflight.command import preflight

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
app.command()(preflight)


def main() -> None:
    """Run the command line; exit 0 if all is well, 1 on a fault or an error, 2 on bad usage."""
    try:
        app()
    except (ValueError, OSError) as error:
        typer.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
