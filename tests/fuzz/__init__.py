"""Fuzz targets: one for each parser of bytes that come from strangers. ``make fuzz`` runs them; see CONTRIBUTING.md.

A target draws inputs (``hypothesis``), mostly good ones with damage, and states what holds for each: only documented
errors come out, within seconds, and what is accepted survives a second pass. ``tests/data/fuzz/`` has the inputs of
past findings. To import the targets is cheap: samples are made, and much is imported, when a target first needs them.
A target runs in a process of its own with limited memory, so that a crash of native code is a finding.
"""

from __future__ import annotations

from fuzz import answers, files, pictures, rows, texts
from fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (*pictures.TARGETS, *texts.TARGETS, *rows.TARGETS, *answers.TARGETS, *files.TARGETS)
}
