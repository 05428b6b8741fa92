"""``hopchain try``: one's own photos, from the files to checked questions, without S3, Airflow and settings."""

import errno
import json
import logging
import os
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer
from rich.console import Console
from rich.table import Column, Table

from hopchain_etl.cli.terminal import plain
from hopchain_etl.errors import STOPPED, StoppedError

if TYPE_CHECKING:
    from hopchain_etl.demo.trial import Chosen, Trial
    from hopchain_etl.lake.lake import Marker, Shard
    from hopchain_etl.reporting.tried import TriedPhoto
    from hopchain_etl.settings import Profile
    from hopchain_etl.stages.quarantine import QuarantinedRow
    from hopchain_etl.stages.runner import Outcome

app = typer.Typer()
_NAMED = 3  # files that a line names


@app.command("try")
def try_photos(
    photo_or_folder: Annotated[list[Path], typer.Argument(help="photos, and folders of photos")],
    profile: Annotated[
        str | None,
        typer.Option("--profile", "--preset", help="engines: local, labels, sam3 or vllm; default: the settings'"),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="labels of the photos: a file or folder, see the page on labels", exists=True),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="the page to write")] = Path("try.html"),
    open_: Annotated[bool, typer.Option("--open", help="open the page in a browser")] = False,
    keep: Annotated[
        Path | None, typer.Option(help="new or empty folder to keep the lake in; default: it is removed")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="photos to try at most")] = 50,
    json_: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Try photos of your own: from the files to checked questions, without S3, Airflow and settings.

    Writes one HTML page with the questions hop by hop, and says in plain words why a photo has none.
    """
    from hopchain_etl.demo.trial import Trial, plain_name
    from hopchain_etl.reporting.tried import write_page

    chosen, engines = _chosen(photo_or_folder), _profile(profile)
    console = Console(stderr=json_, highlight=False)
    log = logging.getLogger("hopchain_etl")
    if log.level != logging.DEBUG:
        log.setLevel(logging.WARNING)  # a line for each stage of each photo says nothing here
    page = _writable(output)
    photos = chosen.photos[:limit]
    if len(chosen.photos) > limit:
        console.print(f"{len(chosen.photos):,} photos were found; the first {limit:,} are tried (--limit)")
    if chosen.left_out:
        named = ", ".join(plain_name(path) for path in chosen.left_out[:_NAMED])
        more = ", ..." if len(chosen.left_out) > _NAMED else ""
        _say(console, f"left out of folders, as no pictures by their names: {named}{more}")
    with _folder(keep) as folder:
        trial = Trial(folder, photos, engines, labels)
        _require_weights(trial)
        tried, ended = _run(trial, console, len(photos))
        page.write_text(write_page(tried, trial.build, trial.notes), encoding="utf-8")
    if json_:
        typer.echo(json.dumps([one.as_json() for one in tried]))
    else:
        console.print(_table(tried))
    for note in trial.notes:
        _say(console, note)
    if keep:
        _say(console, f"The lake is kept: HOPCHAIN_LAKE__URI={trial.settings.lake.uri} hopchain status")
    _say(console, f"The page with the questions hop by hop: {page}")
    if open_ and not webbrowser.open(page.resolve().as_uri()):
        console.print("No browser was found to open it.")
    if isinstance(ended, StoppedError):
        raise typer.Exit(STOPPED)
    if ended:
        raise ended


def _profile(name: str | None) -> "Profile | None":
    from hopchain_etl.settings import Profile

    if name is not None and name not in list(Profile):
        raise typer.BadParameter(f"{name!r} is none of {', '.join(Profile)}", param_hint="--preset")
    return Profile(name) if name else None


def _chosen(paths: list[Path]) -> "Chosen":
    from hopchain_etl.demo.trial import choose, plain_name

    try:
        chosen = choose(paths)
    except OSError as error:
        raise typer.BadParameter(plain_name(Path(str(error)))) from error
    if not chosen.photos:
        raise typer.BadParameter(f"there are no photos in {', '.join(map(plain_name, paths))}")
    return chosen


def _writable(output: Path) -> Path:
    """Return the page's path; find out now, and not after minutes of work, whether it can be written."""
    from hopchain_etl.demo.trial import plain_name

    problem = "it is a folder" if output.is_dir() else ""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = error.strerror or str(error)
    if not problem and not os.access(output if output.exists() else output.parent, os.W_OK):
        problem = os.strerror(errno.EACCES)
    if problem:
        raise typer.BadParameter(f"{plain_name(output)} cannot be written: {problem}; name another --output")
    return output


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Yield ``keep``, or a folder that is removed afterwards."""
    from hopchain_etl.demo.trial import plain_name

    if keep is None:
        with tempfile.TemporaryDirectory(prefix="hopchain-try-") as folder:
            yield Path(folder)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        used = any(keep.iterdir())
    except OSError as error:
        raise typer.BadParameter(f"{plain_name(keep)}: {error.strerror}; --keep needs a folder") from error
    if used:
        raise typer.BadParameter(f"{plain_name(keep)} is not empty; name a new folder for --keep")
    yield keep


def _require_weights(trial: "Trial") -> None:
    """Raise MissingWeightsError, which names the command that installs them, before anything else is done."""
    from hopchain_etl.doctor.models import local_weights
    from hopchain_etl.engines.weights import MissingWeightsError

    entries = trial.settings.engines.roles.of()
    if not any(entry.weights == "local" for entry in entries):
        return
    missing = [one for one in local_weights() if one.state == "missing"]
    if missing:
        names = ", ".join(one.what for one in missing)
        raise MissingWeightsError(f"the local engine lacks {names}; {missing[0].remedy} (hopchain doctor says more)")


def _run(trial: "Trial", console: Console, photos: int) -> "tuple[list[TriedPhoto], Exception | None]":
    """Tell of each photo as soon as it is done; return all, and what ended it before the last one.

    A model server that dies at the thirtieth photo must not take the first twenty-nine with it.
    """
    from hopchain_etl.cli.progress import stoppable

    tried: list[TriedPhoto] = []
    try:
        with stoppable() as stop, _Bar(console, photos) as bar:
            for one in trial.run(bar, stop):
                tried.append(one)
                bar.done()
                _tell(console, one)
    except StoppedError as stopped:
        return tried, stopped
    except Exception as error:
        if not tried:
            raise
        return tried, error
    return tried, None


class _Bar:
    """One bar for the photos, with the stage that is running. Ingest runs beside the others and is not shown."""

    def __init__(self, console: Console, photos: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("ingest", total=photos)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def start(self, stage: str, shard: "Shard", rows: int) -> None:
        if stage != "ingest":
            self._bar.update(self._task, description=stage)

    def advance(self, outcome: "Outcome | QuarantinedRow") -> None: ...

    def finish(self, marker: "Marker", rows: int) -> None: ...

    def done(self) -> None:
        self._bar.advance(self._task)


def _tell(console: Console, one: "TriedPhoto") -> None:
    """Print a photo's questions, or why it has none, and which of its labels are not used."""
    _say(console, one.name, style="bold")
    for number, card in enumerate(one.cards, start=1):
        _say(console, f"  {number}. {card.question}  → {card.answer}")
    for sentence in (*one.why, *one.notes):
        _say(console, f"  {sentence}", style="dim")


def _table(tried: "list[TriedPhoto]") -> Table:
    figures = [Column(name, justify="right") for name in ("certain", "in doubt", "questions")]
    asked, total = sum(bool(one.cards) for one in tried), sum(len(one.cards) for one in tried)
    title = f"{len(tried)} photos tried, {asked} with questions, {total} questions"
    table = Table(Column("photo", overflow="fold"), *figures, "why it has no question", title=title)
    for one in tried:
        counts = map(str, (one.certain, one.doubtful, len(one.cards)))
        table.add_row(plain(one.name), *counts, plain(one.why[0] if one.why else ""))
    return table


def _say(console: Console, line: str, style: str = "") -> None:
    console.print(plain(line, style), soft_wrap=True)
