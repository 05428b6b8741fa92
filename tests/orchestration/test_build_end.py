"""The last tasks of a build load nothing that they do not need; ``test_build.py`` says what they do."""

from __future__ import annotations

import subprocess
import sys

LOADED = """
import sys
from hopchain_etl.orchestration import build_end
build_end.judge_run({}, {"unhealthy": [], "message": ""}, {"drift": ""})
assert build_end.announce_queries({"shards": 1, "rows": 2, "drift": ""}) == {"shards": 1, "rows": 2}
print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_they_load_neither_the_pipeline_nor_a_client_of_the_lake() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not {"pyarrow", "boto3", "obstore", "numpy", "pandas", "great_expectations"} & set(done.stdout.split())
