"""What an aws Connection says reaches both clients of S3; settings win; what is not supported is named."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.demo.s3_folder import Credentials, ServerInfo
from hopchain_etl.lake.aws_session import ca_bundle, open_session
from hopchain_etl.lake.object_store import StoreError
from hopchain_etl.lake.s3_store import S3Store
from hopchain_etl.settings import S3Settings
from support.s3 import S3Location
from support.sts import ROLE, Sts, connection, sts_server

pytestmark = pytest.mark.airflow

Define = Callable[..., S3Settings]


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Define:
    """Define the Connection ``site`` and return settings that name it; the environment has no keys."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE", "DEFAULT_REGION", "ENDPOINT_URL_S3"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def defined(extra: dict[str, Any], *, login: str = "", password: str = "", **place: Any) -> S3Settings:
        facts = {"conn_type": "aws", "login": login, "password": password, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_SITE", json.dumps({name: value for name, value in facts.items() if value}))
        return S3Settings.model_validate({"uri": "s3://bucket/x", "connection": "site", **place})

    return defined


@pytest.fixture
def sts(s3_server: ServerInfo) -> Iterator[Sts]:
    with sts_server("caller", lambda number: s3_server.credentials["admin"]) as running:
        yield running


def assuming(sts: Sts, bucket: S3Location) -> dict[str, Any]:
    extra: dict[str, Any] = json.loads(connection(sts, bucket.endpoint_url))["extra"]
    return extra


def works(store: S3Store) -> None:
    """Write and read with obstore (plain key) and with boto3 (odd key)."""
    for key in ("plain", "a//b"):
        store.put(key, b"bytes")
        assert store.get(key) == b"bytes"


@pytest.mark.s3
def test_endpoint_addressing_and_keys_may_all_be_in_the_connection(bucket: S3Location, define: Define) -> None:
    extra = {
        "aws_access_key_id": bucket.access_key,
        "aws_secret_access_key": bucket.secret_key,
        "endpoint_url": bucket.endpoint_url,
        "config_kwargs": {"s3": {"addressing_style": "path"}},
    }
    works(S3Store(define(extra, uri=f"s3://{bucket.bucket}/x")))


@pytest.mark.s3
def test_a_profile_may_have_the_keys(bucket: S3Location, define: Define, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(
        f"[site]\naws_access_key_id = {bucket.access_key}\naws_secret_access_key = {bucket.secret_key}\n"
    )
    place = {"uri": f"s3://{bucket.bucket}/x", "endpoint_url": bucket.endpoint_url, "path_style": True}
    works(S3Store(define({"profile_name": "site"}, **place)))
    with pytest.raises(StoreError, match="other"):
        S3Store(define({"profile_name": "other"}, **place))


@pytest.mark.s3
def test_a_role_is_assumed_for_both_clients(bucket: S3Location, define: Define, sts: Sts) -> None:
    extra = {**assuming(sts, bucket), "assume_role_kwargs": {"ExternalId": "ours", "DurationSeconds": 900}}
    works(S3Store(define(extra, login="caller", password="secret", uri=f"s3://{bucket.bucket}/x")))
    (asked,) = sts.asked
    assert (asked["RoleArn"], asked["ExternalId"], asked["DurationSeconds"]) == (ROLE, "ours", "900")


@pytest.mark.s3
def test_keys_of_a_role_are_renewed_before_they_end(
    bucket: S3Location, define: Define, sts: Sts, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = sts.keys
    sts.keys = lambda number: right(number) if number else Credentials("ended", "x" * 20)
    sts.seconds = 1
    settings = define(assuming(sts, bucket), login="caller", password="secret", uri=f"s3://{bucket.bucket}/x")
    store = S3Store(settings)
    assert len(sts.asked) == 1
    time.sleep(1)
    sts.seconds = 3600
    works(store)  # with the first keys it would not
    assert len(sts.asked) == 2


@pytest.mark.s3
def test_a_role_that_is_refused_is_one_line_with_its_connection(bucket: S3Location, define: Define, sts: Sts) -> None:
    settings = define(assuming(sts, bucket), login="stranger", password="s3cret-of-it")
    with pytest.raises(StoreError) as raised:
        S3Store(settings)
    text = str(raised.value)
    assert re.search(rf"Connection 'site' does not get its role: .*{ROLE}.*; correct role_arn", text)
    assert "s3cret" not in text


@pytest.mark.parametrize(
    ("extra", "place", "endpoint", "region"),
    [
        ({"endpoint_url": "http://c:1", "region_name": "eu-west-1"}, {}, "http://c:1", "eu-west-1"),
        (
            {"endpoint_url": "http://c:1", "region_name": "eu-west-1"},
            {"endpoint_url": "http://s:2", "region": "us-west-2"},
            "http://s:2",
            "us-west-2",
        ),
        ({"endpoint_url": "http://c:1", "service_config": {"s3": {"endpoint_url": "http://d:3"}}}, {}, "http://d:3",
         "us-east-1"),
        ({}, {}, None, "us-east-1"),
    ],
    ids=["connection", "settings win", "of the service", "neither"],
)  # fmt: skip
def test_a_setting_wins_over_the_connection(
    define: Define, extra: dict[str, Any], place: dict[str, Any], endpoint: str | None, region: str
) -> None:
    session, address = open_session(define(extra, login="me", password="key", **place))
    assert (address.endpoint_url, address.region, session.region_name) == (endpoint, region, region)


def test_a_session_token_is_used(define: Define) -> None:
    session, _ = open_session(define({"aws_session_token": "token"}, login="me", password="key"))
    credentials = session.get_credentials()
    assert credentials is not None
    assert tuple(credentials.get_frozen_credentials())[:3] == ("me", "key", "token")


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ({"host": "http://old:9000"}, "extras that are not supported: host;"),
        ({"session_kwargs": {}, "s3_config_file": "x"}, "not supported: s3_config_file, session_kwargs;"),
        ({"config_kwargs": {"retries": {}, "s3": {"payload_signing_enabled": True}}},
         "not supported: config_kwargs.retries, config_kwargs.s3.payload_signing_enabled;"),
        ({"verify": False}, "certificates are always verified;"),
        ({"role_arn": ROLE, "assume_role_method": "magic"}, "assume_role_method='magic'"),
        ({"role_arn": ROLE, "assume_role_method": "assume_role_with_web_identity",
          "assume_role_with_web_identity_federation": "elves"}, "Unsupported federation: elves"),
        ({"config_kwargs": '{"s3": {}}', "service_config": None}, "has config_kwargs, service_config that is no JSON"),
        ({"config_kwargs": {"s3": "path"}, "service_config": {"sts": ""}}, "config_kwargs.s3, service_config.sts that"),
        ({"assume_role_kwargs": "{}", "role_arn": ROLE}, "has assume_role_kwargs that is no JSON object;"),
        ({"endpoint_url": "http://s3:9000\r"}, "line break at the start or end of endpoint_url; remove it"),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_named(define: Define, extra: dict[str, Any], named: str) -> None:
    with pytest.raises(StoreError) as raised:
        S3Store(define(extra, login="me", password="key"))
    assert named in str(raised.value)
    assert "; " in str(raised.value), "a remedy"


def test_null_is_no_extra_where_airflow_takes_it_for_none(define: Define) -> None:
    extra = {"assume_role_kwargs": None, "assume_role_with_saml": None, "region_name": None}
    session, _ = open_session(define(extra, login="me", password="key"))
    credentials = session.get_credentials()
    assert credentials is not None
    assert credentials.access_key == "me"


@pytest.mark.parametrize("extra", ['"{}"', "[]", "null"])
def test_an_extra_that_is_no_object_is_named(define: Define, monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    settings = define({})
    monkeypatch.setenv("AIRFLOW_CONN_SITE", json.dumps({"conn_type": "aws", "extra": extra}))
    with pytest.raises(StoreError, match="has an extra that is no JSON object;"):
        S3Store(settings)


def test_keys_with_a_line_break_are_named_and_not_shown(define: Define, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="'site' has a blank or line break at the start or end of password;") as raised:
        S3Store(define({}, login="me", password="a-secret\n"))
    assert "a-secret" not in str(raised.value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me\r")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    with pytest.raises(StoreError, match="at the start or end of AWS_ACCESS_KEY_ID in the environment; remove it"):
        S3Store(S3Settings(uri="s3://bucket/x"))
    open_session(define({}, login="me", password="a-secret"))  # the Connection says it


def test_half_a_key_pair_and_a_host_are_named(define: Define, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="only one of login and password"):
        S3Store(define({}, login="me"))
    settings = define({})
    monkeypatch.setenv("AIRFLOW_CONN_SITE", "aws://me:key@old:9000")
    with pytest.raises(StoreError, match="has a host, which is not read; write it as endpoint_url"):
        S3Store(settings)


def test_certificates_of_the_connection_are_trusted(define: Define, tmp_path: Path) -> None:
    bundle = tmp_path / "own.pem"
    session, _ = open_session(define({"verify": str(bundle)}, login="me", password="key"))
    assert ca_bundle(session) == str(bundle)


def test_without_certificates_of_its_own_a_session_trusts_those_of_boto3(
    define: Define, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    session, _ = open_session(define({}, login="me", password="key"))
    assert ca_bundle(session) is None
