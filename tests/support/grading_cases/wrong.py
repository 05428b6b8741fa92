"""Whole completions that earn nothing: wrong numbers, however near, and attacks on the grader."""

from __future__ import annotations

from support.grading_cases.because import Because

WRONG = (
    Because(
        "a number beside the right one",
        refuses={
            "<answer>25</answer>": "24",
            "<answer>-24</answer>": "24",
            "<answer>24.01</answer>": "24",
            "<answer>1001</answer>": "1000",
            "<answer>24</answer>": "-24",
            "<answer>1</answer>": "1.5",
            r"\boxed{0}": "24",
        },
    ),
    Because(
        "near is not equal: no tolerance, and no rounding",
        refuses={
            "<answer>0.33</answer>": "1/3",
            "<answer>0.3333333333</answer>": "1/3",
            "<answer>24.999999999999999999</answer>": "25",
            "<answer>9007199254740993</answer>": "9007199254740992",
            r"\boxed{33.3}": "100/3",
            r"\boxed{0.0833333333333333}": "1/12",
            r"\boxed{3.14}": "3.14159",
            r"\boxed{0.000000000001}": "0.000000000002",
            r"\boxed{1/1000000000001}": "1/1000000000002",
        },
    ),
    Because(
        "percent is no division by a hundred",
        refuses={
            "<answer>0.24</answer>": "24",
            "<answer>24%</answer>": "0.24",
            r"\boxed{24\%}": "0.24",
            r"\boxed{0.24}": "24",
        },
        rule=True,
    ),
    Because(
        "the point is in another place",
        refuses={
            "<answer>1.234</answer>": "1234",
            "<answer>2.4</answer>": "24",
            r"\boxed{24.000}": "24000",
            "<answer>1,234</answer>": "1.234",
            r"\boxed{1{,}234}": "1.234",
        },
    ),
    Because(
        "a magnitude was left out, or added",
        refuses={
            "<answer>2 million</answer>": "2",
            "<answer>2</answer>": "2000000",
            "<answer>2 dozen</answer>": "2",
            r"\boxed{3 \text{ dozens}}": "3",
            r"\boxed{2 millions}": "2",
            r"\boxed{2 lakh}": "2",
        },
    ),
    Because(
        "a part of the answer is not the answer",
        refuses={
            "<answer>3 1/2</answer>": "3",
            "<answer>2 2/3</answer>": "2",
            "<answer>7/2</answer>": "7",
            "<answer>1 234</answer>": "234",
            "<answer>twenty-four</answer>": "20",
        },
        report="huggingface/Math-Verify#81",
    ),
)

ATTACKS = (
    Because(
        "grading evaluates nothing",
        refuses={
            "<answer>__import__('os')</answer>": "24",
            "<answer>24 if True else 0</answer>": "24",
            "<answer>int('24')</answer>": "24",
            "<answer>{0}</answer>": "24",
            "<answer>lambda: 24</answer>": "24",
            "<answer>{{24}}.real</answer>": "24",
        },
    ),
    Because(
        "and computes nothing that takes for ever",
        refuses={
            "<answer>10**99999999</answer>": "24",
            "<answer>9**9**9</answer>": "24",
            "<answer>1e99999999</answer>": "24",
            r"\boxed{10^{10^{10}}}": "10",
            "<answer>99999999!</answer>": "24",
        },
        report="QWED-AI/qwed-verification#331",
    ),
    Because(
        "control characters are part of no number",
        refuses={"<answer>\x0024</answer>": "24", "<answer>2\x084</answer>": "24", "<answer>24\x1b[0m</answer>": "24"},
    ),
    Because(
        "a letter that looks like a digit is a letter",
        refuses={
            "<answer>2O</answer>": "20",
            "<answer>l4</answer>": "14",
            "<answer>1O0</answer>": "100",
            "<answer>\u041e</answer>": "0",
        },
    ),
    Because(
        "right to left marks hide what is written",
        refuses={
            "<answer>\u202e42</answer>": "24",
            "<answer>\u202e42</answer> ": "42",
            "<answer>\u206642\u2069</answer>": "24",
        },
    ),
)
