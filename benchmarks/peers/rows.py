"""What goes into every client and comes out of it: rows of a Parquet file, and an answer or an error for each."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MODEL = "tiny-qwen3-vl"
TEMPERATURE = 1.0
MAX_TOKENS = 512  # the same for all, because not every client can have its own for a row; the server ends answers


@dataclass(frozen=True)
class Row:
    """A question about a photo."""

    number: int
    photo: bytes

    @property
    def prompt(self) -> str:
        return f"row {self.number}: what is on this photo?"

    @property
    def data_uri(self) -> str:
        return "data:image/jpeg;base64," + base64.b64encode(self.photo).decode()

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The prompt as OpenAI's chat completions take it."""
        image = {"type": "image_url", "image_url": {"url": self.data_uri}}
        return [{"role": "user", "content": [{"type": "text", "text": self.prompt}, image]}]

    @property
    def body(self) -> dict[str, Any]:
        """The whole request."""
        return {"model": MODEL, "temperature": TEMPERATURE, "max_tokens": MAX_TOKENS, "messages": self.messages}


@dataclass(frozen=True)
class Answer:
    """What a client has for a row: the text, or an error."""

    number: int
    text: str | None
    error: str | None = None


@dataclass(frozen=True)
class Task:
    """What a client is to do: ``work`` stays after a kill, ``timeout`` is the limit for a request, in seconds."""

    rows: Path
    work: Path
    url: str
    at_once: int
    timeout: float


def write_rows(path: Path, count: int, photo: Callable[[int], bytes]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [asdict(Row(number, photo(number))) for number in range(count)]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def read_rows(path: Path) -> list[Row]:
    import pyarrow.parquet as pq

    return [Row(**row) for row in pq.read_table(path).to_pylist()]


def write_answers(path: Path, answers: Iterable[Answer]) -> None:
    path.write_text("".join(f"{json.dumps(asdict(one))}\n" for one in answers))


def read_answers(path: Path) -> list[Answer]:
    return [Answer(**json.loads(line)) for line in path.read_text().splitlines()]
