"""``hopchain s3 start | stop | status``: the embedded S3 server from the command line."""

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hopchain_etl.engines.proxies import loopback_excepted, names_proxy

if TYPE_CHECKING:
    from hopchain_etl.demo.s3_folder import ServerInfo

NOT_RUNNING = 3  # what `systemctl status` exits with

app = typer.Typer(help="An S3 server in a folder, for demos and laptops: real storage, real keys, loopback only.")

Folder = Annotated[Path, typer.Option(help="Where the server keeps its data, keys and log.")]
DEFAULT_FOLDER = Path(".hopchain/s3")


@app.command()
def start(
    folder: Folder = DEFAULT_FOLDER,
    port: Annotated[int | None, typer.Option(help="S3 port; the next 3 and these 4 + 10000 are used too.")] = None,
    bucket: Annotated[
        list[str] | None, typer.Option("--bucket", help="Make this bucket if it is missing; may be repeated.")
    ] = None,
    show_keys: Annotated[bool, typer.Option("--show-keys", help="Print the keys as well.")] = False,
) -> None:
    """Start the server if it is not running; print its endpoint and how to use it."""
    from hopchain_etl.demo import s3_server

    with _errors_told():
        info = s3_server.start(folder, port=port)
        for name in bucket or ():
            s3_server.make_bucket(info, name)
    typer.echo(f"# S3 server at {info.endpoint_url}, process {info.pid}, data in {info.data}")
    typer.echo(
        f"# Keys of {', '.join(info.credentials)}: {info.credentials_file}, as AWS profiles: {info.profiles_file}"
    )
    if not bucket:
        typer.echo(
            "# The writer makes no buckets; make those of your settings with --bucket, such as --bucket hopchain"
        )
    typer.echo("# To use it from this shell:")
    for name, value in _exports(info).items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    if show_keys:
        for name, keys in info.credentials.items():
            typer.echo(f"# {name}: {keys.access_key} {keys.secret_key}")


@app.command()
def stop(folder: Folder = DEFAULT_FOLDER) -> None:
    """Stop the server; its data are kept."""
    from hopchain_etl.demo import s3_server

    with _errors_told():
        stopped = s3_server.stop(folder)
    typer.echo("stopped" if stopped else f"no server runs in {folder}")


@app.command()
def status(
    folder: Folder = DEFAULT_FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="JSON output, without secrets.")] = False,
) -> None:
    """Say whether the server runs: exit code 0 if so, 3 if not."""
    from hopchain_etl.demo import s3_server

    with _errors_told():
        info = s3_server.status(folder)
    if as_json:
        typer.echo(json.dumps({"running": False} if info is None else _public(info), indent=2))
    else:
        typer.echo(f"running at {info.endpoint_url}, process {info.pid}" if info else f"no server runs in {folder}")
    if info is None:
        raise typer.Exit(NOT_RUNNING)


@contextmanager
def _errors_told() -> Iterator[None]:
    """Print an error of the server and exit with 1."""
    from hopchain_etl.demo.s3_folder import S3ServerError

    try:
        yield
    except S3ServerError as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(1) from error


def _exports(info: "ServerInfo") -> dict[str, str]:
    """Return the environment that points boto3, DVC and the AWS CLI at the server, as the writer."""
    return {
        **(loopback_excepted(os.environ) if names_proxy(os.environ) else {}),
        "AWS_ENDPOINT_URL_S3": info.endpoint_url,
        "AWS_SHARED_CREDENTIALS_FILE": str(info.profiles_file),
        "AWS_PROFILE": "writer",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _public(info: "ServerInfo") -> dict[str, object]:
    return {
        "running": True,
        "endpoint_url": info.endpoint_url,
        "pid": info.pid,
        "data": str(info.data),
        "log": str(info.log),
        "credentials_file": str(info.credentials_file),
        "profiles_file": str(info.profiles_file),
        "access_keys": {name: keys.access_key for name, keys in info.credentials.items()},
    }
