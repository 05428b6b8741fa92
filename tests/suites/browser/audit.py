"""What a page owes to people who do not see well or do not use a mouse, measured in the browser."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator

_AUDIT = Path(__file__).with_name("audit.js").read_text()


def audit(body: Locator) -> float:
    """Return the lowest contrast of text on the page around ``body``; raise AssertionError listing what is amiss."""
    told = body.evaluate(_AUDIT)
    assert told["found"] == [], "\n".join(told["found"])
    return float(told["lowest"])
