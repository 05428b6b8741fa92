"""The sum that a model's context must hold: the longest prompt and the longest answer."""

from __future__ import annotations

from hopchain_etl.settings.engines import AskSettings, VlmSettings

PIXELS_PER_TOKEN = 1_024  # of Qwen3-VL
_MOST_CROPS = 6  # the author sees a crop of each instance of a combination
_AUTHOR_TEXT = 6_000  # tokens: instructions of about 3,000, and up to 46 listed instances of about 50
_SOLVER_TEXT = 1_000  # tokens: a short instruction and a question


def prompt_allowance(section: str, model: VlmSettings, ask: AskSettings) -> int:
    """Return the tokens that the longest prompt of a section's model (``vlm`` or ``solver``) may have; rounded up."""
    photo = model.max_pixels // PIXELS_PER_TOKEN
    if section == "solver":
        return photo + _SOLVER_TEXT
    return photo + _MOST_CROPS * ask.crop_pixels // PIXELS_PER_TOKEN + _AUTHOR_TEXT


def too_short(section: str, context: int, model: VlmSettings, ask: AskSettings) -> str | None:
    """Return why a context of so many tokens is too short for the requests to a model; None if it is not.

    vLLM refuses every request whose prompt and ``max_tokens`` are together longer than its context.
    """
    prompt = prompt_allowance(section, model, ask)
    if prompt + ask.max_tokens <= context:
        return None
    return (
        f"{ask.max_tokens} tokens of an answer (ask.max_tokens) and up to {prompt} of a prompt are more than the "
        f"{context} tokens of {section}'s context"
    )
