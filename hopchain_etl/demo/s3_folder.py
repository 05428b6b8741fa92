"""The folder of an embedded S3 server: its files, keys, saved state and ports."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hopchain_etl.errors import ReportedError

HOST = "127.0.0.1"
GRPC_OFFSET = 10_000  # SeaweedFS opens a gRPC port this far above each HTTP port
SERVICES = ("s3", "master", "volume", "filer")  # consecutive ports, S3 first
PORTS = range(20_000, 22_700, len(SERVICES))  # with their gRPC ports below the ephemeral range, which starts at 32768

# The reader is for training teams; only the admin creates and deletes buckets.
IDENTITIES: Mapping[str, tuple[str, ...]] = {
    "admin": ("Admin", "Read", "Write", "List", "Tagging"),
    "writer": ("Read", "Write", "List", "Tagging"),
    "reader": ("Read", "List"),
}


class S3ServerError(ReportedError):
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
            # Every bucket uses its own volumes. By default SeaweedFS limits their number to free disk / volume size,
            # so that a laptop runs out after a dozen buckets.
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


def choose_port(wanted: int | None, last: Any) -> int:
    """Return the first port of a free block: the requested one, otherwise the last used one, otherwise any."""
    if wanted is not None:
        if not 1024 <= wanted <= 65_536 - GRPC_OFFSET - len(SERVICES):
            raise S3ServerError(f"port {wanted} is out of range; choose one from 1024 to 55532")
        if not ports_free(wanted):
            needs = f"ports {wanted} to {wanted + 3} and the four {GRPC_OFFSET} above them"
            raise S3ServerError(f"one of {needs} is taken; choose another port, or omit it to get a free one")
        return wanted
    if isinstance(last, int) and ports_free_soon(last):
        return last
    candidates = secrets.SystemRandom().sample(PORTS, len(PORTS))
    for port in candidates:
        if ports_free(port):
            return port
    raise S3ServerError(f"no four free ports in a row from {PORTS.start} to {PORTS.stop}; pass a port number")


def ports_free(first: int) -> bool:
    """Return whether a block of ports is free, with their gRPC ports."""
    for port in range(first, first + len(SERVICES)):
        for number in (port, port + GRPC_OFFSET):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections may still be there
                try:
                    probe.bind((HOST, number))
                except OSError:
                    return False
    return True


def ports_free_soon(first: int) -> bool:
    """Return whether the ports are free within a second: a killed process closes them a moment after it has ended."""
    deadline = time.monotonic() + 1.0
    while not (free := ports_free(first)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return free


def prepare_files(server: S3Server) -> None:
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


def read_state(folder: Path) -> dict[str, Any]:
    """Return the state saved by the last start or stop: ``port`` and ``pid``. The content is not trusted."""
    try:
        state = json.loads((folder / "server.json").read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def save_state(server: S3Server, pid: int | None) -> None:
    """Save the port and the process id; None if the server has been stopped."""
    _write_private(server.folder / "server.json", json.dumps({"port": server.port, "pid": pid}))


def _write_private(path: Path, text: str) -> None:
    """Atomically replace ``path`` by a file that only its owner can read."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Allow only one start or stop per folder at a time."""
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
