"""LaTeX around a number, and LaTeX that is none."""

from __future__ import annotations

from support.grading_cases.because import Because

LATEX = (
    Because(
        "signs of mathematics around a number say nothing about it",
        reads={
            "$24$": "24",
            "$$24$$": "24",
            r"\(24\)": "24",
            r"\[24\]": "24",
            r"\( -24 \)": "-24",
            "$ 24 $": "24",
            r"\[ 1{,}234 \]": "1234",
        },
        report="huggingface/Math-Verify#74",
    ),
    Because(
        "TeX's fractions of all sizes are the same fraction",
        reads={
            r"\frac{7}{2}": "7/2",
            r"\dfrac{7}{2}": "7/2",
            r"\tfrac{7}{2}": "7/2",
            r"\cfrac{7}{2}": "7/2",
            r"$\frac{7}{2}$": "7/2",
            r"\frac{ 7 }{ 2 }": "7/2",
            r"\displaystyle\frac{7}{2}": "7/2",
            r"\frac{64}{400}": "4/25",
        },
    ),
    Because(
        "braces around one digit may be left out",
        reads={r"\tfrac72": "7/2", r"\frac12": "1/2", r"\frac 7 2": "7/2", r"\frac7{20}": "7/20", r"\frac{7}2": "7/2"},
    ),
    Because(
        "a sign before, above or below",
        reads={r"-\frac{1}{2}": "-1/2", r"\frac{-1}{2}": "-1/2", r"\frac{1}{-2}": "-1/2", r"- \dfrac{7}{2}": "-7/2"},
    ),
    Because(
        "a fraction behind an integer is added to it, as in print",
        reads={
            r"3\frac{1}{2}": "7/2",
            r"$2\frac{1}{2}$": "5/2",
            r"-3\frac{1}{2}": "-7/2",
            r"3 \dfrac{1}{2}": "7/2",
            r"3\,\frac{1}{2}": "7/2",
        },
        report="huggingface/Math-Verify#34",
    ),
    Because(
        "text and fonts around a number do not change it",
        reads={
            r"\text{24}": "24",
            r"\text{13}": "13",
            r"\textbf{24}": "24",
            r"\mathbf{24}": "24",
            r"\boldsymbol{24}": "24",
            r"\bm{24}": "24",
            r"\mathrm{24}": "24",
            r"\mathit{24}": "24",
            r"\emph{24}": "24",
            r"\mbox{24}": "24",
            r"\text{ 24 }": "24",
            r"\textbf{\text{24}}": "24",
            r"\mathbf{-24}": "-24",
            r"\underline{24}": "24",
            r"\num{24}": "24",
            r"\textnormal{24}": "24",
        },
        report="huggingface/Math-Verify#37",
    ),
    Because(
        "colour does not change a number",
        reads={
            r"\color{red}{24}": "24",
            r"\textcolor{blue}{24}": "24",
            r"\color{red} 24": "24",
            r"\color{Red}{24}": "24",
        },
    ),
    Because(
        "groups and boxes in the box",
        reads={r"\boxed{24}": "24", "{24}": "24", "{{24}}": "24", r"\fbox{24}": "24", r"{\text{24}}": "24"},
    ),
    Because(
        "space is none of the number",
        reads={
            r"\,24\,": "24",
            r"\quad 24": "24",
            r"24\qquad": "24",
            r"24\!": "24",
            r"\displaystyle 24": "24",
            r"\;24\;": "24",
        },
    ),
    Because(
        "words and a unit as text",
        reads={
            r"24\text{ apples}": "24",
            r"24~\text{cm}": "24",
            r"24\ \text{cm}": "24",
            r"24\,\mathrm{cm^2}": "24",
            r"35 \text{ cm}": "35",
            r"24 \text{ red apples}": "24",
            r"\text{24 apples}": "24",
            r"24\,\text{km/h}": "24",
            r"24 \mathrm{~cm}": "24",
            r"\text{Answer: } 24": "24",
            r"\text{The answer is } 24": "24",
            r"24\text{.}": "24",
        },
        report="huggingface/Math-Verify#57",
    ),
    Because(
        "a unit with a power outside of its text",
        reads={
            r"24 \text{ cm}^2": "24",
            r"24\,\text{m}^{2}": "24",
            r"24 \text{ cm}^{3}": "24",
            r"24 cm^{-1}": "24",
            r"24 \mathrm{kg}/\mathrm{m}^3": "24",
        },
    ),
    Because(
        "percent, money and degrees, escaped",
        reads={
            r"24\%": "24",
            r"\$24": "24",
            r"\$ 24": "24",
            r"90^\circ": "90",
            r"90^{\circ}": "90",
            r"90\degree": "90",
            r"24^\circ C": "24",
            r"24 \%": "24",
        },
    ),
    Because("a name and an equals sign", reads={"$x = 24$": "24", r"\(n = 24\)": "24", "x=24": "24"}),
    Because("deeper wrapping than four is nothing that is written", nothing={"{" * 90 + "24" + "}" * 90: "24"}),
    Because(
        "a repeating decimal needs its own reading",
        nothing={r"0.\overline{3}": "0.3", r"0.\dot{3}": "0.3", "0.(3)": "0.3", r"0.\bar{3}": "0.3"},
    ),
    Because(
        "LaTeX that is not whole is not read",
        nothing={r"\frac{1": "1", r"\frac{24}{": "24", r"\frac{}{2}": "2", r"\frac{24}": "24"},
    ),
    Because(
        "fractions of fractions are calculations",
        nothing={r"\frac{\frac{1}{2}}{3}": "1/6", r"\frac{1}{\frac{1}{24}}": "24", r"\frac{24+24}{2}": "24"},
        rule=True,
    ),
    Because(
        "two pieces are two numbers, or two digits",
        nothing={r"2\text{4}": "24", r"\text{2}\text{4}": "24", r"\mathbf{2}\mathbf{4}": "24"},
    ),
    Because(
        "a set or a tuple is not its element",
        nothing={
            r"\{24\}": "24",
            r"\left\{24\right\}": "24",
            r"\langle 24 \rangle": "24",
            r"\begin{pmatrix}24\end{pmatrix}": "24",
        },
    ),
    Because(
        "a number inside of a formula is not the formula",
        nothing={
            r"1 - \frac{1}{\mathrm{e}}": "1",
            r"24\mathrm{e}": "24",
            r"\log 24": "24",
            r"\overline{24}": "24",
            r"24 \,\%_{x}": "24",
        },
        report="huggingface/Math-Verify#14",
    ),
)
