"""``hopchain`` commands of a release: snapshot, assemble, validate, card, publish, verify; withdraw, erase, gc."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hopchain_etl.cli.terminal import plain

app = typer.Typer()
console = Console()

AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]
Target = Annotated[str, typer.Option(help="which training set: a folder below training_set/")]
SNAPSHOT, PARAMS = Path("snapshot.json"), Path("params.yaml")


@app.command()
def snapshot(out: Annotated[Path, typer.Option(help="where to write it")] = SNAPSHOT, as_json: AsJson = False) -> None:
    """Write the snapshot of a release: every input part of the lake with its sha256.

    Reads only the lake. The same lake gives the same bytes, so an unchanged snapshot means there is nothing to release.
    """
    from hopchain_etl.lake.lake import Lake
    from hopchain_etl.release.snapshot import take_snapshot, to_bytes
    from hopchain_etl.settings import Settings

    settings = Settings()
    taken = take_snapshot(Lake(settings.lake), settings)
    out.write_bytes(to_bytes(taken))
    facts = {"path": str(out), "lineages": taken["lineages"], "inputs": len(taken["inputs"])}
    _report({**facts, "withdrawn": len(taken["withdrawn"])}, as_json)


@app.command()
def assemble(target: Target = "default", as_json: AsJson = False) -> None:
    """Build the rows of a training set from snapshot.json and params.yaml (a stage of dvc.yaml).

    Each query becomes a row or is counted under a drop reason, in training_set/TARGET/dropped.json.
    """
    from hopchain_etl.lake.lake import Lake
    from hopchain_etl.release.assemble import assemble as run
    from hopchain_etl.release.assemble import read_params
    from hopchain_etl.settings import Settings

    counts = run(_snapshot(), read_params(PARAMS), Lake(Settings().lake), target, _folder(target))
    _report({"read": counts["read"], "rows": counts["rows"], **counts["dropped"]}, as_json)


@app.command()
def validate(target: Target = "default", as_json: AsJson = False) -> None:
    """Run the training set's suite and every check of `hopchain verify` on assembled rows (a stage of dvc.yaml)."""
    from hopchain_etl.quality.validator import make_validator
    from hopchain_etl.release.validate import validate_rows
    from hopchain_etl.settings import Settings

    _report(validate_rows(_folder(target), make_validator(Settings().quality)), as_json)


@app.command()
def card(target: Target = "default", as_json: AsJson = False) -> None:
    """Write the dataset card, metrics.json and plots of assembled rows (a stage of dvc.yaml)."""
    from hopchain_etl.release.card import write_card

    metrics = write_card(_snapshot(), target, _folder(target))
    _report(metrics, as_json)


@app.command()
def research(
    out: Annotated[Path, typer.Option(help="folder to write to, replacing its contents")] = Path("research/raw"),
    as_json: AsJson = False,
) -> None:
    """Write the research artifact of snapshot.json and params.yaml: dropped queries, raw attempts, verdicts, votes.

    `hopchain publish` does the same if `release.research` is on.
    """
    from hopchain_etl.lake.lake import Lake
    from hopchain_etl.release.assemble import read_params
    from hopchain_etl.release.research import write_research
    from hopchain_etl.settings import Settings

    _report(write_research(_snapshot(), read_params(PARAMS), Lake(Settings().lake), out), as_json)


@app.command()
def publish(
    ask: Annotated[bool, typer.Option("--ask", help="show the new versions and ask before pushing")] = False,
    force: Annotated[bool, typer.Option("--force", help="also without rows, or with a large drop")] = False,
    as_json: AsJson = False,
) -> None:
    """Release: take a snapshot, assemble, validate, write the card, push the data with DVC, then commit and tag.

    Works in a fresh clone of `registry.git_url`. Nothing becomes visible before the last step, so it can be repeated
    after any failure. If the rows have not changed, no version is created. A version without rows, or with far fewer
    than the last one (`release.max_drop`), is refused unless withdrawn photos are the reason.
    """
    from hopchain_etl.release.registry import publish
    from hopchain_etl.release.versions import Release
    from hopchain_etl.settings import Settings

    def approve(releases: Any) -> bool:
        for release in releases:
            assert isinstance(release, Release)
            console.print(f"{release.tag}: {release.rows} rows, {release.images} images, {release.policy}")
        return typer.confirm("Publish?")

    result = publish(Settings(), approve=approve if ask else None, force=force)
    if as_json:
        _report(result.to_json(), as_json)
    elif not result.changed:
        console.print(f"No new version: {result.note}.")
    for release in () if as_json else result.releases:
        console.print(
            f"[green]{release.tag}[/] ({release.bump}): {release.rows} rows, {release.images} images, {release.policy}"
        )
    if result.changed and not as_json:
        console.print(f"{len(result.new_parts)} new image parts, {result.pushed_bytes / 1e6:.2f} MB pushed")


@app.command()
def releases(as_json: AsJson = False) -> None:
    """List every released version; yanked versions contained a photo that was erased later."""
    from hopchain_etl.release.registry import releases
    from hopchain_etl.settings import Settings

    found = releases(Settings())
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    table = Table("tag", "date", "rows", "images", "MB", "reviewed", "engines")
    for one in found:
        size = one["bytes"] and f"{one['bytes'] / 1e6:.1f}"
        reviewed = "no" if one["policy"] == "unreviewed" else one["policy"]
        cells = [one["rows"], one["images"], size, reviewed, one["engines"]]
        told = (plain("?" if cell is None else str(cell)) for cell in cells)
        table.add_row(one["tag"], one["date"], *told, style="dim" if one["yanked"] else None)
    console.print(table if found else "No releases yet: `hopchain publish` creates the first.")


