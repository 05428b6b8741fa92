"""Exact numbers from text that may come from anybody: a model's draft, a downloaded row, a file of another program."""

from __future__ import annotations

from fractions import Fraction

LONGEST = 300  # characters of a number; no question has one of more than a few digits
_MOST_BITS = 8_000  # of a result: an expression may multiply long readings


def exact_number(written: object) -> Fraction:
    """Return a number that is written as a decimal or fraction, or is an int or a float, exactly.

    Raises ValueError for anything else. An exponent is refused, because 1e999999999 alone would fill the memory.
    """
    if isinstance(written, str):
        if len(written) > LONGEST:
            raise ValueError(f"a number of {len(written)} characters; at most {LONGEST}")
        if "e" in written.lower():
            raise ValueError(f"write {written!r} without an exponent")
    elif isinstance(written, bool) or not isinstance(written, int | float | Fraction):
        raise ValueError(f"{written!r} is not a number")  # noqa: TRY004 - one error for all
    try:
        return Fraction(written)
    except (OverflowError, ZeroDivisionError) as error:
        raise ValueError(f"{written!r} is not a number") from error


def is_too_long(number: Fraction | int) -> bool:
    """Return whether a number is too long to be written down: of many hundred digits."""
    return max(number.numerator.bit_length(), number.denominator.bit_length()) > _MOST_BITS
