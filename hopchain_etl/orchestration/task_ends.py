"""How a task ends if not by success: skipped, or failed in a way that another try would not mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def fail_without_retry(*kinds: type[Exception]) -> Iterator[None]:
    """Convert errors of these types to AirflowFailException, which is not retried."""
    try:
        yield
    except kinds as error:
        from airflow.sdk.exceptions import AirflowFailException

        raise AirflowFailException(f"{type(error).__name__}: {error}") from error


def skip(why: str) -> None:
    """End the task as skipped."""
    from airflow.sdk.exceptions import AirflowSkipException

    raise AirflowSkipException(why)
