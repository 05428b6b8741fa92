"""``hopchain`` commands for users of a release: column descriptions, and export to trainer formats."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer()


@app.command()
def schema(
    markdown: Annotated[bool, typer.Option(help="as Markdown")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Describe every column of a released training set: its type and what it means.

    Every Parquet file of a release contains the same in its metadata, with the schema version.
    """
    from hopchain_etl import schemas

    columns = [(field.name, str(field.type), description(field)) for field in schemas.TRAINING_ROWS]
    if as_json:
        listed = [{"column": name, "type": kind, "meaning": meaning} for name, kind, meaning in columns]
        typer.echo(json.dumps({"version": schemas.TRAINING_SCHEMA, "columns": listed}, indent=1))
    elif markdown:
        typer.echo(f"Schema version {schemas.TRAINING_SCHEMA}.\n\n| column | type | meaning |\n|---|---|---|")
        for name, kind, meaning in columns:
            typer.echo(f"| `{name}` | `{_short(kind)}` | {meaning} |")
    else:
        table = Table("column", "type", "meaning", title=f"training rows, schema version {schemas.TRAINING_SCHEMA}")
        for name, kind, meaning in columns:
            table.add_row(name, _short(kind), meaning)
        Console(markup=False).print(table)


@app.command()
def export(
    path: Annotated[Path, typer.Argument(help="a pulled clone, its training_set/, or one target's folder")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder to write to")],
    form: Annotated[
        str, typer.Option("--format", "-f", help="verl, trl, swift, easyr1, hf; sft or sft-jsonl for a cold start")
    ],
    variant: Annotated[str, typer.Option(help="full, or half or single: the paper's ablation")] = "full",
    split: Annotated[str | None, typer.Option(help="train or validation; both without it")] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", help="such as 'n_hops >= 5' or 'band != all_wrong'; all must be true"),
    ] = None,
    max_prompt_tokens: Annotated[
        int | None, typer.Option(min=1, help="drop longer prompts: text, image and chat template together")
    ] = None,
    max_pixels: Annotated[int | None, typer.Option(min=1, help="the trainer's limit for resized images")] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            help="tokenizer.json or a model's folder; without it, text tokens are estimated, slightly too high"
        ),
    ] = None,
    with_hops: Annotated[
        bool, typer.Option("--with-hops", help="add the program: each hop in words, its value and boxes")
    ] = False,
    target: Annotated[str | None, typer.Option(help="which training set, if the clone has several")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Write a pulled training set in a trainer's format: one file per split with rows, and export.json with the counts.

    Needs only the files; a clone first asks its registry which photos were withdrawn since, and leaves these out. Rows
    are streamed; each is exported or counted under a drop reason: no_half and no_single (the row has no such variant),
    prompt_too_long, reserved_word, no_reasoning (sft: it has no program that gives its answer).
    """
    from rich.progress import Progress

    from hopchain_etl.imaging.vision_tokens import MAX_PIXELS
    from hopchain_etl.training_set.export import ExportOptions
    from hopchain_etl.training_set.export import export as run
    from hopchain_etl.training_set.export.tokens import estimate, tokenizer_at

    wanted = ExportOptions(
        form, variant, split, tuple(filters or ()), max_prompt_tokens, max_pixels or MAX_PIXELS, with_hops
    )
    count = tokenizer_at(tokenizer) if tokenizer else estimate
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("rows", total=None)
        done = run(path, out, wanted, target=target, count=count, advance=lambda: progress.advance(task))
    if as_json:
        typer.echo(json.dumps(done.to_json(), indent=1))
        return
    table = Table("", "rows", title=f"{form}, {variant}: {out}")
    for name, number in (("written", done.rows), *sorted(done.dropped.items()), ("filtered out", done.filtered)):
        table.add_row(name, str(number))
    Console(markup=False).print(table)
    for name in done.empty:
        typer.echo(f"no row of {name} is left, so it has no file", err=True)
    if done.withdrawn:
        typer.echo(f"{done.withdrawn} photos were withdrawn since this version; pull a newer one", err=True)


def description(field: object) -> str:
    """Return what a column means, from its metadata; empty if there is none."""
    metadata: dict[bytes, bytes] = getattr(field, "metadata", None) or {}
    return metadata.get(b"description", b"").decode()


def _short(kind: str) -> str:
    """Return a nested type without its fields, because these would fill the screen."""
    return kind if len(kind) < 40 else "list of structs" if kind.startswith("list") else "struct"
