"""Writes docs/grading.md: the table of grading beside math-verify, a grader for mathematics that trainers use.

    make grading-page

Each case is graded by both. Our side is the table itself (``tests/hops/test_grading.py`` holds it to that); math-verify
gets ``verify(parse(right answer), parse(completion))`` with its defaults.
"""

from __future__ import annotations

import logging
from collections import Counter
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

from math_verify import parse, verify

from support.grading_cases import CASES, GROUPS, Because, Case

PAGE = Path(__file__).parents[3] / "docs" / "grading.md"
BEGIN, END = "<!-- generated: differences -->\n", "<!-- end -->"


class Verdict(StrEnum):
    """What math-verify makes of a case."""

    SAME = "same"
    MISSES = "misses"  # a right answer earns nothing
    PAYS = "pays"  # a text that states another number, or none, earns the reward
    RULE = "rule"  # it decides otherwise where we have a rule, such as the element <answer>, and does not err


def judged(case: Case) -> Verdict:
    """Return what math-verify makes of a case."""
    paid = bool(verify(parse(case.answer), parse(case.completion)))
    if paid is case.right:
        return Verdict.SAME
    if case.because.rule or "<answer" in case.completion:  # it does not know the element
        return Verdict.RULE
    return Verdict.PAYS if paid else Verdict.MISSES


def page(verdicts: dict[Case, Verdict]) -> str:
    """Return the generated part of the page."""
    counts = {kind: Counter(verdicts[case] for case in CASES if case.kind == kind) for kind in GROUPS}
    total = sum(counts.values(), Counter())
    lines = [f"math-verify {version('math-verify')}, {len(CASES):,} cases:", ""]
    lines += ["| kind | cases | same | it misses | it pays wrongly | our rule |", "|---|---:|---:|---:|---:|---:|"]
    for kind, count in [*counts.items(), ("**all**", total)]:
        figures = [count.total(), *(count[verdict] for verdict in Verdict)]
        lines.append(f"| {kind} | {' | '.join(map(str, figures))} |")
    for verdict, title in (
        (Verdict.PAYS, "It pays, and the text states another number or none"),
        (Verdict.MISSES, "It does not pay for a right answer"),
        (Verdict.RULE, "It decides otherwise where we have a rule"),
    ):
        lines += ["", f"## {title}", "", "| why our value is right | texts | report |", "|---|---|---|"]
        differing: dict[Because, list[Case]] = {}
        for case, found in verdicts.items():
            if found is verdict:
                differing.setdefault(case.because, []).append(case)
        lines += [row(because, cases) for because, cases in differing.items()]
    return "\n".join([*lines, ""])


def row(because: Because, cases: list[Case]) -> str:
    """Return a row of a table: a reason, and the texts for which the two differ."""
    texts = ", ".join(code(case.text) for case in cases)
    return f"| {cell(because.why)} | {texts} | {because.report} |"


def code(text: str) -> str:
    """Return a text as inline code of a table's cell, what cannot be seen spelled out, long ones cut."""
    seen = "".join(char if char == " " or (char.isprintable() and char.isascii()) else escaped(char) for char in text)
    short = seen if len(seen) <= 60 else f"{seen[:57]}..."
    tick = "````" if "`" in short else "`"
    space = " " if "`" in short or short != short.strip() else ""
    return f"{tick}{space}{cell(short)}{space}{tick}"


def escaped(char: str) -> str:
    """Return letters and signs of other scripts as they are, and control characters and spaces by their number."""
    return char if char.isprintable() and not char.isspace() else f"\\u{ord(char):04x}"


def cell(text: str) -> str:
    """Return a text that does not end its cell."""
    return text.replace("|", "\\|")


def written() -> str:
    """Return the page as it should be."""
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)  # it logs each text that it cannot read
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}{page({case: judged(case) for case in CASES})}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(written(), encoding="utf-8")
    print(f"wrote {PAGE}")
