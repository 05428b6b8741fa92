"""What makes a spreadsheet open a CSV as what it is: its encoding, and cells that are no formulas."""

from __future__ import annotations

import re
from typing import Any

from hopchain_etl.hops.consensus import parse_answer

CSV_ENCODING = "utf-8-sig"  # begins with a byte order mark: without one, Excel takes UTF-8 for an 8-bit encoding
_FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def safe_cell(value: Any) -> Any:
    """Return a CSV cell that a spreadsheet does not interpret as a formula.

    Text that could be a formula gets a leading quote, also after the wide signs of East Asian keyboards; plain numbers
    are unchanged.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    text = "" if value is None else str(value)
    return f"'{text}" if _FORMULA.match(text) and parse_answer(text) is None else text
