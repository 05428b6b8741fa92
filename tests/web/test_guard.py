"""Writes from pages of our own, also where a proxy stands before Airflow; what is refused is in test_security."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hopchain_etl.demo.s3_folder import ServerInfo
from support.desk_clients import Office, desk_of_its_own

pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def desk(s3_server: ServerInfo) -> Iterator[Office]:
    with desk_of_its_own(s3_server) as made:
        yield made


@pytest.mark.parametrize(
    "address", ["https://desk.example:443/", "https://Desk.Example/airflow", "https://desk.example"]
)
def test_a_page_may_write_where_a_proxy_changes_the_host_and_airflow_knows_its_address(
    desk: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", address)
    http = desk.worker().http
    for origin, status in (("https://desk.example", 200), ("https://other.example", 403)):
        headers = {"x-user": "ann", "host": "10.0.0.7:8080", "origin": origin}
        assert http.post("/api/practised", json={}, headers=headers).status_code == status
    assert "AIRFLOW__API__BASE_URL" in caplog.text
