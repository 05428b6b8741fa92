"""The facts of a comparison in words: what a person reads first, and the tables for a paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Facts = dict[str, Any]
_LATEX = {
    **{one: f"\\{one}" for one in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def percent(share: float) -> str:
    """Return a share in per cent, such as ``55.1``."""
    return f"{100 * share:.1f}"


def points(change: float) -> str:
    """Return a difference of shares in points, with its sign, such as ``+5.1``."""
    text = f"{100 * change:+.1f}".replace("-", "−")
    return "0.0" if text in ("+0.0", "−0.0") else text


def between(interval: Facts) -> str:
    """Return the bounds of a difference, such as ``+4.6 to +5.5``."""
    if interval["low"] is None:
        return "not known: one photo"
    return f"{points(interval['low'])} to {points(interval['high'])}"


def p_value(p: float) -> str:
    """Return a p-value with three decimals, or that it is smaller."""
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def verdict(facts: Facts) -> tuple[str, str]:
    """Return what the comparison comes to: one word, and a sentence with the interval."""
    headline, found = facts["headline"], facts["headline"]["difference"]
    by = f"{points(found['value'])} points ({100 * facts['level']:.0f} % interval {between(found)})"
    if found["low"] is None:
        return "Not known", f"All questions are about one photo, so nothing is known beyond it: {by}."
    if found["low"] > 0:
        return "Better", f"The trained model gives more right answers: {by}."
    if found["high"] < 0:
        return "Worse", f"The trained model gives fewer right answers: {by}."
    finds = headline["finds"]
    could = f" This set finds {percent(finds)} points or more in four of five tries." if finds else ""
    return "No difference shown", f"{by}.{could} A smaller one may be there all the same."


def markdown_table(facts: Facts) -> str:
    """Return one row a benchmark as a Markdown table; names are escaped."""
    lines = ["| " + " | ".join(_HEAD) + " |", "|---|" + "---:|" * (len(_HEAD) - 1)]
    lines += ["| " + " | ".join((_in_markdown(cells[0]), *cells[1:])) + " |" for cells in _rows(facts)]
    return "\n".join([*lines, "", _in_markdown(_note(facts))]) + "\n"


def latex_table(facts: Facts) -> str:
    """Return the same table for LaTeX with the package booktabs."""
    columns = "l" + "r" * (len(_HEAD) - 1)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", " & ".join(map(_in_latex, _HEAD)) + r" \\", r"\midrule"]
    lines += [" & ".join(map(_in_latex, cells)) + r" \\" for cells in _rows(facts)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", f"% {_note(facts)}"]) + "\n"


_HEAD = ("benchmark", "questions", "photos", "baseline", "trained", "difference", "interval", "p (Holm)")


def _rows(facts: Facts) -> Iterator[tuple[str, ...]]:
    main = [group for group in facts["groups"] if group["main"]]
    for group in main:
        share = percent(group["baseline"]["value"]), percent(group["trained"]["value"])
        found = group["difference"]
        name = _plain(group["benchmark"]) + ("" if group["sees_image"] else " (blind)")
        counts = f"{group['questions']:,}", f"{group['photos']:,}"
        yield name, *counts, *share, points(found["value"]), between(found), p_value(group["p_holm"])
    if len(main) > 1:
        mean, found = facts["headline"], facts["headline"]["difference"]
        counts = f"{mean['questions']:,}", f"{mean['photos']:,}"
        share = percent(mean["baseline"]), percent(mean["trained"])
        yield "mean of benchmarks", *counts, *share, points(found["value"]), between(found), ""


def _note(facts: Facts) -> str:
    forced = " Measured differently, and compared by force." if facts["objections"] else ""
    return (
        f"{_plain(facts['trained']['name'])} against {_plain(facts['baseline']['name'])}; per cent of right answers, "
        f"{100 * facts['level']:.0f} % intervals with the photo as the unit, McNemar's test over photos.{forced}"
    )


def _plain(text: str) -> str:
    """Return a name on one line, without control and direction characters: it may come from a log of anybody's."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())


def _in_markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|!])", r"\\\1", text)


def _in_latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text).replace("−", "$-$").replace("<", "$<$")
