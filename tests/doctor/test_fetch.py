"""What a request of the checks says that cannot be sent."""

from __future__ import annotations

import pytest

from hopchain_etl.doctor.fetch import fetch


def test_a_key_that_no_header_may_hold_is_told_and_not_shown() -> None:
    with pytest.raises(ValueError, match="API key") as caught:
        fetch("http://127.0.0.1:9/v1/models", "open\nsesame", None, 5)
    assert "sesame" not in str(caught.value)
