"""``hopchain train watch``: what a run's logs say, as a page, with alarms for reward hacking and waste."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from hopchain_etl.cli.terminal import plain

if TYPE_CHECKING:
    from hopchain_etl.training.watch.alarms import Alarm
    from hopchain_etl.training.watch.run import Run


def watch(
    runs: Annotated[list[Path], typer.Argument(help="the run's folder, or its logs and dumps", exists=True)],
    output: Annotated[Path, typer.Option("--output", "-o", help="the page")] = Path("watch.html"),
    export: Annotated[
        list[Path] | None,
        typer.Option(help="what was trained on, file or folder: bands and right answers where rollouts lack them"),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="go on reading until Ctrl-C")] = False,
    every: Annotated[int, typer.Option(min=1, help="seconds between two readings with --follow")] = 30,
    fail_on_alarm: Annotated[
        bool, typer.Option("--fail-on-alarm", help="exit code 1 if there is an alarm; --follow ends at the first")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="print the table and the alarms as JSON")] = False,
) -> None:
    """Show how a training run goes, and say if it looks like reward hacking or wasted compute.

    Reads what the trainers write: verl's file log and rollouts, TRL's trainer_state.json and completions, ms-swift's
    logging.jsonl and completions.jsonl, EasyR1's experiment_log.jsonl, and TensorBoard's events where its package is
    there. Alarms: length collapse, constant answers, format or reward without accuracy, groups without variance,
    entropy collapse, KL, clipped responses, flat reward, figures that are no numbers.
    """
    from hopchain_etl.reporting.watch import write_watch
    from hopchain_etl.training.watch.alarms import alarms
    from hopchain_etl.training.watch.exports import read_exports
    from hopchain_etl.training.watch.lines import WatchError
    from hopchain_etl.training.watch.run import Reader

    reader = Reader(runs, read_exports(export) if export else None)
    told: set[str] = set()
    while True:
        try:
            run = reader.read()
        except (WatchError, OSError) as error:  # none yet, or a file that is written or removed at this moment
            if not follow:
                raise
            Console(stderr=True, highlight=False).print(plain(f"waiting: {error}", "yellow"), soft_wrap=True)
        else:
            found = alarms(run)
            output.parent.mkdir(parents=True, exist_ok=True)
            draft = output.with_name(f".{output.name}.part")
            draft.write_text(write_watch(run, found, reload_seconds=every if follow else None), encoding="utf-8")
            draft.replace(output)  # a browser never sees half a page
            if json_:
                typer.echo(json.dumps({**run.to_json(), "alarms": [one.to_json() for one in found]}))
            else:
                _print(run, [one for one in found if one.name not in told], told, output)
            told |= {str(output), *run.notes, *(one.name for one in found)}
            if found and fail_on_alarm:
                raise typer.Exit(1)
        if not follow:
            return
        time.sleep(every)


def _print(run: "Run", alarms: "list[Alarm]", told: set[str], page: Path) -> None:
    """Print how the run goes, and what has not been told yet."""
    console = Console(highlight=False)
    last = run.steps[-1]
    figures = ", ".join(
        f"{name.replace('_', ' ')} {last.values[name]:.3g}"
        for name in ("reward", "accuracy", "format", "length", "zero_variance", "entropy")
        if name in last.values
    )
    console.print(plain(f"step {last.step}: {figures or 'no figures'}"), soft_wrap=True)
    for note in [one for one in run.notes if one not in told]:
        console.print(plain(note, "yellow"), soft_wrap=True)
    for alarm in alarms:
        console.print(
            plain(f"{alarm.title}: {alarm.figures} (since step {alarm.since})", "bold yellow"), soft_wrap=True
        )
        console.print(plain(f"  {alarm.remedy}"), soft_wrap=True)
    if str(page) not in told:
        if not alarms:
            console.print("no alarm")
        console.print(plain(f"The page: {page}"), soft_wrap=True)
