"""Digits: plain, signed, grouped, as fractions, with powers of ten, in other scripts."""

from __future__ import annotations

from support.grading_cases.because import Because

PLAIN = (
    Because("digits are a number; space around them is none of it", reads={"24": "24", " 24 ": "24", "\n24\n": "24"}),
    Because(
        "zeros in front do not change an integer",
        reads={"007": "7", "016": "16", "004": "4", "000": "0", "0": "0"},
        report="NVIDIA-NeMo/Skills#1074",
    ),
    Because(
        "zeros behind the point do not change a decimal, and an integer may be written as one",
        reads={"24.0": "24", "24.00": "24", "24.50": "24.5", "-3.0": "-3", "0.500": "0.5", "100.000": "100"},
        report="allenai/open-instruct#1893",
    ),
    Because("a side of the point may be empty", reads={".5": "0.5", "-.5": "-0.5", "5.": "5", "+.25": "0.25"}),
    Because(
        "numbers are exact, however long",
        reads={
            "24.000000001": "24.000000001",
            "0.0833333333333333": "0.0833333333333333",
            "123456789012345678901234567890": "123456789012345678901234567890",
            "9007199254740993": "9007199254740993",
        },
        report="huggingface/Math-Verify#2",
    ),
    Because("a version or an address has points, and is no number", nothing={"1.2.3": "1.2", "192.168.0.1": "192"}),
    Because("two points are a slip, and which one is meant is unknown", nothing={"24..5": "24.5", "..5": "0.5"}),
    Because("a text over 200 characters is no number that a question asks for", nothing={"1" * 201: "1" * 40}),
    Because(
        "only what is written counts against the longest answer, not the space around it",
        reads={"24" + " " * 500: "24", " " * 300 + "-7": "-7"},
    ),
    Because("what hexadecimal and binary digits mean, questions do not ask", nothing={"0x18": "24", "0b11000": "24"}),
    Because("an underscore groups digits in programs only", nothing={"1_000": "1000", "24_": "24"}, rule=True),
)

SIGNS = (
    Because(
        "a sign is part of the number; plus changes nothing",
        reads={"-24": "-24", "+24": "24", "- 24": "-24", "+ 7": "7", "-0": "0", "+0": "0", "-0.0": "0"},
        report="allenai/open-instruct#1530",
    ),
    Because(
        "typography has many dashes for minus",
        reads={
            "\u221224": "-24",
            "\u201324": "-24",
            "\u201424": "-24",
            "\u201024": "-24",
            "\u201124": "-24",
            "\u201224": "-24",
            "\uff0d24": "-24",
            "\ufe6324": "-24",
            "\u2212 24": "-24",
            "\u22120.5": "-0.5",
            "\uff0b24": "24",
        },
    ),
    Because(
        "a sign before digits may be a word",
        reads={"minus 24": "-24", "negative 24": "-24", "Minus 3.5": "-3.5", "positive 24": "24"},
    ),
    Because(
        "of two signs one is a slip, and which one is unknown",
        nothing={"--24": "24", "+-24": "24", "-+24": "-24", "- -24": "24", "minus -24": "24"},
    ),
    Because("a sign behind is a range or a slip", nothing={"24-": "24", "24 -": "24", "24\u2013": "24"}),
    Because(
        "both signs are two numbers",
        nothing={"\u00b124": "24", "\\pm 24": "24", "\\pm24": "-24", "\u2213 24": "24", "+/-24": "24", "+/- 24": "24"},
        report="huggingface/Math-Verify#14",
    ),
    Because(
        "parentheses around a number are a minus sign in accounts, and a label in lists",
        nothing={
            "(24)": "24",
            "(-24)": "-24",
            "-(24)": "-24",
            "((24))": "24",
            r"\left(24\right)": "24",
            "$(24)$": "24",
        },
        rule=True,
    ),
)

