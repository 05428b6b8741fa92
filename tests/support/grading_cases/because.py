"""What a case of grading is: a text, what it is worth, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, eq=False)
class Because:
    """Cases that have one reason. A declared answer is what stands in a box or an answer element."""

    why: str
    reads: Mapping[str, str] = field(default_factory=dict)  # a declared answer: the number that it states
    nothing: Mapping[str, str] = field(default_factory=dict)  # one that states no number: what a lenient grader takes
    pays: Mapping[str, str] = field(default_factory=dict)  # a whole completion: the right answer, which it declares
    refuses: Mapping[str, str] = field(default_factory=dict)  # a whole completion: the right answer, not declared
    report: str = ""  # a public report of the fact, as owner/repository#number
    rule: bool = False  # a rule of this project: a grader that decides otherwise does not err


class Case(NamedTuple):
    """One row of the table."""

    kind: str
    text: str
    declared: bool  # whether ``text`` is a declared answer; otherwise it is a whole completion
    answer: str  # the right answer that the text is graded against
    right: bool
    because: Because

    @property
    def completion(self) -> str:
        """The text as a whole completion."""
        return f"\\boxed{{{self.text}}}" if self.declared else self.text


def cases(kind: str, groups: tuple[Because, ...]) -> Iterator[Case]:
    """Yield the cases of groups, in their order."""
    for group in groups:
        for texts, declared, right in (
            (group.reads, True, True),
            (group.nothing, True, False),
            (group.pays, False, True),
            (group.refuses, False, False),
        ):
            for text, answer in texts.items():
                yield Case(kind, text, declared, answer, right, group)
