"""ShardErrors: keeps the errors of single shards, so that a bad one does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from hopchain_etl.engines.base import EngineDownError, TokenCeilingError
from hopchain_etl.errors import ReportedError, StoppedError
from hopchain_etl.lake.lake import Shard
from hopchain_etl.lake.object_store import StoreError
from hopchain_etl.quality.validator import QualityError

log = logging.getLogger(__name__)

# What would stop every other shard too.
FATAL = (EngineDownError, TokenCeilingError, StoppedError, StoreError)
_PERMANENT = (QualityError, ValueError)
_NAMED = 20  # shards in a message


class ShardsFailedError(ReportedError):
    """Some shards failed and all others are done; the message names them with their errors."""


class ShardsRejectedError(ShardsFailedError):
    """Likewise, and none of them would pass in another try."""


class ShardErrors:
    """The errors of single shards so far."""

    def __init__(self) -> None:
        self._errors: dict[Shard, Exception] = {}

    @contextmanager
    def of(self, shard: Shard) -> Iterator[None]:
        """Keep an error of ``shard``; errors that would stop every other shard too pass."""
        try:
            yield
        except FATAL:
            raise
        except Exception as error:
            expected = isinstance(error, QualityError)
            log.warning("%s failed: %s; going on with the others", shard, error, exc_info=not expected)
            self.add(shard, error)

    def add(self, shard: Shard, error: Exception) -> None:
        """Keep an error of ``shard``."""
        self._errors[shard] = error

    def raise_any(self) -> None:
        """Raise ShardsFailedError if a shard failed, ShardsRejectedError if no other try would help any of them."""
        if not self._errors:
            return
        lines = [f"  {shard}: {_first_line(error)}" for shard, error in sorted(self._errors.items())]
        more = [f"  and {len(lines) - _NAMED} more"] if len(lines) > _NAMED else []
        message = "\n".join([f"{len(lines)} of the shards failed; the others are done:", *lines[:_NAMED], *more])
        if all(isinstance(error, _PERMANENT) for error in self._errors.values()):
            raise ShardsRejectedError(message)
        raise ShardsFailedError(message)


def _first_line(error: Exception) -> str:
    text = str(error).partition("\n")[0]
    return text if isinstance(error, QualityError) else f"{type(error).__name__}: {text}"
