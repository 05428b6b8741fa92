"""The table of grading: every case with the reason for its value, by kind; shared by all tests that grade.

The facts come from public reports about graders, which the cases name, and from what models write. The cases and the
sentences are this project's own.
"""

from __future__ import annotations

from support.grading_cases import doubt, dress, latex, numbers, places, units, words, wrong
from support.grading_cases.because import Because, Case, cases

GROUPS: dict[str, tuple[Because, ...]] = {
    "plain numbers": numbers.PLAIN,
    "signs": numbers.SIGNS,
    "grouped digits": numbers.GROUPED,
    "fractions": numbers.FRACTIONS,
    "powers of ten": numbers.POWERS,
    "scripts": numbers.SCRIPTS,
    "LaTeX": latex.LATEX,
    "units": units.UNITS,
    "not a unit": units.NOT_UNITS,
    "words": words.WORDS,
    "magnitudes": words.MAGNITUDES,
    "dress": dress.DRESS,
    "several numbers": doubt.SEVERAL,
    "doubt": doubt.DOUBT,
    "expressions": doubt.EXPRESSIONS,
    "no answer": doubt.NONE,
    "places": places.PLACES,
    "thinking": places.THINKING,
    "several places": places.SEVERAL,
    "at the box": places.AT_THE_BOX,
    "wrong numbers": wrong.WRONG,
    "attacks": wrong.ATTACKS,
}
CASES: tuple[Case, ...] = tuple(case for kind, groups in GROUPS.items() for case in cases(kind, groups))

# A declared answer and the number that it states, None where it states none.
NUMBERS: tuple[tuple[str, str | None], ...] = tuple(
    (case.text, case.answer if case.right else None) for case in CASES if case.declared
)
# A whole completion, the right answer, and whether it earns the reward.
COMPLETIONS: tuple[tuple[str, str, bool], ...] = tuple(
    (case.text, case.answer, case.right) for case in CASES if not case.declared
)
