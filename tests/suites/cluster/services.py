"""What a cluster stands on: processes that can be killed with all their children, Postgres, Redis, a StatsD socket."""

from __future__ import annotations

import os
import pwd
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def until(what: Callable[[], Any], why: str, *, seconds: float = 900) -> Any:
    """Ask again until the answer is true, and return it; fail, saying ``why``, after some seconds."""
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < deadline, f"{why}: not within {seconds:.0f} s"
        time.sleep(1)
    return answer


@dataclass(frozen=True)
class Part:
    """A process in a session of its own, which its children share."""

    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, command: Sequence[str], env: Mapping[str, str], log: Path, **how: Any) -> Part:
        with log.open("ab") as sink:
            process = subprocess.Popen(
                command,
                env=dict(env),
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                **{"stdin": subprocess.DEVNULL, **how},
            )
        return cls(process, log)

    def members(self) -> list[int]:
        """Return the live processes of the session; a task of a Celery worker has a process group of its own."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                state, _, _, session = (place / "stat").read_text().rpartition(")")[2].split()[:4]
                if state != "Z" and int(session) == self.process.pid:
                    found.append(int(place.name))
        return found

    def signal(self, number: signal.Signals) -> None:
        for pid in self.members():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self, number: signal.Signals) -> None:
        """Ask the first process to end, and kill what is left after 15 seconds."""
        self.process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=15)
        self.kill()

    def kill(self) -> None:
        """End it at once, with its children, as a machine that fails does."""
        deadline = time.monotonic() + 60
        while self.members() and time.monotonic() < deadline:  # some may just be starting others
            self.signal(signal.SIGKILL)
            time.sleep(0.1)
        self.process.wait(timeout=60)
        assert not self.members()


@contextmanager
def postgres(folder: Path, password: str) -> Iterator[int]:
    """Serve a database ``airflow`` of the user ``airflow``; yield the port. Postgres does not run as root."""
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    user = pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    how: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
    data, secret, env = folder / "data", folder / "password", {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    secret.touch(mode=0o600)
    secret.write_text(password)
    for path in (folder, secret):
        os.chown(path, user.pw_uid, user.pw_gid)
    make = [binaries / "initdb", "-D", data, "-U", "airflow", "-A", "scram-sha-256", "--pwfile", secret, "--no-sync"]
    subprocess.run(make, env=env, cwd=folder, check=True, capture_output=True, **how)
    port = free_port()
    calm = ("-c", "fsync=off", "-c", "max_connections=200")
    command = [binaries / "postgres", "-D", data, "-h", HOST, "-p", str(port), "-k", "", *calm]
    part = Part.start(command, env, folder / "postgres.log", cwd=folder, **how)
    try:
        ready = [binaries / "pg_isready", "-q", "-h", HOST, "-p", str(port)]
        until(lambda: subprocess.run(ready, check=False).returncode == 0, "Postgres answers", seconds=180)
        login = env | {"PGPASSWORD": password}
        create = [binaries / "createdb", "-h", HOST, "-p", str(port), "-U", "airflow", "airflow"]
        subprocess.run(create, env=login, cwd=folder, check=True, capture_output=True)
        yield port
    finally:
        part.stop(signal.SIGINT)


@contextmanager
def redis(folder: Path, password: str) -> Iterator[int]:
    """Serve Redis; yield the port. It reads its password from stdin, so that no list of processes shows it."""
    port = free_port()
    lines = (f"bind {HOST}", f"port {port}", f"requirepass {password}", 'save ""', f"dir {folder}")
    part = Part.start(["redis-server", "-"], os.environ, folder / "redis.log", stdin=subprocess.PIPE)
    try:
        assert part.process.stdin is not None
        part.process.stdin.write("\n".join(lines).encode())
        part.process.stdin.close()
        until(lambda: _listens(port), "Redis answers", seconds=180)
        yield port
    finally:
        part.stop(signal.SIGTERM)


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex((HOST, port)) == 0


@contextmanager
def statsd() -> Iterator[tuple[int, set[str]]]:
    """Receive StatsD; yield the port and the names of the metrics that came."""
    names: set[str] = set()
    ended = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind((HOST, 0))
        receiver.settimeout(0.5)

        def receive() -> None:
            while not ended.is_set():
                with suppress(TimeoutError):
                    names.update(re.findall(r"^([^:\n]+):", receiver.recv(65_536).decode(), re.MULTILINE))

        thread = threading.Thread(target=receive)
        thread.start()
        try:
            yield receiver.getsockname()[1], names
        finally:
            ended.set()
            thread.join()
