"""``hopchain train``: prepares the data of a run, checks it through the trainer's own code, and watches the run."""

import typer

from hopchain_etl.cli.train_mix import mix
from hopchain_etl.cli.train_restamp import restamp
from hopchain_etl.cli.train_watch import watch
from hopchain_etl.training.preflight.command import preflight

app = typer.Typer(no_args_is_help=True)

# One line a command; each is a function in a module ``train_<part>`` of its own.
app.command()(mix)
app.command()(preflight)
app.command()(restamp)
app.command()(watch)
