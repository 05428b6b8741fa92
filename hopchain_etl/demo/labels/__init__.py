"""Hand-made labels of photos that the demo shows: COCO JSON, without the photos. See README.md."""

from pathlib import Path

INSTANCES = Path(__file__).with_name("instances.json")
