"""``hopchain evaluate errors``: what went wrong in wrong answers, and what training corrected and broke."""

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

if TYPE_CHECKING:
    from hopchain_etl.evaluation.errors.judging import Judged
    from hopchain_etl.evaluation.errors.taxonomy import Diagnosis
    from hopchain_etl.training_set.dataset import TrainingSet

_JOURNAL = "journal"  # below the folder of the page: what the judge said, so that it is not asked twice


def errors(
    baseline: Annotated[Path, typer.Argument(help="folder of a run", exists=True, file_okay=False)],
    trained: Annotated[
        Path | None, typer.Argument(help="folder of the run after training", exists=True, file_okay=False)
    ] = None,
    path: Annotated[
        Path | None, typer.Option("--set", help="the set that was asked: a pulled clone or its training_set/")
    ] = None,
    target: Annotated[str | None, typer.Option(help="which training set, if there are several")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the page and the facts as JSON")] = Path(
        "errors"
    ),
    judge: Annotated[
        str, typer.Option(help="whom a model judges: none, unexplained (what code does not explain), or all")
    ] = "none",
    judge_count: Annotated[int | None, typer.Option(min=1, help="of each run only so many, drawn at random")] = None,
    to_desk: Annotated[
        str | None, typer.Option(help="name of a new batch of the first run's errors for people at the desk")
    ] = None,
    desk_count: Annotated[int, typer.Option(min=1, help="errors in that batch, drawn at random")] = 100,
    seats: Annotated[int, typer.Option(min=1, max=9, help="people who look at each of them")] = 1,
    desk: Annotated[str | None, typer.Option(help="a batch that people have looked at: agreement is shown")] = None,
    seed: Annotated[int, typer.Option(help="of what is drawn at random")] = 0,
    json_: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Say what went wrong first in the wrong answers of a run, and with a second run, what it corrected and broke.

    Code names the hop where the program with one hop perturbed gives the answer; a model (engines.diagnoser) judges
    the others if asked to, and people at the desk a sample, without knowing what code and judge said. Also shows
    accuracy by whether training has similar chains. Writes errors.html and errors.json.
    """
    from hopchain_etl.evaluation.answers import EvaluationError, EvaluationRun
    from hopchain_etl.evaluation.attribution import attribution
    from hopchain_etl.evaluation.errors.taxonomy import diagnose, error_tables, examples
    from hopchain_etl.reporting.errors import write_errors
    from hopchain_etl.training_set.dataset import TrainingSet
    from hopchain_etl.training_set.images import NotPulledError
    from hopchain_etl.training_set.withdrawn import ask_registry

    if path is None:
        raise EvaluationError("say which set the questions are from: --set PATH")
    if judge not in ("none", "unexplained", "all"):
        raise EvaluationError(f"--judge {judge!r}; choose none, unexplained or all")
    runs = [EvaluationRun.read(folder) for folder in (baseline, trained) if folder]
    if judge != "none" or to_desk:
        ask_registry(path)  # nobody is sent a photo that was withdrawn since
    rows = TrainingSet(path, target=target)
    found = [list(diagnose(run, rows)) for run in runs]
    if judge != "none":
        some = [_to_judge(one, judge, judge_count, seed) for one in found]
        verdicts = _judged([each for one in some for each in one], rows, output, [len(one) for one in some])
        found = [
            [each.judged(said.verdicts.get(each.key)) for each in one]
            for one, said in zip(found, verdicts, strict=True)
        ]
    facts = error_tables(runs, found)
    if judge != "none":
        counts = [one.counts() for one in verdicts]
        facts["judge"] = {name: sum(one[name] for one in counts) for name in counts[0]}
    facts["examples"] = examples(found[0], seed)
    try:
        facts["attribution"] = attribution(runs, TrainingSet(path, target=target, split="train"), rows)
    except NotPulledError:  # only the validation split is here
        facts["attribution"] = []
    if to_desk:
        facts["to_desk"] = _send(to_desk, runs[0].header.name, found[0], rows, desk_count, seats, seed)
    if desk:
        facts["agreement"] = _agreement(desk, runs[0].header.name, found[0])
    output.mkdir(parents=True, exist_ok=True)
    (output / "errors.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    (output / "errors.html").write_text(write_errors(facts), encoding="utf-8")
    if json_:
        typer.echo(json.dumps({name: value for name, value in facts.items() if name != "examples"}))
    else:
        _print(facts, output / "errors.html")


def _to_judge(found: "list[Diagnosis]", which: str, count: int | None, seed: int) -> "list[Diagnosis]":
    from hopchain_etl.evaluation.errors.judging import some_of
    from hopchain_etl.evaluation.errors.taxonomy import By

    return some_of([one for one in found if which == "all" or one.by is not By.CODE], count, seed)


def _judged(some: "list[Diagnosis]", rows: "TrainingSet", output: Path, counts: list[int]) -> "list[Judged]":
    """Return the judge's verdicts, for each run."""
    from hopchain_etl.evaluation.errors.judging import diagnoser_of, judged
    from hopchain_etl.evaluation.run import folder_lake
    from hopchain_etl.settings import Settings

    settings = Settings()
    engine, lake = diagnoser_of(settings), folder_lake(output / _JOURNAL)
    parts = [some[: counts[0]], some[counts[0] :]][: len(counts)]
    ceiling = settings.engines.token_ceiling
    return [judged(part, rows, engine, lake, token_ceiling=ceiling) for part in parts]


def _send(
    name: str, run: str, found: "list[Diagnosis]", rows: "TrainingSet", count: int, seats: int, seed: int
) -> dict[str, Any]:
    from hopchain_etl.annotation import error_reviews
    from hopchain_etl.evaluation.errors.judging import some_of
    from hopchain_etl.evaluation.errors.people import review_batch
    from hopchain_etl.lake.lake import Lake
    from hopchain_etl.settings import Settings

    batch = review_batch(name, getpass.getuser(), run, some_of(found, count, seed), rows, seats)
    error_reviews.create(Lake(Settings().lake), batch)
    return {"batch": name, "answers": len(batch.items), "seats": seats}


def _agreement(name: str, run: str, found: "list[Diagnosis]") -> dict[str, Any]:
    from hopchain_etl.annotation import error_reviews
    from hopchain_etl.evaluation.errors.people import agreement
    from hopchain_etl.lake.lake import Lake
    from hopchain_etl.settings import Settings

    lake = Lake(Settings().lake)
    error_reviews.load(lake, name)  # or an error that names those that there are
    return {"batch": name, **agreement(run, found, error_reviews.said(lake, name))}


def _print(facts: dict[str, Any], page: Path) -> None:
    from hopchain_etl.reporting.errors import TABLES

    console = Console(highlight=False, markup=False)
    tables = [(title, facts[name]) for name, title in TABLES if name in facts]
    table = Table(Column("what went wrong first"), *(Column(title, justify="right") for title, _ in tables))
    for place, row in enumerate(tables[0][1]["kinds"]):
        cells = [one["kinds"][place] for _, one in tables]
        if any(cell["errors"] for cell in cells):
            shown = (f"{cell['errors']} ({100 * cell['share']:.0f} %)" if cell["errors"] else "0" for cell in cells)
            table.add_row(f"{row['kind']} ({row['group']})" if row["group"] != row["kind"] else row["kind"], *shown)
    console.print(table)
    for title, one in tables:
        by = ", ".join(f"{name} {count}" for name, count in one["by"].items())
        console.print(f"{title}: {one['wrong']} wrong answers, explained by: {by}", soft_wrap=True)
    if (judge := facts.get("judge")) and (lost := judge["refused"] + judge["invalid"]):
        console.print(f"{lost} of {judge['asked']} requests to the judge gave no verdict", soft_wrap=True)
    if sent := facts.get("to_desk"):
        console.print(f"{sent['answers']} errors are at the desk, in the batch {sent['batch']}", soft_wrap=True)
    if agreed := facts.get("agreement"):
        said = {name: agreed[name]["kappa"] for name in ("judge", "code")}
        told = ", ".join(f"{name} {'not known' if one is None else f'{one:.2f}'}" for name, one in said.items())
        console.print(f"{agreed['answers']} answers looked at by people; Cohen's kappa with them: {told}")
    console.print(f"The page: {page}", soft_wrap=True)
