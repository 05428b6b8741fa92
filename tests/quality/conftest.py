"""Fixtures for the tests of the suites: a validator that reaches nobody."""

from __future__ import annotations

import socket

import pyarrow as pa
import pytest

from hopchain_etl.quality.validator import SuiteResult, Validator, make_validator
from hopchain_etl.settings import QualitySettings


@pytest.fixture(scope="module")
def calls_home() -> list[object]:
    """Whom the process tried to reach while these tests validated."""
    return []


@pytest.fixture(scope="module")
def validate(calls_home: list[object]) -> Validator:
    def refuse(*address: object, **_: object) -> None:
        calls_home.append(address)
        raise OSError("tests of the suites reach nobody")

    inner = make_validator(QualitySettings())

    def quietly(table: str, rows: pa.Table) -> SuiteResult:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", refuse)
            patch.setattr(socket.socket, "connect", refuse)
            return inner(table, rows)

    return quietly
