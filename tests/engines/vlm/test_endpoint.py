"""How a model's server is addressed."""

from __future__ import annotations

import pytest

from hopchain_etl.engines.vlm.endpoint import address, headers


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://host:8000/v1", "http://host:8000/v1/models"),
        ("http://host:8000/v1/", "http://host:8000/v1/models"),
        ("https://a.example/deployments/d?api-version=1", "https://a.example/deployments/d/models?api-version=1"),
        ("https://a.example/v1/?a=1&b=2", "https://a.example/v1/models?a=1&b=2"),
    ],
)  # fmt: skip
def test_a_path_goes_before_the_query(endpoint: str, url: str) -> None:
    assert address(endpoint, "models") == url


def test_the_key_has_the_name_that_the_server_knows() -> None:
    kind = {"Content-Type": "application/json"}
    assert headers("http://host/v1", None) == headers("http://host/v1?api-version=1", "") == kind
    assert headers("http://host/v1", "key") == {**kind, "Authorization": "Bearer key"}
    assert headers("http://host/v1?api-version=1", "key") == {**kind, "api-key": "key"}
