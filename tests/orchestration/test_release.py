"""The tasks of hopchain_release: what a person asked for wrongly fails them at once."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from hopchain_etl.orchestration import release

RUN: Any = SimpleNamespace(run_id="manual__1", logical_date=None, run_after=datetime(2026, 11, 22, tzinfo=UTC))


@pytest.mark.airflow
@pytest.mark.parametrize("targets", [["default", "default"], []])
def test_targets_that_make_no_release_are_not_tried_again(targets: list[str]) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match="targets"):
        release.propose({"targets": targets}, RUN)
    with pytest.raises(AirflowFailException, match="targets"):
        release.release({"targets": targets}, None, RUN)
