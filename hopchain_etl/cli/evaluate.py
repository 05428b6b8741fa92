"""``hopchain evaluate``: asks models the questions of a release or a benchmark, and says whether two of them differ."""

import typer

from hopchain_etl.cli.evaluate_compare import compare
from hopchain_etl.cli.evaluate_errors import errors
from hopchain_etl.cli.evaluate_harnesses import export, import_
from hopchain_etl.cli.evaluate_run import fetch, run, runs

app = typer.Typer(no_args_is_help=True)

# One line a command; each is a function in a module ``evaluate_<part>`` of its own.
app.command()(compare)
app.command()(errors)
app.command()(run)
app.command()(runs)
app.command()(fetch)
app.command()(export)
app.command("import")(import_)
