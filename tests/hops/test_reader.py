"""Questions answered twice: by the program behind them, and by a reader who knows the English and the picture only."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from hopchain_etl.hops.program_author import write_queries
from hopchain_etl.hops.scene import Scene
from support import reader
from support.read_scenes import as_read, reading, some_scenes
from support.reader import CannotReadError, ReadInstance, UnclearError, answer

# -- by hand: three pictures, and answers worked out on paper -------------------------------------------------------


def line(text: str, x1: float, y1: float, x2: float, y2: float) -> ReadInstance:
    return ReadInstance("text", (x1, y1, x2, y2), (x2 - x1) * (y2 - y1), text)


def thing(
    category: str, box: tuple[float, float, float, float], colour: str | None = None, *also: str, certain: bool = True
) -> ReadInstance:
    area = (box[2] - box[0]) * (box[3] - box[1])
    return ReadInstance(category, box, area, None, colour, frozenset({*also, *([colour] if colour else [])}), certain)


MENU = [
    line("MENU", 200, 20, 400, 80),
    line("Soup", 50, 100, 150, 140), line("12", 500, 100, 550, 140),
    line("Salad", 50, 200, 175, 240), line("35", 500, 200, 550, 240),
    line("Bread", 50, 300, 175, 340), line("40", 500, 300, 550, 340),
    line("Tea", 50, 400, 125, 440), line("9", 500, 400, 550, 440),
    line("No 7", 560, 460, 599, 490),
]  # fmt: skip
YARD = [
    thing("car", (100, 500, 300, 600), "red"),
    thing("car", (600, 500, 700, 560), "red"),
    thing("car", (400, 100, 520, 180), "blue"),
    thing("dog", (350, 520, 400, 570), "white"),
    thing("dog", (620, 300, 680, 350), "brown", "black"),
    thing("person", (450, 250, 500, 400)),
    thing("bench", (800, 100, 900, 200), certain=False),
]
ROAD = [
    thing("bus", (100, 100, 300, 220), "yellow"),
    thing("car", (50, 300, 200, 400), "white"),
    thing("car", (300, 310, 420, 400), None, "red", "white"),
    thing("person", (500, 280, 540, 420), "blue"),
    thing("person", (700, 290, 740, 420), "red"),
    thing("traffic light", (600, 50, 620, 110), "green"),
]
DEVICES = [
    thing("box", (100, 100, 300, 300), "grey"),
    thing("button", (150, 150, 170, 170), "red"),
    thing("button", (200, 150, 220, 170), "blue"),
    thing("box", (400, 100, 600, 300), "grey"),
    thing("button", (450, 150, 470, 170), "red"),
    thing("cup", (480, 60, 520, 100), "white"),
]
PICTURES = {
    "devices": (DEVICES, 700, 400),
    "menu": (MENU, 600, 500),
    "yard": (YARD, 1000, 800),
    "road": (ROAD, 800, 600),
}

ANSWERS = [
    # 5 letters + 35
    ("menu", 40, 'Begin with the word "Salad". Count the letters of this word; that is A. Go on to the number directly '
                 "to the right of it. Note it down as B. What is A + B?"),
    # MENU, Soup, Salad are higher; Bread is in its row; only 9 is lower
    ("menu", 3, 'Find the number "40". Let X be how many words are higher up in the picture than it. Let Y be how many '
                "numbers are lower down in the picture than it. What is X × Y?"),
    # (40 − 5) × 5, where by precedence it would be 40 − 25
    ("menu", 175, 'Start at the number "9". From there, go to the number nearest to it. Let P be this number. Next, '
                  "find the word directly to the left of it. Call the number of its letters Q. Take P, subtract Q and "
                  "then multiply the result by Q. What number do you get?"),
    # closest in value to 12 is 9, not 35, which is near it; above the 9 stands 40
    ("menu", 360, 'Look for the number "12". Next, find the other number whose value comes closest to it. Let A be '
                  "this number. Go on to the number directly above it. Let B be this number. What is A × B?"),
    # 3 letters, 5 words, 4 numbers ("No 7" is neither)
    ("menu", 23, 'Find the word "Tea". Let A be the number of letters in this word. Count all the words in the '
                 "picture; that is B. Let C be how many numbers there are in the whole picture. What is A + B × C?"),
    ("menu", 32, 'Find the word "Tea". Let A be the number of letters in this word. Count all the words in the '
                 "picture; that is B. Let C be how many numbers there are in the whole picture. What is (A + B) × C?"),
    ("menu", 32, 'Find the word "Tea". Let A be the number of letters in this word. Count all the words in the '
                 "picture; that is B. Let C be how many numbers there are in the whole picture. Take A, add B and then "
                 "multiply the result by C. What number do you get?"),
    ("menu", -6, 'Find the word "Tea". Let A be the number of letters in this word. Count all the words in the '
                 "picture; that is B. Let C be how many numbers there are in the whole picture. What is A − B − C?"),
    ("menu", 2, 'Find the word "Tea". Let A be the number of letters in this word. Count all the words in the picture; '
                "that is B. What is B - (A + B - B)?"),
    # MENU: 4 letters, 4 words below
    ("menu", 16, "Look for the word in the tallest letters. Count its letters; that is X. Count the words lower down "
                 "in the picture than it; that is Y. What is X × Y?"),
    # 5 > 4 letters: 7; 40 is not greater than 40: 6
    ("menu", 42, 'Find the word "Bread". If this word has more than 4 letters, A is 7; otherwise A is 2. Go on to the '
                 "number directly to the right of it. Let B be 3 if this number is greater than 40, and 6 if not. "
                 "What is A × B?"),
    ("menu", -2, 'Find the word "Soup". If this word has more than 4 letters, A is 7; otherwise A is 2. Count the '
                 "numbers further right in the picture than it; that is B. What is A − B?"),
    # other words for the same: Salad 5, and 12 above its 35
    ("menu", 60, 'First, locate the word "Salad". Let A be its number of letters. Move on to the number immediately to '
                 "the right of this word. After that, turn to the number just above it. Call it B. Calculate A × B."),
    # two cars are lower than the blue one; the brown dog is right of the person
    ("yard", 3, "Begin with the blue car in the picture. Count the cars lower down in the picture than it; that is A. "
                "Go on to the person directly below it. Let B be how many dogs are further right in the picture than "
                "it. What is A + B?"),
    ("yard", 72, "Find the largest car. Next, find the dog nearest to it. If it is mainly white, P is 9; otherwise P "
                 "is 4. Go on to the other dog. Let Q be 3 if it is mainly white, and 8 if not. What is P × Q?"),
    # the dog above the small car: two cars are further left, the small one itself is straight below
    ("yard", 6, "Start at the smallest car. Go on to the dog directly above it. Let X be how many cars are further "
                "left in the picture than it. Let Y be how many cars there are in the whole picture. Take X, multiply "
                "it by Y. What number do you get?"),
    ("yard", 10, "Look for the only person in the picture. From there, go to the car directly above it. If it is "
                 "mainly red, A is 5; otherwise A is 11. Count all the people in the picture; that is B. What is A − "
             "B?"),
    ("yard", -5, "Find the white dog in the picture. Go on to the car directly to the right of it. Let A be how many "
                 "dogs are higher up in the picture than it. Go on to the dog closest to it. Let B be 6 if it is "
                 "mainly brown, and 2 if not. Take A, subtract B. What number do you get?"),
    # the other red car has a red car and two dogs to the right
    ("yard", 3, "Find the red car furthest to the right in the picture. Go on to the other red car. Let A be how many "
                "red cars are further right in the picture than it. Count the dogs further right in the picture than "
                "it; that is B. What is A + B?"),
    ("yard", 2, "Look for the tallest car. Next, find the dog nearest to it. Count the blue cars higher up in the "
                "picture than it; that is A. Let B be how many cars are further left in the picture than it. What is "
                "A + B?"),
    ("yard", 5, "Begin with the widest red car. Go on to the white dog closest to it. Let A be how many dogs there are "
                "in the whole picture. Count all the cars in the picture; that is B. What is A + B?"),
    ("devices", 4, "Find the leftmost box. Count the buttons that are in it or a part of it; that is A. Go on to the "
                   "box directly to the right of it. Let B be how many red buttons are in it or a part of it. Let C be "
                   "how many cups are on it. What is A + B + C?"),
    ("devices", 2, "Find the rightmost box. Go on to the cup on it. Let A be how many boxes are lower down in the "
                   "picture than it. What is A?"),
    # nobody is told of the doubtful bench
    ("yard", 1, "Find the only blue car in the picture. Count all the benches in the picture; that is A. Count all the "
                "people in the picture; that is B. What is A + B?"),
    ("yard", 7, "Find the brown dog. Let A be the number of cars in the picture. Let B be how many cars are lower down "
                "in the picture than it. Take A, multiply it by B, and then add 1. What is the result?"),
    # the second car only touches the columns of the bus; two people are right of the first
    ("road", 16, "Find the bus in the picture. Go on to the car directly below it. Let A be 8 if it is mainly white, "
                 "and 3 if not. Let B be how many people are further right in the picture than it. What is A × B?"),
    ("road", 2, "Find the only blue person in the picture. Go on to the other person. Count the people further left in "
                "the picture than it; that is X. Let Y be how many buses there are in the whole picture. What is X + "
             "Y?"),
    ("road", 4, "Find the traffic light in the picture. Count the cars further left in the picture than it; that is A. "
                "Count the people further right in the picture than it; that is B. What is A × B + A?"),
    ("road", 3, "Start with the red person in the picture. Go on to the person directly to the left of it. Let A be "
                "how many traffic lights are higher up in the picture than it. Let B be how many cars are further left "
                "in the picture than it. What is A + B?"),
    # the 9 is next to it; 5 words, 4 numbers and "No 7" itself
    ("menu", 90, 'Find the text "No 7". Next, find the number nearest to it. Call this number A. Count all the lines '
                 "of text in the picture; that is B. What is A × B?"),
    # the lower dog is white; all three cars but the red large one are further right than it
    ("yard", 14, "Start at the lowest dog. Let A be 7 if it is mainly white, and 3 if not. Let B be how many cars are "
                 "further right in the picture than it. What is A × B?"),
    ("road", 5, "Find the person furthest to the right in the picture. If it is mainly red, A is 4; otherwise A is 1. "
                "Go on to the leftmost car. Count the buses higher up in the picture than it; that is B. What is A "
                "+ B?"),
]  # fmt: skip

ASKS_BACK = [
    ("menu", "Find the lowest number. Let A be this number. What is A + A?"),  # the 9 at the bottom, or the least
    ("road", "Find the topmost person. If it is mainly red, A is 1; otherwise A is 2. What is A?"),  # 280 and 290
    ("menu", 'Find the number "35". Go on to the number nearest to it. Let A be this number. What is A + A?'),  # 12, 40
    ("menu", 'Find the word "MENU". Go on to the word directly below it. Count its letters; that is A. What is A + A?'),
    ("menu", 'Find the word "Soup". Go on to the word directly above it. Count its letters; that is A. What is A + A?'),
    ("menu", 'Find the word "Pie". Let A be the number of letters in this word. What is A + A?'),
    ("menu", 'Find the word "Soup". Let A be this number. What is A + A?'),
    ("menu", 'Find the number "12". Count the words in the picture; that is A. Let B be this number. What is A + B?'),
    ("menu", 'Find the number "12". Let A be this number. Let A be how many words there are in the whole picture. '
             "What is A + A?"),
    ("menu", 'Find the number "12". Let A be this number. What is A + B?'),
    ("menu", "Go on to the word directly below it. Let A be the number of letters in this word. What is A + A?"),
    ("yard", "Find the dog in the picture. Count the cars further left in the picture than it; that is A. What is A?"),
    ("yard", "Find the red car in the picture. Count the dogs further left in the picture than it; that is A. What is "
             "A?"),
    ("yard", "Find the bench in the picture. Count the cars further left in the picture than it; that is A. What is "
             "A?"),
    ("yard", "Find the largest dog. Go on to the other car. If it is mainly red, A is 1; otherwise A is 2. What is A?"),
    ("yard", "Find the smallest car. Go on to the car closest to it. If it is mainly red, A is 1; otherwise A is 2. "
             "What is A?"),  # by edges the red one, by middles the blue one
    ("road", "Find the white car in the picture. Count the people in the picture; that is A. What is A?"),
    ("road", "Find the blue person in the picture. Go on to the car directly to the left of it. If it is mainly red, A "
             "is 1; otherwise A is 2. What is A?"),
]  # fmt: skip

MAKES_NO_SENSE = [
    'Find the number "12". Sing it. What is 1 + 1?',
    'Find the number "12". Let A be this number.',
    'Find the number "12". Let A be this number. What is A + + A?',
    'Find the number "12". Let A be this number. What is (A + A?',
    'Find the number "12". Let A be this number. Take A, add it. What number do you get?',
    'Find the number "12". Let A be this number. What is A? Go on to the number directly below it.',
    'Find the number "12". If this number is purpler than 3, A is 1; otherwise A is 2. What is A?',
    'Find the number "12". If this number is greater than 3, A is 1; otherwise B is 2. What is A?',
    'Find the number "12" somewhere behind it. Let A be this number. What is A?',
]


@pytest.mark.parametrize(("picture", "expected", "question"), ANSWERS)
def test_answers_worked_out_by_hand(picture: str, expected: int, question: str) -> None:
    assert answer(question, *PICTURES[picture]) == expected


@pytest.mark.parametrize(("picture", "question"), ASKS_BACK)
def test_what_fits_none_or_several_is_unclear(picture: str, question: str) -> None:
    with pytest.raises(UnclearError):
        answer(question, *PICTURES[picture])


@pytest.mark.parametrize("question", MAKES_NO_SENSE)
def test_nonsense_is_not_read(question: str) -> None:
    with pytest.raises(CannotReadError):
        answer(question, *PICTURES["menu"])


# -- against the author ----------------------------------------------------------------------------------------------


Asked = tuple[str, str, Fraction, Scene]


@pytest.fixture(scope="module")
def asked() -> list[Asked]:
    """Name of the scene, question, the author's answer and the scene, for every question; `make truth` asks more."""
    return [(name, q.question, q.answer, s) for name, seed, s in some_scenes(3) for q in write_queries(s, 6, seed)]


