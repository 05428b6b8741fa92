"""Every key that a test of the desk leaves in a lake is known to hold data of people, or to hold none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hopchain_etl.demo.s3_folder import ServerInfo
from hopchain_etl.takedown.people.stores import is_classified
from support.s3 import S3Location, s3_client

LAKE = "lake/"  # see support.drawn_lake.settings_for


@pytest.fixture(autouse=True)
def keys_are_classified(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail if a test left a key that is in no list of ``takedown.people.stores``."""
    if "bucket" not in request.fixturenames:
        yield
        return
    bucket: S3Location = request.getfixturevalue("bucket")
    server: ServerInfo = request.getfixturevalue("s3_server")
    yield
    client = s3_client(bucket.endpoint_url, server.credentials["admin"])
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket.bucket, Prefix=LAKE)
    keys = [entry["Key"].removeprefix(LAKE) for page in pages for entry in page.get("Contents", ())]
    assert [key for key in keys if not is_classified(key)] == [], "add them to hopchain_etl/takedown/people/stores.py"
