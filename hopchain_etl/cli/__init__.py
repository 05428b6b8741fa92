"""``hopchain``: every stage, the embedded S3 server, releases and reports from a shell, without Airflow."""

import logging
import os
import sys

import typer
from rich.console import Console

from hopchain_etl.cli import build, doctor, release, show, try_photos, upkeep, use
from hopchain_etl.cli.evaluate import app as evaluate
from hopchain_etl.cli.person import app as person
from hopchain_etl.cli.s3 import app as s3
from hopchain_etl.cli.terminal import plain_text
from hopchain_etl.cli.train import app as train
from hopchain_etl.engines.proxies import loopback_excepted, names_proxy
from hopchain_etl.errors import STOPPED, ReportedError, StoppedError

app = typer.Typer(
    help="Turn photos into multi-hop vision-language training data.\n\n"
    "Settings come from hopchain.toml and HOPCHAIN_* variables. Start with `hopchain run`, then `hopchain status`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(s3, name="s3", help="The embedded S3 server, for trials and tests.")
app.add_typer(evaluate, name="evaluate", help="Ask models the questions of a release, and say how two of them differ.")
app.add_typer(train, name="train", help="Prepare, check and watch a training run.")
app.add_typer(person, name="person", help="The data of one annotator or lead: its export, and its erase.")
for part in (try_photos.app, build.app, release.app, show.app, use.app, doctor.app, upkeep.app):
    app.registered_commands += part.registered_commands


@app.callback()
def _verbosity(verbose: bool = typer.Option(False, "--verbose", "-v", help="also show debug log messages")) -> None:
    if sys.stderr.isatty():
        from rich.logging import RichHandler

        handlers = [RichHandler(console=Console(stderr=True), show_path=False)]
        logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=handlers)
    else:
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("hopchain_etl").setLevel(logging.DEBUG if verbose else logging.INFO)


def main() -> None:
    """Run the command line; exit 0 on success, 1 on an error, 2 on bad usage, 130 after Ctrl-C."""
    if names_proxy(os.environ):
        os.environ.update(loopback_excepted(os.environ))  # for an S3 server here, and for what a command starts
    try:
        app()
    except StoppedError as stopped:
        _say(str(stopped))
        sys.exit(STOPPED)
    except (ReportedError, ValueError, OSError) as error:  # OSError: a file in the way, no permission, a full disk
        if problems := _setting_problems(error):
            _say("\n".join(problems))
            sys.exit(2)
        if os.environ.get("HOPCHAIN_TRACEBACK"):
            raise
        _say(f"{error}")
        sys.exit(1)


def _setting_problems(error: Exception) -> list[str]:
    """Return a line for each setting that is wrong; none if the error is another."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return []
    lines = []
    for problem in error.errors():
        place = ".".join(map(str, problem["loc"]))
        variable = f"HOPCHAIN_{place.replace('.', '__').upper()}{'' if '.' in place else '__...'}"
        lines.append(f"setting {place}: {problem['msg']} ({variable} or hopchain.toml)")
    return lines


def _say(message: str) -> None:
    lines = map(plain_text, message.split("\n"))  # errors name fields and items of files from anybody
    Console(stderr=True).print("\n".join(lines), style="bold red", markup=False, highlight=False, soft_wrap=True)