@app.command()
def verify(
    path: Annotated[
        Path,
        typer.Argument(help="a pulled clone, its training_set/, one target's folder, or a .parquet or .jsonl"),
    ] = Path(),
    instances: Annotated[
        Path | None, typer.Option(help="the instances table (file or folder) for a file of the queries table")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute every answer and every rule of a training set, or of any file of rows; exit 1 on failures.

    Needs no lake and no registry; uses all cores. Prints failures by reason. The unchecked share is the share of hops
    that code cannot check, such as shapes.
    """
    from hopchain_etl.training_set.verify import verify

    result = verify(path, instances=instances)
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=1))
    else:
        table = Table("reason", "failures", "first")
        for reason, count in sorted(result.failures.items()):
            table.add_row(plain(reason), str(count), plain(result.samples[reason][0]))
        if result.failures:
            console.print(table)
        counts = f"{result.rows} rows, {result.images} images, {result.unchecked:.1%} of hops unchecked"
        unreviewed = f", {result.unreviewed} rows that no human has answered" if result.unreviewed else ""
        if result.withdrawn:
            console.print(f"{result.withdrawn} photos were withdrawn since this version; pull a newer one")
        console.print(f"{'ok' if result.ok else 'FAILED' if result.rows else 'EMPTY'}: {counts}{unreviewed}")
    raise typer.Exit(0 if result.ok else 1)


@app.command()
def withdraw(
    photo: Annotated[str, typer.Argument(help="image_id or uri of the photo")],
    reason: Annotated[str, typer.Option(help="kept in its tombstone")],
    as_json: AsJson = False,
) -> None:
    """Exclude a photo from now on; released versions keep it, but clones of them learn of it. See also `erase`."""
    from hopchain_etl.settings import Settings
    from hopchain_etl.takedown.everywhere import withdraw

    done = withdraw(Settings(), photo, reason)
    if done.untold:
        Console(stderr=True).print(done.untold)
    _report({"withdrawn": done.images}, as_json)


@app.command()
def erase(
    photo: Annotated[str, typer.Argument(help="image_id or uri of the photo")],
    reason: Annotated[str, typer.Option(help="kept in its tombstone and in yanked.json")],
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a photo's bytes, rows and answers permanently from the lake and the registry; keep only its tombstone.

    Released versions that contain it are yanked: their tags are renamed yanked/... and can no longer be pulled. The git
    history of the registry is rewritten where it names the photo. Run it while no build and no publish is running, and
    `hopchain publish` afterwards for a version without it. If it is cut off, run it again with the uri or the image_id:
    it finishes what remains.
    """
    from hopchain_etl.lake.lake import Lake
    from hopchain_etl.settings import Settings
    from hopchain_etl.takedown.everywhere import erase
    from hopchain_etl.takedown.photos import unfinished

    settings = Settings()
    for image, steps in unfinished(Lake(settings.lake)).items():
        Console(stderr=True).print(f"the erase of {image} is not finished; what remains: {', '.join(steps)}")
    if not yes:
        typer.confirm(f"Erase {photo} and yank the versions that contain it? This cannot be undone.", abort=True)
    _report(erase(settings, photo, reason), as_json)


@app.command()
def gc(
    yes: Annotated[bool, typer.Option("--yes", help="delete; without it, only list")] = False,
    grace_hours: Annotated[
        float, typer.Option(min=0, max=876_000, help="keep unreferenced parts that are younger than this")
    ] = 24.0,
    as_json: AsJson = False,
) -> None:
    """List (with --yes delete) unused tables of old lineages, parts that are in no marker, and old token ledgers.

    With `retention.record_days` also old records of runs, reports and marks of notices; with `retention.journal_days`
    old model answers in the journal; and with `retention.votes_days` the votes of a batch that was settled long ago are
    packed into one object.

    Kept, and listed with the reason, are the current lineage, those in the settings, and those that a released version,
    a batch, answers of people or the record of a run names. Photos and human answers are never deleted.
    """
    from hopchain_etl.settings import Settings
    from hopchain_etl.takedown.gc import gc_by_settings

    found = gc_by_settings(Settings(), dry_run=not yes, grace_seconds=grace_hours * 3600)
    told = {"deleted" if yes else "would delete": len(found.keys), "bytes": found.size}
    told |= {"votes packed" if yes else "votes to pack": sum(found.packed.values())}
    if as_json:
        _report({**told, "keys": found.keys, "kept": found.kept, "packed": found.packed}, as_json)
        return
    for key in found.keys:
        console.print(key, markup=False, highlight=False)
    for name, votes in found.packed.items():
        console.print(f"votes/{name}/: {votes} objects into one", markup=False, highlight=False)
    table = Table("kept", "because")
    for name, why in sorted(found.kept.items()):
        table.add_row(plain(name), plain(why))
    console.print(table)
    _report(told, as_json)


def _snapshot() -> dict[str, Any]:
    from hopchain_etl.release.inputs import read_snapshot

    return read_snapshot(SNAPSHOT)


def _folder(target: str) -> Path:
    folder = Path("training_set") / target
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _report(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts, indent=1, sort_keys=True))
        return
    table = Table(show_header=False)
    for name, value in facts.items():
        table.add_row(plain(name), plain(str(value)))
    console.print(table)
