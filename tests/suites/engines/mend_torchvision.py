"""Lets torchvision import beside a torch that its compiled part was not built for.

torchvision's Python part registers a fake of its ``nms`` operators and dies where the compiled part did not load.
Nothing here runs them, so a declaration is enough. vLLM's worker processes import torchvision as well, hence a ``.pth``
file, which every interpreter of the environment reads; torch itself is only imported once torchvision is.

Run it with the environment's interpreter; it does nothing where torchvision imports already.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

HOOK = """\
import importlib.abc
import sys


class _DeclareNms(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            for name in ("nms", "qnms"):
                torch.library.define(f"torchvision::{name}", signature)
        return None


sys.meta_path.insert(0, _DeclareNms())
"""


def imports() -> bool:
    """Return whether torchvision can be imported."""
    return subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True).returncode == 0


if __name__ == "__main__":
    if not imports():
        packages = Path(sysconfig.get_path("purelib"))
        (packages / "declare_torchvision_nms.py").write_text(HOOK)
        (packages / "declare_torchvision_nms.pth").write_text("import declare_torchvision_nms\n")
        if not imports():
            sys.exit("torchvision cannot be imported, with or without its operators")
