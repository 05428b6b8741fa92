"""Errors of single shards: kept and named, unless they would stop the others too."""

from __future__ import annotations

import pytest

from hopchain_etl.engines.base import EngineDownError, TokenCeilingError
from hopchain_etl.errors import StoppedError
from hopchain_etl.lake.lake import LakeError, Shard
from hopchain_etl.lake.object_store import StoreError
from hopchain_etl.pipeline.shard_errors import ShardErrors, ShardsFailedError, ShardsRejectedError
from hopchain_etl.quality.validator import QualityError


def kept(*errors: Exception) -> ShardErrors:
    found = ShardErrors()
    for index, error in enumerate(errors):
        with found.of(Shard("night", index)):
            raise error
    return found


def test_no_error_raises_nothing() -> None:
    kept().raise_any()


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        ([QualityError("too many"), ValueError("no engine")], ShardsRejectedError),
        ([QualityError("too many"), LakeError("part is damaged")], ShardsFailedError),
        ([OSError("disk full")], ShardsFailedError),
    ],
)
def test_every_bad_shard_is_named_and_another_try_is_promised_only_if_it_may_help(
    errors: list[Exception], kind: type[Exception]
) -> None:
    with pytest.raises(ShardsFailedError) as caught:
        kept(*errors).raise_any()
    assert type(caught.value) is kind
    first, *lines = str(caught.value).splitlines()
    assert first.startswith(f"{len(errors)} of the shards failed")
    named = enumerate(zip(lines, errors, strict=True))
    assert all(f"night/{n:04d}" in line and str(error) in line for n, (line, error) in named)


def test_a_message_stays_short() -> None:
    with pytest.raises(ShardsRejectedError) as caught:
        kept(*[QualityError(f"bad\nwith sample {'x' * 500}") for _ in range(400)]).raise_any()
    assert len(str(caught.value)) < 2_000
    assert "and 380 more" in str(caught.value)


@pytest.mark.parametrize("kind", [EngineDownError, TokenCeilingError, StoppedError, StoreError])
def test_what_would_stop_the_others_too_is_not_kept(kind: type[Exception]) -> None:
    with pytest.raises(kind):
        kept(kind("down"))
