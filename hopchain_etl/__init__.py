"""HopChain ETL: photos in, multi-hop vision-language training data out.

What is exported here is the public API; docs/python-api.md describes it. A name is imported at first use, so that
``import hopchain_etl`` itself loads nothing: DAG files and trainers import parts of this package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hopchain_etl.hops.checks import check
    from hopchain_etl.lake.lake import Lake
    from hopchain_etl.pipeline.build import Build
    from hopchain_etl.release.registry import publish
    from hopchain_etl.settings import Settings
    from hopchain_etl.training_set.dataset import TrainingSet
    from hopchain_etl.training_set.rewards import grade
    from hopchain_etl.training_set.verify import verify

__all__ = ["Build", "Lake", "Settings", "TrainingSet", "check", "grade", "publish", "verify"]

_MODULES = {
    "Build": "pipeline.build",
    "Lake": "lake.lake",
    "Settings": "settings",
    "TrainingSet": "training_set.dataset",
    "check": "hops.checks",
    "grade": "training_set.rewards",
    "publish": "release.registry",
    "verify": "training_set.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
