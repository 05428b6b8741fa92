"""Taking a photo down needs a reason that says something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hopchain_etl.lake.lake import Lake, LakeError
from hopchain_etl.settings import Settings
from hopchain_etl.takedown import everywhere
from support import drawn_lake

pytestmark = pytest.mark.s3


@pytest.mark.parametrize("take_down", [everywhere.withdraw, everywhere.erase])
def test_a_blank_reason_takes_nothing_down(take_down: Callable[[Settings, str, str], Any], bucket: Any) -> None:
    settings = drawn_lake.settings_for(bucket)
    lake = Lake(settings.lake)
    _, queries = drawn_lake.fill(lake, range(1))
    image = queries[0]["image_id"]
    with pytest.raises(LakeError, match="say why"):
        take_down(settings, image, " \n")
    assert lake.withdrawn() == set()
    take_down(settings, image, " asked\n")
    assert lake.tombstones()[image]["reason"] == "asked"
