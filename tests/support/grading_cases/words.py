"""Numbers in English words."""

from __future__ import annotations

from support.grading_cases.because import Because

WORDS = (
    Because(
        "a number may be written in words, in any case",
        reads={
            "zero": "0",
            "seven": "7",
            "Seven": "7",
            "SEVENTEEN": "17",
            "Forty": "40",
            "ninety-nine": "99",
            "twelve apples": "12",
            "three.": "3",
            "one": "1",
        },
    ),
    Because(
        "tens and units, with a hyphen, a dash or a space",
        reads={
            "twenty-four": "24",
            "twenty four": "24",
            "Twenty\u2010four apples": "24",
            "twenty\u2011four": "24",
            "Twenty-Four": "24",
            "thirty-one days": "31",
        },
    ),
    Because(
        "hundreds and thousands, with or without and",
        reads={
            "one hundred": "100",
            "a hundred": "100",
            "one-hundred": "100",
            "one hundred and five": "105",
            "one hundred five": "105",
            "nineteen hundred": "1900",
            "two thousand and five": "2005",
            "two thousand three hundred and forty-one": "2341",
            "one million two hundred thousand": "1200000",
            "a thousand": "1000",
            "one thousand and one": "1001",
            "a million and one": "1000001",
        },
    ),
    Because(
        "a sign before words is a word",
        reads={
            "positive twenty-four": "24",
            "plus five": "5",
            "minus four": "-4",
            "negative four": "-4",
            "minus two thirds": "-2/3",
            "negative one hundred": "-100",
        },
    ),
    Because(
        "behind the word point digits are said one by one",
        reads={
            "three point one four": "3.14",
            "zero point five": "0.5",
            "minus one point five": "-1.5",
            "ten point zero five": "10.05",
        },
    ),
    Because(
        "words for parts are exact fractions",
        reads={
            "half": "1/2",
            "one half": "1/2",
            "a half": "1/2",
            "a third": "1/3",
            "a quarter": "1/4",
            "two thirds": "2/3",
            "two-thirds": "2/3",
            "three quarters": "3/4",
            "three-quarters": "3/4",
            "five eighths": "5/8",
            "seven tenths": "7/10",
            "two and a half": "5/2",
            "three and three quarters": "15/4",
            "one and one third": "4/3",
        },
    ),
    Because("half of one thing is the number one half", reads={"half a pizza": "1/2", "half an apple": "1/2"}),
    Because(
        "words in an order that no number has",
        nothing={
            "one two": "1",
            "four twenty": "24",
            "twenty eleven": "20",
            "one thousand two million": "1000",
            "hundred one": "101",
            "twenty zero": "20",
            "two oh five": "205",
        },
    ),
    Because(
        "an ordinal is a place in a row",
        nothing={
            "twenty-fourth": "24",
            "twenty fifth": "25",
            "third": "3",
            "first": "1",
            "the seventh": "7",
            "hundredth": "100",
            "twenty first": "20",
            "forty second": "40",
            "one hundred first": "100",
            "one hundred second": "100",
            "minus forty second": "-40",
        },
    ),
    Because(
        "second is a unit of time where no ordinal can stand",
        reads={"one second": "1", "half a second": "1/2", "forty seconds": "40", "24 second": "24"},
    ),
    Because(
        "a part that is named like an ordinal: a fraction, or a slip",
        nothing={
            "one twentieth": "1",
            "three sixteenths": "3",
            "one millionth": "1",
            "two eleventh": "2",
            "five ninetieths": "5",
            "one hundredth": "1",
            "six twelfths": "6",
        },
    ),
    Because(
        "an article alone is no number",
        nothing={"a": "1", "an": "1", "an apple": "1", "a few": "3", "a lot": "100", "a couple": "2", "a pair": "2"},
    ),
    Because(
        "a word that only holds a number",
        nothing={
            "someone": "1",
            "tenants": "10",
            "weight": "8",
            "oneself": "1",
            "tender": "10",
            "fourty": "40",
            "twentyfour": "24",
            "nineties": "90",
        },
    ),
    Because(
        "two numbers in words leave open which one is meant",
        nothing={
            "five or six": "5",
            "five and six": "5",
            "five to six": "5",
            "five, six": "5",
            "five-six": "5",
            "five of six": "5",
        },
    ),
    Because(
        "words that break off state no number",
        nothing={"three point": "3", "two and": "2", "minus": "0", "and five": "5", "point five": "0.5"},
    ),
    Because("a sign and a word are mixed", nothing={"-five": "-5", "+five": "5"}),
    Because(
        "half more than an integer goes with words, not with digits",
        nothing={"24 and a half": "24", "24 and five": "24"},
        rule=True,
    ),
)

MAGNITUDES = (
    Because(
        "a magnitude behind digits multiplies",
        reads={
            "2 million": "2000000",
            "2 millions": "2000000",
            "2.5 million people": "2500000",
            "3 thousand": "3000",
            "3 thousands": "3000",
            "2 hundred": "200",
            "2 hundreds": "200",
            "2 dozen": "24",
            "2 dozens": "24",
            "2 dozen eggs": "24",
            "$1.5 million": "1500000",
            "1.5 billion": "1500000000",
            "2 trillion": "2000000000000",
            r"2 \text{ million}": "2000000",
            "1/2 million": "500000",
            "-3 thousand": "-3000",
        },
    ),
    Because(
        "lakh and crore are numbers in India's English: 10^5 and 10^7",
        reads={
            "2 lakh": "200000",
            "1.5 crore": "15000000",
            "3 lakhs": "300000",
            "2 crores rupees": "20000000",
            "2 lac": "200000",
            "3 lacs": "300000",
        },
    ),
    Because(
        "a dozen is exactly twelve, with or without a number before it",
        reads={"a dozen": "12", "two dozen eggs": "24", "one dozen": "12", "three dozen": "36"},
    ),
    Because(
        "halves and decimals in words may have a magnitude",
        reads={
            "half a dozen": "6",
            "half a million": "500000",
            "one point five million": "1500000",
            "two and a half thousand": "2500",
            "two and a half dozen eggs": "30",
        },
    ),
    Because(
        "magnitudes are not counted without a number",
        nothing={
            "dozen": "12",
            "dozens": "12",
            "hundreds": "100",
            "millions": "1000000",
            "dozens of apples": "12",
            "hundred": "100",
        },
    ),
    Because(
        "two magnitudes are a slip",
        nothing={"2 million thousand": "2000000", "2 dozen hundred": "24", "3 thousand thousand": "3000"},
    ),
    Because(
        "a magnitude behind a half is not of the hundred before it",
        reads={"one hundred and a half": "201/2", "ninety and a half thousand": "90500"},
        nothing={"one hundred and a half dozen": "1206", "two thousand and a half million": "2000"},
    ),
    Because(
        "plural magnitudes in words are a guess",
        nothing={"two millions": "2000000", "tens of thousands": "10000", "several hundred": "100"},
    ),
)