GROUPED = (
    Because(
        "commas between groups of three",
        reads={
            "1,234": "1234",
            "12,345,678": "12345678",
            "1,234.5": "1234.5",
            "-1,234": "-1234",
            "999,999": "999999",
            "1,000,000": "1000000",
            "1,234.": "1234",
            "$1,234$": "1234",
        },
        report="opensanctions/followthemoney#331",
    ),
    Because(
        "spaces of any width between groups of three",
        reads={
            "1 234": "1234",
            "1 000 000": "1000000",
            "1\u2009234": "1234",
            "1\u202f234\u202f567": "1234567",
            "1\u00a0234": "1234",
            "1\u2007234": "1234",
            "1\u3000234": "1234",
            "12 345.5": "12345.5",
        },
        report="opensanctions/followthemoney#331",
    ),
    Because(
        "apostrophes, as in Switzerland",
        reads={"1'234": "1234", "1\u2019234": "1234", "1'234'567": "1234567", "1'234.50": "1234.5"},
    ),
    Because(
        "TeX's commas and thin spaces",
        reads={
            "1{,}234": "1234",
            "1{,}234{,}567": "1234567",
            r"1\,234": "1234",
            r"12\,345\,678": "12345678",
            r"1\;234": "1234",
            r"1\ 234": "1234",
            r"1{\,}234": "1234",
            r"1,\!234": "1234",
            r"24~000": "24000",
        },
    ),
    Because(
        "a group that is not of three digits: a slip, a list, or another country's way",
        nothing={
            "1,234,56": "1234",
            "1234,567": "1234567",
            "1 2345": "12345",
            "12 34": "1234",
            "1,2345": "12345",
            "1,,234": "1234",
        },
    ),
    Because(
        "groups of two, as in India, look like a list",
        nothing={"1,23,456": "123456", "1,00,000": "100000", "12,34,567": "1234567"},
        rule=True,
    ),
    Because(
        "a decimal comma, a list and a slip look the same",
        nothing={"1,5": "1.5", "12,34": "12.34", "0,75": "0.75", "3,14159": "3.14159", "24,0": "24", "1,5 cm": "1.5"},
        report="opensanctions/followthemoney#331",
    ),
    Because("no group starts with zero", nothing={"0,123": "0.123", "0 123": "123", "0'123": "123", "000,123": "123"}),
    Because(
        "nobody groups one number in two ways: a slip or a list",
        nothing={"1,234 567": "1234567", "1 234,567": "1234567", "1'234,567": "1234567"},
    ),
    Because("a comma behind groups of spaces is a decimal comma or a list", nothing={"1 234,5": "1234.5"}, rule=True),
    Because("one point is the decimal point", reads={"1.234": "1.234", "24.000": "24", "-1.500": "-1.5"}),
    Because(
        "points that group, where English has no reading",
        reads={
            "1.234,5": "1234.5",
            "1.234.567": "1234567",
            "1.234.567,89": "1234567.89",
            "1.000.000": "1000000",
            "-1.234,50": "-1234.5",
            "12.345,00 \u20ac": "12345",
        },
        report="opensanctions/followthemoney#331",
    ),
    Because(
        "points that do not group by three", nothing={"1.23.456": "1.23", "1.234,5.6": "1234.5", "0.123.456": "123456"}
    ),
)

FRACTIONS = (
    Because(
        "a fraction is its exact value, reduced or not",
        reads={
            "7/2": "7/2",
            "14/4": "7/2",
            "-7/2": "-7/2",
            "7 / 2": "7/2",
            "6/3": "2",
            "0/5": "0",
            "48/2": "24",
            "7/-2": "-7/2",
        },
    ),
    Because(
        "a whole number and a proper fraction are a mixed number, and their sum",
        reads={"3 1/2": "7/2", "-3 1/2": "-7/2", "11 5/6": "71/6", "2 2/3": "8/3", "1 1/4": "5/4", "2 1/4 cups": "9/4"},
        report="huggingface/Math-Verify#81",
    ),
    Because(
        "beside a whole number the fraction must be proper",
        nothing={"3 7/2": "7/2", "4 10/3": "10", "3 0/2": "3", "2 3/3": "3", "1 2/-3": "1"},
        report="huggingface/Math-Verify#81",
    ),
    Because(
        "Unicode's signs for fractions are exact fractions",
        reads={
            "\u00bd": "1/2",
            "3\u00bd": "7/2",
            "3 \u00be": "15/4",
            "-\u00bd": "-1/2",
            "\u2153": "1/3",
            "2\u215e": "23/8",
            "\u2154": "2/3",
            "7\u20442": "7/2",
            "1\u00bd cups": "3/2",
            "7\uff0f2": "7/2",
        },
    ),
    Because("nothing is divided by zero", nothing={"7/0": "7", "0/0": "0", "3 1/0": "3", r"\frac{1}{0}": "1"}),
    Because(
        "two strokes are a date, or two divisions", nothing={"1/2/3": "1/2", "1/2/2024": "1/2", "11/22/2024": "11"}
    ),
    Because(
        "a grouped number and a fraction, or a mixed number of many", nothing={"1 234/5": "1234/5", "1 2 3/4": "11/4"}
    ),
    Because(
        "a fraction has two integers; anything else is a calculation",
        nothing={"3.5/7": "0.5", "7/2.0": "3.5", "24/(1)": "24", "(7)/(2)": "7/2", "7 \u00f7 2": "7/2"},
        rule=True,
    ),
)

