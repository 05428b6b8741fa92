"""Cells of CSV files that a spreadsheet opens as what they are."""

from __future__ import annotations

import re
from typing import Any

from hopchain_etl.hops.consensus import parse_answer

_FORMULA = re.compile(r"[=+\-@\t\r\n]")


def safe_cell(value: Any) -> Any:
    """Return a CSV cell that a spreadsheet does not interpret as a formula.

    Text that could be a formula gets a leading quote; plain numbers are unchanged.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    text = "" if value is None else str(value)
    return f"'{text}" if _FORMULA.match(text) and parse_answer(text) is None else text
