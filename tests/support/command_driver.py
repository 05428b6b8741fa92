"""A script that runs many commands of ``hopchain`` in one process, as a shell would: exit code and stderr of each.

On stdin is a list of argument lists. An exception that leaves ``main`` is reported as ``traceback``.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import traceback
from typing import Any

from hopchain_etl.cli import main


def result(arguments: list[str]) -> dict[str, Any]:
    """Run a command and return how it ended."""
    said, errors = io.StringIO(), io.StringIO()
    sys.argv = ["hopchain", *arguments]
    code: Any = 0
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
        try:
            main()
        except SystemExit as end:
            code = end.code
        except BaseException:  # noqa: BLE001 whatever leaves main is what is asked for
            return {"code": None, "traceback": traceback.format_exc()}
    return {"code": code, "stdout": said.getvalue(), "stderr": errors.getvalue()}


if __name__ == "__main__":
    print("RESULTS" + json.dumps([result(arguments) for arguments in json.load(sys.stdin)]))
