"""What is chosen in the form overrides the settings of one run."""

from __future__ import annotations

from typing import Any

import pytest

from hopchain_etl.orchestration.run_params import settings_for
from hopchain_etl.settings import Policy, Settings


def test_params_take_their_places_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOPCHAIN_INGEST__LIMIT", "5")
    monkeypatch.setenv("HOPCHAIN_INGEST__MIN_SIDE", "99")
    params = {"source_uri": "s3://b/p", "image_limit": None, "shard_size": 7, "intakes": "all"}
    settings = settings_for({**params, "token_ceiling": 3, "policy": "unreviewed", "targets": ["a", "b"]})
    assert settings.source.uri == "s3://b/p"
    assert settings.ingest.limit is None  # emptied in the form: no limit, whatever the environment says
    assert (settings.ingest.shard_size, settings.ingest.min_side) == (7, 99)
    assert settings.engines.token_ceiling == 3
    assert (settings.release.policy, settings.release.targets) == (Policy.UNREVIEWED, ("a", "b"))
    monkeypatch.setenv("HOPCHAIN_EVALUATE__MODEL__ENDPOINT_URL", "http://models:8000/v1")
    asked = settings_for({"model": "m", "revision": "7", "samples": 8, "variants": ["full", "half"]}).evaluate
    assert (asked.model.model, asked.model.revision, asked.model.endpoint_url) == ("m", "7", "http://models:8000/v1")
    assert (asked.samples, asked.variants, asked.split) == (8, ("full", "half"), "validation")
    assert settings_for({}) == Settings()


def test_what_is_pasted_into_the_form_has_no_blanks_around_it() -> None:
    pasted = {"source_uri": "s3://b/photos \n", "targets": ["a ", "b\r"], "model": " m", "revision": "7\n"}
    settings = settings_for(pasted)
    assert (settings.source.uri, settings.release.targets) == ("s3://b/photos", ("a", "b"))
    assert (settings.evaluate.model.model, settings.evaluate.model.revision) == ("m", "7")


@pytest.mark.parametrize(
    "params",
    [{"source_uri": "/photos"}, {"shard_size": 0}, {"image_limit": -1}, {"policy": "majority"}],
)
def test_params_out_of_bounds_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        settings_for(params)
