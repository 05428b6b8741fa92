"""The model servers that this process has launched, and how many seconds each took until it was ready."""

from __future__ import annotations

from dataclasses import dataclass

_launches: list[Launch] = []  # append-only: who wants those of a time counts from where the list ended before


@dataclass(frozen=True)
class Launch:
    """A server that became ready: its model, the GPUs it is spread over, and the seconds that this took."""

    model: str
    gpus: int
    seconds: float


def record_launch(launch: Launch) -> None:
    """Remember a server that has become ready."""
    _launches.append(launch)


def launches_since(number: int = 0) -> list[Launch]:
    """Return the launches of this process after the first ``number``, in order."""
    return _launches[number:]