@pytest.mark.slow
def test_reader_and_author_agree_on_every_question(asked: list[Asked]) -> None:
    failures = []
    for name, question, expected, scene in asked:
        read = reading(question, scene)
        if read != expected:
            seen = "\n    ".join(map(str, as_read(scene)))
            failures.append(f"{name}: {question}\n  author {expected}, reader {read}\n    {seen}")
    assert len(asked) >= 500
    assert not failures, f"{len(failures)} of {len(asked)}:\n" + "\n".join(failures[:10])


# -- the reader does not agree with just anything --------------------------------------------------------------------

OPPOSITE = {
    "left": "right", "right": "left", "above": "below", "below": "above",
    "higher up": "lower down", "lower down": "higher up",
}  # fmt: skip
OTHER_COLOUR = {"red": "blue", "blue": "white", "white": "red"}
OTHER_SIGN = {"+": "−", "−": "+", "×": "+", "add": "subtract", "subtract": "add"}


def turn_sides(question: str, scene: Scene) -> str:
    """Left for right and up for down, everywhere."""
    return re.sub("|".join(OPPOSITE), lambda m: OPPOSITE[m[0]], question)


def change_start_colour(question: str, scene: Scene) -> str:
    start = rf"^(?P<lead>[^.:\"]*? )(?P<colour>{'|'.join(OTHER_COLOUR)})(?= )"
    return re.sub(start, lambda m: m["lead"] + OTHER_COLOUR[m["colour"]], question)


