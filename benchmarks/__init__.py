"""Measurements, each a script whose last line is JSON. They share scenes and servers with the tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
