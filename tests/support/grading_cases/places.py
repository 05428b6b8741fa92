"""Whole completions: which place declares an answer, and what it earns."""

from __future__ import annotations

from support.grading_cases.because import Because

PLACES = (
    Because(
        "an answer element declares, wherever it stands",
        pays={
            "<answer>24</answer>": "24",
            "I count 3 sheep. <answer>24</answer>": "24",
            "<answer> 24 </answer> That is all.": "24",
            "<answer>\n24 apples\n</answer>": "24",
            "<ANSWER>24</ANSWER>": "24",
            "<Answer>24</Answer>": "24",
            "<answer >24</answer >": "24",
            "<answer>24</answer><|im_end|>": "24",
        },
        report="lsdefine/simple_GRPO#19",
        rule=True,
    ),
    Because(
        "text after the answer, however long, does not undo it",
        pays={
            "<answer>24</answer>" + " The steps above confirm it." * 20: "24",
            "\\boxed{24}" + " I checked it again." * 30: "24",
        },
        report="verl-project/verl#7274",
    ),
    Because(
        "the answer and the right one may be written differently",
        pays={
            "<answer>24.0</answer>": "24",
            "<answer>7/2</answer>": "3.5",
            "<answer>0.5</answer>": "1/2",
            "<answer>twenty-four</answer>": "24",
            r"\boxed{\frac{2}{4}}": "1/2",
            "<answer>+7</answer>": "7",
            "<answer>\u221224</answer>": "-24",
        },
        rule=True,
    ),
    Because(
        "a box declares the answer, whatever stands around it",
        pays={
            r"So \boxed{24}.": "24",
            r"So $\boxed{24}$": "24",
            r"So \boxed {24}": "24",
            r"So \fbox{24}": "24",
            r"\[ \boxed{24} \]": "24",
            "\\boxed{\n-24\n}": "-24",
            r"$$\boxed{24}$$": "24",
            r"**Answer:** \boxed{24}": "24",
            r"x = \boxed{24}": "24",
        },
    ),
    Because(
        "braces inside of the box belong to it",
        pays={
            r"\boxed{\frac{7}{2}}": "3.5",
            r"\boxed{\text{24 pears}}": "24",
            r"\boxed{\boxed{-24}}": "-24",
            r"\boxed{12{,}345}": "12345",
            r"\boxed{25\%}": "25",
            r"\boxed{{-24}}": "-24",
            r"\boxed{\mathbf{\text{24}}}": "24",
        },
        report="NVIDIA-NeMo/Gym#1844",
    ),
    Because(
        "a box in an answer element is one answer",
        pays={
            r"<answer>\boxed{24}</answer>": "24",
            r"<answer>$\boxed{24}$</answer>": "24",
        },
    ),
    Because(
        "an empty element is not an answer, and hides none",
        pays={
            "<answer></answer> <answer>24</answer>": "24",
            r"<answer> </answer> \boxed{24}": "24",
            r"\boxed{} \boxed{24}": "24",
        },
        rule=True,
    ),
    Because(
        "an answer element outranks a box",
        pays={
            r"first \boxed{3}, then <answer>24</answer>": "24",
            r"<answer>24</answer> \boxed{3}": "24",
            "<answer><answer>24</answer></answer>": "24",
        },
        refuses={r"<answer>?</answer> \boxed{24}": "24"},
        rule=True,
    ),
    Because(
        "a number that is not declared is no answer: who pays for it teaches to name many",
        refuses={
            "24": "24",
            "The answer is 24": "24",
            "The answer is 24.\n\n24": "24",
            "Answer: 24": "24",
            "#### 24": "24",
            "**24**": "24",
            "Final Answer: **24**": "24",
            "$24$": "24",
            "answer: <24>": "24",
            "So there are 24 of them.": "24",
            "```24```": "24",
        },
        report="PrimeIntellect-ai/verifiers#1028",
        rule=True,
    ),
    Because(
        "what is nearly a box is none",
        refuses={
            "boxed{24}": "24",
            r"\boxed 24": "24",
            r"\boxed(24)": "24",
            r"\boxed[24]": "24",
            r"\\boxed{24}": "24",
            r"\box{24}": "24",
            r"\Boxed{24}": "24",
            r"\framebox{24}": "24",
        },
        rule=True,
    ),
    Because(
        "what is nearly an element is none",
        refuses={
            "<answer/>24": "24",
            "<answers>24</answers>": "24",
            "< answer>24</answer>": "24",
            "[answer]24[/answer]": "24",
            "<ans>24</ans>": "24",
            "&lt;answer&gt;24&lt;/answer&gt;": "24",
        },
        rule=True,
    ),
    Because(
        "a place that is not closed was cut off, and may have gone on",
        refuses={
            "<answer>24": "24",
            "24</answer>": "24",
            r"\boxed{24": "24",
            r"\boxed{{24}": "24",
            r"\boxed{2": "2",
            r"\boxed{\text{24}": "24",
            "<answer>24<answer>": "24",
        },
        report="marin-community/marin#9163",
    ),
    Because(
        "an empty place is not filled by what stands beside it",
        refuses={
            r"\boxed{}": "24",
            "<answer></answer> 24": "24",
            r"24 \boxed{ }": "24",
            "24 <answer>\n</answer>": "24",
        },
        report="marin-community/marin#9163",
    ),
    Because("nothing declares nothing", refuses={"": "24", " ": "24", "\n": "0"}),
)