def change_start_text(question: str, scene: Scene) -> str:
    """Start at another word or number of the picture."""

    def another(m: re.Match[str]) -> str:
        texts = sorted({i.text for i in scene.instances if i.text and i.text.isdigit() == m[1].isdigit()})
        return f'"{texts[(texts.index(m[1]) + 1) % len(texts)]}"'

    return re.sub('"([^"]+)"', another, question)


def change_constants(question: str, scene: Scene) -> str:
    """One more in both branches of every condition."""
    branches = r"(?<= is )\d+(?=, otherwise)|(?<=, otherwise )\d+"
    return re.sub(branches, lambda m: str(int(m[0]) + 1), question)


def change_sign(question: str, scene: Scene) -> str:
    """Another sign for the first step of the last sentence."""
    cut = max(question.rfind("What is"), question.rfind("Take "))
    return question[:cut] + re.sub("[+−×]|add|subtract", lambda m: OTHER_SIGN[m[0]], question[cut:], count=1)


MUTATIONS = [turn_sides, change_start_colour, change_start_text, change_constants, change_sign]


@pytest.mark.slow
@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda f: f.__name__)
def test_another_question_gets_another_answer(mutate: Callable[[str, Scene], str], asked: list[Asked]) -> None:
    outcomes = []
    for _, question, expected, scene in asked:
        changed = mutate(question, scene)
        if changed != question:
            outcomes.append((reading(changed, scene), expected, changed))
    assert len(outcomes) >= 30
    assert not [o for o in outcomes if str(o[0]).startswith("CannotReadError")]  # a mutant is as good English
    unmoved = [o for o in outcomes if o[0] == o[1]]
    assert len(unmoved) <= 0.1 * len(outcomes), "\n".join(str(o) for o in unmoved[:10])


# -- nothing is shared -----------------------------------------------------------------------------------------------


FOLDER = Path(reader.__file__).parent
MODULES = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}


def test_reader_imports_plain_python_only() -> None:
    plain = {"__future__", "re", "collections.abc", "dataclasses", "fractions"}
    assert {path.name for path in FOLDER.iterdir()} - {"__pycache__"} == {
        f"{name}.py" for name in {"__init__", *MODULES}
    }
    for path in FOLDER.glob("*.py"):
        imported = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add("." * node.level + (node.module or ""))
            elif isinstance(node, ast.Name):
                assert node.id not in {"__import__", "exec", "eval"}
        assert imported <= plain | {f".{name}" for name in MODULES}, path.name


def test_reader_loads_without_the_project(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "reader", ignore=shutil.ignore_patterns("__pycache__"))
    code = "import sys; sys.path.insert(0, sys.argv[1]); import reader; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code, tmp_path], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert {"reader", *(f"reader.{name}" for name in MODULES)} <= set(loaded)
    assert not [name for name in loaded if name.startswith(("hopchain_etl", "tests", "support"))]
