"""What models put around a number inside of the declared place."""

from __future__ import annotations

from support.grading_cases.because import Because

DRESS = (
    Because(
        "marks of emphasis say nothing about the number",
        reads={
            "**24**": "24",
            "*24*": "24",
            "__24__": "24",
            "_24_": "24",
            "***24***": "24",
            "**24 apples**": "24",
            "**-24**": "-24",
            "**$24**": "24",
        },
        report="huggingface/Math-Verify#76",
    ),
    Because(
        "dress may lie over dress, and a stop inside or outside of it",
        reads={
            "**$24$**": "24",
            "$**24**$": "24",
            '"**24**"': "24",
            "**24.**": "24",
            "**24**.": "24",
            '"24".': "24",
            "$24$.": "24",
            "`24`.": "24",
        },
        report="huggingface/Math-Verify#76",
    ),
    Because("marks of code around a number are no code", reads={"`24`": "24", "```24```": "24", "```\n24\n```": "24"}),
    Because(
        "quotation marks of any kind",
        reads={
            '"24"': "24",
            "'24'": "24",
            "\u201c24\u201d": "24",
            "\u201824\u2019": "24",
            "\u00ab24\u00bb": "24",
            "\u300c24\u300d": "24",
        },
    ),
    Because(
        "one mark at the end of a sentence",
        reads={
            "24.": "24",
            "24,": "24",
            "24;": "24",
            "1,234,": "1234",
            "24 apples,": "24",
            "24.0.": "24",
            "24 .": "24",
            "24\u3002": "24",
        },
        report="jundot/omlx#3484",
    ),
    Because(
        "several marks are something left out",
        nothing={
            "24,,": "24",
            "24...": "24",
            "0.333...": "0.333",
            "24\u2026": "24",
            "24;;": "24",
            "24..": "24",
            "3.14\u2026": "3.14",
        },
    ),
    Because(
        "an equals sign, or one letter and it, only says what the number is",
        reads={"= 24": "24", "=24": "24", "x = 24": "24", "n=24.": "24", "N = -24": "-24"},
    ),
    Because(
        "words that announce the answer",
        reads={
            "The answer is 24": "24",
            "the final answer is 24.": "24",
            "Answer: 24": "24",
            "answer = 24": "24",
            "total = 24": "24",
            "Final answer: 24": "24",
            "Final Answer: **24**": "24",
            "**Final Answer:** 24": "24",
            "**Answer**: 24": "24",
            "Result: $24$": "24",
            "The answer is: 24": "24",
            "The total is twenty-four": "24",
            "The answer is $\\frac{7}{2}$": "7/2",
        },
        report="huggingface/Math-Verify#76",
    ),
    Because(
        "a name of more than a letter may be another quantity",
        nothing={"h1 = 24": "24", "area = 24": "24", "f(x) = 24": "24", "x_1 = 24": "24", "count: 24": "24"},
        rule=True,
    ),
    Because(
        "what a sentence says about a number is not read",
        nothing={
            "24 is the answer": "24",
            "There are 24 apples": "24",
            "It is 24": "24",
            "I counted 24": "24",
            "We get 24": "24",
        },
        rule=True,
    ),
    Because(
        "data formats are not a number",
        nothing={
            '{"answer": 24}': "24",
            "{'answer': 24}": "24",
            "<b>24</b>": "24",
            "[24](24)": "24",
            "| 24 |": "24",
            "- [x] 24": "24",
        },
        rule=True,
    ),
    Because(
        "a list has one element at least, and may have had more",
        nothing={"[24]": "24", "[24.0]": "24", "(24,)": "24", "24 |": "24"},
        rule=True,
    ),
    Because(
        "a label or a letter before: which of the two is the answer",
        nothing={
            "A": "1",
            "A24": "24",
            "room 24": "24",
            "A. 24": "24",
            "(A) 24": "24",
            "1. 24": "24",
            "1) 24": "24",
            "24 (A)": "24",
            "Option 24": "24",
            "#24": "24",
            "No. 24": "24",
            "E: 24": "24",
        },
        report="NVIDIA-NeMo/Gym#1844",
    ),
    Because(
        "the number again in parentheses",
        nothing={"24 (twenty-four)": "24", "twenty-four (24)": "24", "24 (apples)": "24"},
        rule=True,
    ),
)