POWERS = (
    Because(
        "programs write a power of ten as an exponent",
        reads={"1.5e3": "1500", "1E3": "1000", "2e-2": "0.02", "1.5e+3": "1500", "-1e2": "-100", "1.5e03": "1500"},
    ),
    Because(
        "a factor and a power of ten are one number",
        reads={
            r"1.2 \times 10^3": "1200",
            r"1.2 \times 10^{3}": "1200",
            r"1.2 \cdot 10^{-2}": "0.012",
            r"1.2\times10^{ 3 }": "1200",
            "1.2 \u00d7 10^3": "1200",
            "1.2 x 10^3": "1200",
            "1.2x10^3": "1200",
            "1.2 * 10^3": "1200",
            "1.2 X 10^3": "1200",
            r"$1.2 \times 10^{3}$ cm": "1200",
            "3\u00b710^2": "300",
        },
    ),
    Because(
        "the exponent may be raised by its own signs",
        reads={
            "1.2 \u00d7 10\u00b3": "1200",
            "1.2 \u00d7 10\u207b\u00b2": "0.012",
            "2\u00d710\u2074": "20000",
            "6\u00b710\u00b9\u2070": "60000000000",
        },
    ),
    Because(
        "nobody asks for a number of hundreds of digits, and making one costs memory",
        nothing={
            "1e999": "1",
            "1e999999999": "1",
            "1e-999999999": "0",
            r"1.2 \times 10^{999999}": "1.2",
            "1e9999999999": "1",
            r"1 \times 10^{100}": "1",
        },
        report="huggingface/Math-Verify#65",
    ),
    Because(
        "an exponent needs digits, and is an integer",
        nothing={"2e": "2", "2e+": "2", "1.5e3.5": "1500", "e3": "3", "1.5 e 3": "1.5"},
    ),
    Because(
        "a power by itself is a calculation",
        nothing={"10\u00b2": "10", "10^3": "1000", "10^{3}": "1000", "10**3": "1000"},
        rule=True,
    ),
)

SCRIPTS = (
    Because(
        "digits of any script are digits",
        reads={
            "\uff12\uff14": "24",
            "\u0662\u0664": "24",
            "\u06f2\u06f4": "24",
            "\u0968\u096a": "24",
            "\u09e8\u09ea": "24",
            "\u0e52\u0e54": "24",
            "\U0001d7d0\U0001d7d2": "24",
            "-\u0662\u0664": "-24",
        },
    ),
    Because(
        "Arabic has its own marks for decimals, groups and percent, and they can mean nothing else",
        reads={
            "\u0662\u0664\u066b\u0665": "24.5",
            "\u0661\u066c\u0662\u0663\u0664": "1234",
            "\u0662\u0664\u066a": "24",
        },
    ),
    Because(
        "full-width signs are the same signs",
        reads={
            "\uff11\uff0c\uff12\uff13\uff14": "1234",
            "\uff12\uff0e\uff15": "2.5",
            "\uff1d 24": "24",
            "\uff0424": "24",
            "24\uff05": "24",
        },
    ),
    Because(
        "characters without width are not seen",
        reads={"\u200b24\u200b": "24", "2\u200d4": "24", "\ufeff24": "24", "24\u2060": "24"},
    ),
    Because(
        "raised, lowered and circled digits are not digits of a number",
        nothing={"\u00b2\u2074": "24", "\u2082\u2084": "24", "\u3254": "24"},
    ),
    Because("Roman numerals are letters", nothing={"XXIV": "24", "\u2160\u2162": "13", "IV": "4"}, rule=True),
    Because(
        "number words of other languages are not read",
        nothing={"\u4e8c\u5341\u56db": "24", "vierundzwanzig": "24", "vingt-quatre": "24"},
        rule=True,
    ),
    Because(
        "words that are not read may change the number: 24\u4e07 is 240,000",
        nothing={"24\u4e07": "24", "24\u4e2a": "24", "24 \u0448\u0442\u0443\u043a": "24"},
    ),
)
