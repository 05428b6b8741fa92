"""A fuzz target, and ways to spoil good inputs."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FINDINGS = Path(__file__).parents[1] / "data" / "fuzz"
SECONDS = 5.0  # of processor time for one input; all are small


@dataclass(frozen=True)
class Target:
    """``check`` raises for an input that breaks the property that its docstring states."""

    name: str
    inputs: st.SearchStrategy[Any]
    check: Callable[[Any], None]

    def run(self, value: Any) -> None:
        """Check one input, and that it takes no time. Raises whatever is wrong with it."""
        began = time.process_time()
        self.check(value)
        took = time.process_time() - began
        assert took < SECONDS, f"{took:.1f} s"

    def explore(self, examples: int, before: Callable[[Any], None] = lambda value: None, **options: Any) -> None:
        """Draw inputs and check each; raises what the simplest failing one does. ``before`` is told each first.

        Each call draws others, under CI too, where hypothesis would repeat itself; not with ``derandomize=True``.
        """
        options = {"derandomize": False, "deadline": None, "database": None} | options

        @settings(max_examples=examples, suppress_health_check=list(HealthCheck), **options)
        @given(self.inputs)
        def draw(value: Any) -> None:
            before(value)
            self.run(value)

        draw()

    def findings(self) -> list[Path]:
        """Return the files of this target's past findings."""
        return sorted((FINDINGS / self.name).glob("*"))


def stored(value: Any) -> tuple[str, bytes]:
    """Return an input as the suffix and the bytes of a file."""
    if isinstance(value, bytes):
        return ".bin", value
    if isinstance(value, str):
        return ".txt", value.encode("utf-8", "surrogatepass")
    return ".json", json.dumps(value).encode()


def restored(path: Path) -> Any:
    """Return the input in a file."""
    data = path.read_bytes()
    if path.suffix == ".bin":
        return data
    return data.decode("utf-8", "surrogatepass") if path.suffix == ".txt" else json.loads(data)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["", "\0", "\ud800", "1e9999999999", "1/0", "-0", "\u0662\u0664", "h1", "i1", "9" * 400, 10**400, -1]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def spoiled(draw: st.DrawFn, good: Sequence[Any]) -> Any:
    """Draw a good JSON value in which a few places were replaced, removed or doubled."""
    value = copy.deepcopy(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(0, 4))):
        holder, key = _place(draw, value)
        if holder is None:
            return draw(VALUES)
        what = draw(st.sampled_from(("replace", "replace", "remove", "double")))
        if what == "replace":
            holder[key] = draw(VALUES)
        elif what == "remove":
            del holder[key]
        elif isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        else:
            holder[draw(st.text(max_size=6))] = holder[key]
    return value


def _place(draw: st.DrawFn, value: Any) -> tuple[Any, Any]:
    """Return a container inside of a value and a key of it, (None, None) if the value itself is meant."""
    holder, key = None, None
    while isinstance(value, dict | list) and value:
        if holder is not None and draw(st.integers(0, 3)) == 0:
            break
        holder, key = value, draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        value = holder[key]
    return holder, key


@st.composite
def damaged(draw: st.DrawFn, good: Sequence[bytes]) -> bytes:
    """Draw a good file in which some bytes were replaced, removed, doubled or cut off."""
    data = draw(st.sampled_from(good))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(data)))
        long = draw(st.integers(1, 1_000) | st.integers(1, 4))
        what = draw(st.sampled_from(("replace", "replace", "remove", "double", "cut", "zero")))
        part = data[at : at + long]
        if what == "replace":
            part = draw(st.binary(min_size=1, max_size=4))
            data = data[:at] + part + data[at + len(part) :]
        elif what == "cut":
            data = data[:at]
        else:
            new = {"remove": b"", "double": part * 2, "zero": bytes(len(part))}[what]
            data = data[:at] + new + data[at + long :]
    return data
