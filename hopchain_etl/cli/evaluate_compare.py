"""``hopchain evaluate compare``: whether a trained model is better than its baseline, where, and how surely."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from hopchain_etl.cli.terminal import plain


def compare(
    baseline: Annotated[Path, typer.Argument(help="folder of the run before training", exists=True, file_okay=False)],
    trained: Annotated[Path, typer.Argument(help="folder of the run after it", exists=True, file_okay=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="folder for the page, the facts as JSON, and tables for a paper")
    ] = Path("comparison"),
    force: Annotated[
        bool, typer.Option("--force", help="compare runs that were measured differently; the page then says so")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="of the bootstrap, and of the examples that are shown")] = 0,
    against: Annotated[
        Path | None, typer.Option(help="a pulled training set: warn of a benchmark's questions that it has too")
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="of what became right, and of what became wrong")] = 12,
    json_: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Compare two runs over the same questions: whether the second model is better, where, and how surely.

    Runs with another prompt, other sampling, splits, graders or harnesses are refused. Intervals take the photo as the
    unit. Warns of what an import, or --against, found to be in the training set too. Writes comparison.html,
    comparison.json, table.md and table.tex.
    """
    from hopchain_etl.evaluation.answers import EvaluationRun
    from hopchain_etl.evaluation.compare import compare as run
    from hopchain_etl.evaluation.words import latex_table, markdown_table
    from hopchain_etl.release.overlap import find_overlap, stored_warnings
    from hopchain_etl.reporting.comparison import write_comparison

    runs = [EvaluationRun.read(folder) for folder in (baseline, trained)]
    shared = [*stored_warnings(baseline), *stored_warnings(trained)]
    if against:
        shared += find_overlap(runs[1].answers, against).warnings()
    warnings = list(dict.fromkeys(shared))  # both runs have the same benchmarks
    facts = run(runs[0], runs[1], force=force, seed=seed, examples=examples, warnings=warnings)
    output.mkdir(parents=True, exist_ok=True)
    written = {
        "comparison.html": write_comparison(facts),
        "comparison.json": json.dumps(facts, indent=1) + "\n",
        "table.md": markdown_table(facts),
        "table.tex": latex_table(facts),
    }
    for name, text in written.items():
        (output / name).write_text(text, encoding="utf-8")
    if json_:
        typer.echo(json.dumps({key: facts[key] for key in ("headline", "groups", "objections", "warnings")}))
    else:
        _print(facts, output / "comparison.html")


def _print(facts: dict[str, Any], page: Path) -> None:
    from hopchain_etl.evaluation.words import between, p_value, percent, points, verdict

    console = Console(highlight=False)
    figures = [Column(name, justify="right") for name in ("questions", "before", "after", "difference", "p, Holm")]
    table = Table(Column("benchmark", overflow="fold"), *figures)
    for group in (group for group in facts["groups"] if group["main"]):
        shares = (f"{percent(group[run]['value'])} %" for run in ("baseline", "trained"))
        gained = f"{points(group['difference']['value'])} ({between(group['difference'])})"
        table.add_row(plain(group["benchmark"]), f"{group['questions']:,}", *shares, gained, p_value(group["p_holm"]))
    console.print(table)
    for note in (*facts["objections"], *facts["warnings"]):
        console.print(plain(note, "yellow"), soft_wrap=True)
    word, sentence = verdict(facts)
    console.print(plain(f"{word}. {sentence}", "bold"), soft_wrap=True)
    console.print(plain(f"The page: {page}"), soft_wrap=True)
