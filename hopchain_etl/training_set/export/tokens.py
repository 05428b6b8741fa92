"""Counts the tokens of a prompt's text including the chat template."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

# One user turn with one image: role markers, newlines and the two markers around the image are 11 tokens of Qwen3-VL;
# the rest is for templates that add a short system turn.
TEMPLATE_TOKENS = 32
_BYTES_PER_TOKEN = 3  # English is above 4 with Qwen's tokenizer; quoted words and digits are below

TokenCount = Callable[[str], int]


def estimate(text: str) -> int:
    """Return an estimate of a text's tokens, on the high side for English: a third of its bytes, plus the template."""
    return math.ceil(len(text.encode()) / _BYTES_PER_TOKEN) + TEMPLATE_TOKENS


def tokenizer_at(path: Path) -> TokenCount:
    """Return an exact count by ``tokenizer.json`` (a file, or in a model's folder), plus the template's maximum.

    Needs the package ``tokenizers``. Raises FileNotFoundError if there is no such file, and ValueError if the
    package is missing or cannot read it.
    """
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(f"no tokenizer.json at {path}; give a model's folder, or leave --tokenizer out")
    try:
        from tokenizers import Tokenizer  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError as error:
        raise ValueError("--tokenizer needs the package tokenizers: pip install tokenizers") from error
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the package raises bare Exception
        raise ValueError(f"{file} is not a tokenizer: {error}") from error

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids) + TEMPLATE_TOKENS

    return count
