"""``hopchain evaluate run``, ``runs`` and ``fetch``: answers of a model to the questions of a release."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from hopchain_etl.evaluation.answers import EvaluationRun
    from hopchain_etl.evaluation.questions import Choice
    from hopchain_etl.evaluation.run import Advance
    from hopchain_etl.settings import Settings

_JOURNAL = "journal"  # below the folder of a run: what was answered, so that nothing is asked twice


def run(
    path: Annotated[Path, typer.Argument(help="a pulled clone, its training_set/, or one target's folder")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="folder of the run; also of its journal")] = None,
    to_lake: Annotated[bool, typer.Option("--lake", help="keep the run and its journal in the lake instead")] = False,
    name: Annotated[str | None, typer.Option(help="of the run; default: the folder's, or the model's")] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="OpenAI-compatible server, such as http://host:8000/v1; none: vLLM is launched")
    ] = None,
    model: Annotated[str | None, typer.Option(help="name of the model there, or what is to be launched")] = None,
    revision: Annotated[str | None, typer.Option(help="of its weights, such as a checkpoint's step")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="the environment variable with the API key")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="ask nobody: read answers from JSON lines with item_id, sample, text")
    ] = None,
    target: Annotated[str | None, typer.Option(help="which training set, if there are several")] = None,
    split: Annotated[str | None, typer.Option(help="train, validation or all")] = None,
    variants: Annotated[
        list[str] | None, typer.Option("--variant", help="full, half or single; may be given several times")
    ] = None,
    samples: Annotated[int | None, typer.Option(min=0, help="answers to each question with its photo")] = None,
    blind_samples: Annotated[int | None, typer.Option(min=0, help="answers without the photo")] = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", help="such as 'n_hops >= 5'; all must be true")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only so many rows, for a trial")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=2, help="default: as in the settings")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=16, help="of one answer; default: as in the settings")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="requests in flight")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Ask a model the questions of a released split, and grade its answers.

    What is not given is as in HOPCHAIN_EVALUATE__... Every answer is kept in a journal: the same command continues
    after a stop, a kill or a lost server, and asks nothing again that was answered. HOPCHAIN_ENGINES__TOKEN_CEILING
    limits the tokens. Two runs are compared with `hopchain evaluate compare`.
    """
    from hopchain_etl.evaluation import lake_runs
    from hopchain_etl.evaluation.answers import EvaluationError
    from hopchain_etl.evaluation.questions import Choice
    from hopchain_etl.lake.lake import Lake
    from hopchain_etl.settings import Settings

    if (out is None) != to_lake:
        raise EvaluationError("say where the run goes: either --out FOLDER or --lake")
    of_model = {"endpoint_url": endpoint, "model": model, "revision": revision, "api_key_env": api_key_env}
    given = {
        "model": _given(of_model | {"concurrency": concurrency}),
        **_given({"split": split, "variants": variants, "samples": samples, "blind_samples": blind_samples}),
        **_given({"temperature": temperature, "max_tokens": max_tokens}),
    }
    settings = Settings.model_validate({"evaluate": given})
    how = settings.evaluate
    choice = Choice(
        None if how.split == "all" else how.split, how.variants, how.samples, how.blind_samples, filters or (), limit
    )
    called = name or (out.resolve().name if out else model or how.model.model or "answers")
    if answers:
        done = _from_file(answers, path, target, choice, called, model or answers.stem)
    else:
        done = _asked(settings, path, target, choice, called, out)
    if out:
        done.write(out)
    place = str(out) if out else Lake(settings.lake).store.uri(lake_runs.store(Lake(settings.lake), done))
    _tell(done, place, as_json)


def runs() -> None:
    """List the runs in the lake, by the names under which `fetch` finds them."""
    from hopchain_etl.evaluation import lake_runs
    from hopchain_etl.lake.lake import Lake
    from hopchain_etl.settings import Settings

    for name in lake_runs.names(Lake(Settings().lake)):
        typer.echo(name)


def fetch(
    name: Annotated[str, typer.Argument(help="of a run in the lake, see runs")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder to copy it to, for compare")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Copy a run from the lake, for instance one of hopchain_evaluate, to a folder."""
    from hopchain_etl.evaluation import lake_runs
    from hopchain_etl.lake.lake import Lake
    from hopchain_etl.settings import Settings

    _tell(lake_runs.fetch(Lake(Settings().lake), name, out), str(out), as_json)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _from_file(file: Path, path: Path, target: str | None, choice: "Choice", name: str, model: str) -> "EvaluationRun":
    from hopchain_etl.evaluation.answer_file import AnswerFile
    from hopchain_etl.evaluation.questions import Questions

    answers = AnswerFile(file)
    return answers.run(Questions(path, answers.choice(choice), target=target), name, model)


def _asked(
    settings: "Settings", path: Path, target: str | None, choice: "Choice", name: str, out: Path | None
) -> "EvaluationRun":
    from hopchain_etl.evaluation.questions import Questions
    from hopchain_etl.evaluation.run import ask, folder_lake, solver_of
    from hopchain_etl.lake.lake import Lake
    from hopchain_etl.training_set.withdrawn import ask_registry

    solver = solver_of(settings)
    ask_registry(path)  # nobody is sent a photo that was withdrawn since
    questions = Questions(path, choice, target=target)
    lake = folder_lake(out / _JOURNAL, settings.lake.journal_flush_answers) if out else Lake(settings.lake)
    with _watched(len(questions)) as (advance, stop):
        ceiling = settings.engines.token_ceiling
        return ask(questions, solver, lake, name=name, token_ceiling=ceiling, advance=advance, stop=stop)


@contextmanager
def _watched(total: int) -> "Iterator[tuple[Advance, threading.Event]]":
    """Yield what is called with every few answers, shown as a bar on a terminal, and the event of ``stoppable``."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from hopchain_etl.cli.progress import stoppable

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    right = 0
    with stoppable() as stop, Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=total)

        def advance(answers: int, correct: int) -> None:
            nonlocal right
            right += correct
            bar.update(task, advance=answers, description=f"{right} right")

        yield advance, stop


def _tell(done: "EvaluationRun", place: str, as_json: bool) -> None:
    """Print where the run is, and the accuracy of each variant with and without the photo."""
    keys = ["variant", "sees_image"]
    means = done.answers.group_by(keys).aggregate([("score", "mean"), ("score", "count")]).sort_by("variant")
    lines = [
        {"variant": one["variant"], "sees_image": one["sees_image"], "answers": one["score_count"],
         "accuracy": one["score_mean"]}
        for one in means.to_pylist()
    ]  # fmt: skip
    if as_json:
        typer.echo(
            json.dumps(
                {"name": done.header.name, "at": place, "accuracy": lines, "without_answer": done.without_answer}
            )
        )
        return
    typer.echo(f"{done.header.name}: {done.header.model} on {', '.join(done.header.splits.values())}, in {place}")
    for one in lines:
        seen = "with the photo" if one["sees_image"] else "blind"
        typer.echo(f"  {one['variant']}, {seen}: {one['accuracy']:.1%} of {one['answers']} answers are right")
    if lost := done.without_answer:
        why = "the server refused them, or their photo or answer cannot be read"
        typer.echo(f"  {lost} requests gave no answer and count as wrong: {why}", err=True)