THINKING = (
    Because(
        "thinking is no answer, and what follows it is",
        pays={
            r"<think>is it 23? \boxed{23}</think><answer>24</answer>": "24",
            r"it is \boxed{23}?</think>\boxed{24}": "24",
            "<think>\n23\n</think>\n\n<answer>\n24\n</answer>": "24",
            r"<think>\boxed{23}</think> <think>\boxed{22}</think> \boxed{24}": "24",
            r"<think></think>\boxed{24}": "24",
        },
        report="huggingface/trl#6966",
    ),
    Because(
        "an answer that was only thought is not given",
        refuses={
            "<think><answer>24</answer></think>": "24",
            "<think><answer>24</answer>": "24",
            "<answer>24</answer></think> done": "24",
            r"\boxed{24} <think> hm </think>": "24",
            r"<think>\boxed{24}</think> The answer is above.": "24",
            r"<think>\boxed{24}</think> \boxed{25}": "24",
            r"<think>so \boxed{24}": "24",
        },
        report="huggingface/trl#4563",
    ),
)

SEVERAL = (
    Because(
        "places that give the same number give one answer",
        pays={
            "<answer>24</answer> so <answer>24.0</answer>": "24",
            r"\boxed{24}, that is \boxed{twenty-four}": "24",
            r"That makes \boxed{360} tiles. Counted again, row by row: \boxed{360}": "360",
            r"The plate ends in \boxed{007}; the second photo shows \boxed{007} too.": "7",
            r"\boxed{1} is left over, and no other: \boxed{1}": "1",
        },
        report="huggingface/Math-Verify#44",
    ),
    Because(
        "who gives two answers has not decided, and pays for neither",
        refuses={
            "<answer>24</answer><answer>25</answer>": "24",
            "<answer>25</answer><answer>24</answer>": "24",
            r"\boxed{24} or \boxed{25}": "24",
            r"\boxed{23} no, \boxed{24}": "24",
            r"\boxed{24}, \boxed{25}, \boxed{26}": "26",
            r"\boxed{24} or \boxed{maybe not}": "24",
            "<think>a</think><answer>23</answer><think>b</think><answer>22</answer><answer>24</answer>": "24",
            r"$\boxed{24}$ and $\boxed{-24}$": "24",
        },
        rule=True,
    ),
    Because(
        "many answers are a bet on all numbers",
        refuses={
            "".join(f"<answer>{n}</answer>" for n in range(100)): "24",
            " ".join(f"\\boxed{{{n}}}" for n in range(30)): "29",
            "<answer>24, 25, 26, 27</answer>": "24",
            r"\boxed{1,2,3,4,5}": "5",
        },
    ),
    Because(
        "one place with two numbers",
        refuses={
            "<answer>24 or 25</answer>": "24",
            "<answer>not 24</answer>": "24",
            r"\boxed{24 \text{ or } 25}": "25",
            r"\boxed{24 \quad 25}": "24",
        },
        report="huggingface/Math-Verify#47",
    ),
)

AT_THE_BOX = (
    Because(
        "a minus sign that touches the box belongs to it",
        pays={
            r"-\boxed{24}": "-24",
            r"It is $-\boxed{24}$.": "-24",
            "= \u2212\\boxed{24}": "-24",
            r"<answer>-\boxed{24}</answer>": "-24",
            r"**-\boxed{24}**": "-24",
            r"-$\boxed{24}$": "-24",
        },
    ),
    Because(
        "so the number in the box alone is wrong",
        refuses={r"-\boxed{24}": "24", r"$-\boxed{24}$": "24"},
    ),
    Because(
        "a sign at the box and one in it: of two signs one is a slip, and which one is unknown",
        refuses={r"-\boxed{-24}": "24", "\u2212\\boxed{-24}": "-24"},
        rule=True,
    ),
    Because(
        "a dash with a space is a dash, and behind a number it subtracts",
        pays={r"- \boxed{24}": "24", r"The answer - \boxed{24}": "24", "Answer \u2014 \\boxed{24}": "24"},
    ),
    Because(
        "a power at the box makes it another number",
        refuses={
            r"\boxed{24}^2": "24",
            "\\boxed{24}\u00b2": "24",
            r"\boxed{24}^{2}": "24",
            r"$\boxed{24}^3$": "24",
            r"\boxed{2}^{10}": "2",
        },
    ),
    Because(
        "and that other number is not worked out", refuses={r"\boxed{24}^2": "576", r"\boxed{2}^{3}": "8"}, rule=True
    ),
    Because(
        "degrees and stars behind the box are no power",
        pays={
            r"\boxed{24}^\circ": "24",
            r"\boxed{24}^{\circ}": "24",
            "\\boxed{24}^\u00b0": "24",
            r"\boxed{24}^*": "24",
            "\\boxed{24}\n^x": "24",
            r"**\boxed{24}**": "24",
            r"\boxed{24}\%": "24",
            r"\boxed{24}\text{ cm}": "24",
        },
    ),
)
