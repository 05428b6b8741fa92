"""Airflow Connections: which settings name them, and what a process says that cannot read one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from hopchain_etl import airflow_connections
from hopchain_etl.airflow_connections import UnreadableConnectionError
from hopchain_etl.engines.vlm.connection import api_key
from hopchain_etl.settings import Settings, VlmSettings

pytestmark = pytest.mark.airflow


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("HOPCHAIN_VLM__CONNECTION", "models")


def test_every_setting_that_names_a_connection_is_found_and_what_inherits_it_is_not_named_again() -> None:
    settings = Settings.model_validate(
        {
            "lake": {"connection": "site"},
            "source": {"endpoint_url": "http://other:1", "connection": "photos"},
            "registry": {"remote": {"uri": "s3://b/dvc"}},
            "vlm": {"connection": "models"},
            "evaluate": {"model": {"connection": "trained"}},
            "orchestrate": {"failure_webhook_connection": "pager"},
        }
    )
    assert airflow_connections.named_in(settings) == {
        "site": "lake.connection",
        "photos": "source.connection",
        "models": "vlm.connection",
        "trained": "evaluate.model.connection",
        "pager": "orchestrate.failure_webhook_connection",
    }


def test_the_key_of_a_model_is_the_password_or_one_line_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableConnectionError) as raised:
        api_key(VlmSettings(connection="models"))
    assert "Connection 'models' (HOPCHAIN_VLM__CONNECTION), because" in str(raised.value)
    assert "\n" not in str(raised.value)
    monkeypatch.setenv("AIRFLOW_CONN_MODELS", json.dumps({"conn_type": "http", "password": "key"}))
    assert api_key(VlmSettings(connection="models")) == "key"


def test_a_variable_that_is_no_connection_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MODELS", '{"password": "s3cret"')
    with pytest.raises(UnreadableConnectionError, match="correct AIRFLOW_CONN_MODELS") as raised:
        airflow_connections.read("models")
    assert "s3cret" not in str(raised.value)
    assert "delimiter: line 1 column 22" in str(raised.value)


def test_an_unknown_field_of_a_connection_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MODELS", '{"conn_type": "http", "token": "s3cret", "password": "s3cret"}')
    with pytest.raises(UnreadableConnectionError, match="a Connection has no token, only conn_type, desc") as raised:
        airflow_connections.read("models")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("value", ["'{}'", '"http://:key@host"', "[]", "null", "models"])
def test_a_variable_that_airflow_would_take_for_a_connection_without_keys_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MODELS", value)
    with pytest.raises(UnreadableConnectionError, match="correct AIRFLOW_CONN_MODELS") as raised:
        airflow_connections.read("models")
    assert ("remove the quotes around it" in str(raised.value)) == (value[0] in "'\"")
    monkeypatch.setenv("AIRFLOW_CONN_MODELS", "aws://me:a/key@")
    with pytest.raises(UnreadableConnectionError, match="a / in a key is %2F there"):
        airflow_connections.read("models")
    for sound in ('{"conn_type": "http", "password": "key"}', "http://:key@host", "my-type://:key@host"):
        monkeypatch.setenv("AIRFLOW_CONN_MODELS", f" {sound}\r\n")
        assert airflow_connections.read("models").password == "key"


def test_an_empty_variable_is_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow goes on to its other places, where the Connection may be."""
    asked: list[str] = []
    monkeypatch.setattr("airflow.sdk.bases.hook.BaseHook.get_connection", asked.append)
    monkeypatch.setenv("AIRFLOW_CONN_MODELS", "")
    airflow_connections.read("models")
    assert asked == ["models"]


def test_an_api_server_has_the_database_so_the_connection_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_connections, "in_task", lambda: True)
    with pytest.raises(UnreadableConnectionError, match=r"Airflow has no Connection 'models'.*; create it"):
        airflow_connections.read("models")


def test_without_airflow_the_error_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.sdk", None)
    with pytest.raises(UnreadableConnectionError, match=r"not installed here; install hopchain-etl\[orchestrate\]"):
        airflow_connections.read("models")
