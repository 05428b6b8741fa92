"""A model that writes good puzzles, or bad ones on demand, behind the scripted server; and masks to write them over.

Every photo shows the same five things in a row, each with dots that only the model sees. Which photo is meant is told
by the bytes that arrive, as a real server would have to, and which things are marked in it by the frames in the
picture.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco

from hopchain_etl.engines.base import Identity, Reply, SegmentJob, Selection
from hopchain_etl.engines.factory import Engines
from hopchain_etl.engines.vlm.author import VlmAuthor
from hopchain_etl.engines.vlm.detector import VlmDetector
from hopchain_etl.engines.vlm.judge import VlmJudge
from hopchain_etl.engines.vlm.looker import VlmLooker
from hopchain_etl.engines.vlm.reader import VlmReader
from hopchain_etl.engines.vlm.solver import VlmSolver
from hopchain_etl.settings import AskSettings, GenerateSettings, VlmSettings
from support.scripted_server import Act, Body, Refuse, Say, prompt_of, say_json

THINGS = ("bench", "dog", "kite", "ball", "lamp")
MANY = {"bench": "benches", "dog": "dogs", "kite": "kites", "ball": "balls", "lamp": "lamps"}
FRONT = "at the front"  # how the half question singles out its first thing
YELLOW, CYAN = (255, 212, 0), (0, 224, 255)  # frames: of what may be meant, and of what a hop starts from
Mood = Callable[[str, str], str]  # role and blob sha to what the model is like


def dots(name: str) -> int:
    return 2 + THINGS.index(name)


def box_of(place: int, *, certain: bool) -> tuple[int, int, int, int]:
    """Where the thing at a place of the row is, and above it what may be another of the same name (there is none)."""
    left, top = 60 * place + 5, 150 if certain else 10
    return left, top, left + 40, top + 60


class RowSegmenter:
    """Cuts out one instance of each category, in a row from left to right, and above it perhaps another of each.

    So a name alone does not find a thing, and links are needed.
    """

    @property
    def identity(self) -> Identity:
        return Identity("row-segmenter", "1", cached=False)

    def segment(self, jobs: Iterable[SegmentJob]) -> Iterator[Reply[SegmentJob]]:
        for job in jobs:
            names = [row["category"] for row in job.categories]
            found = [
                self._one(job, place, name, certain=sure) for place, name in enumerate(names) for sure in (True, False)
            ]
            yield Reply(job, {"instances": found, "dropped": []})

    def _one(self, job: SegmentJob, place: int, name: str, *, certain: bool) -> dict[str, Any]:
        left, top, right, bottom = box_of(place, certain=certain)
        pixels = np.zeros((job.photo.height, job.photo.width), np.uint8, order="F")
        pixels[top:bottom, left:right] = 1
        rle = coco.encode(pixels)
        mask = {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode()}
        told = {"category": name, "score": 0.9, "certain": certain, "attributes": {}, "text": None}
        return {**told, "box": [float(left), float(top), float(right), float(bottom)], "mask": mask, "area": 2400}


def engines_at(vlm: VlmSettings, ask: AskSettings) -> Engines:
    """The engines of the vllm profile, but for the segmenter."""
    return Engines(
        VlmDetector(vlm, ask),
        RowSegmenter(),
        VlmAuthor(vlm, ask, GenerateSettings()),
        reader=VlmReader(vlm, ask),
        looker=VlmLooker(vlm, ask),
        solver=VlmSolver(vlm, ask),
        judge=VlmJudge(vlm, ask),
        selection=Selection(ask.min_complexity, ask.min_quality),
    )


def role_of(body: Body) -> str:
    system = body["messages"][0]["content"][0]["text"]
    starts = {"detector": "You look over", "author": "You write puzzles", "reader": "You take puzzles",
              "look": "You have good eyes", "solver": "You answer", "judge": "You decide"}  # fmt: skip
    return next(role for role, start in starts.items() if system.startswith(start))


def picture_of(body: Body) -> bytes:
    """The first picture in a request, or nothing."""
    for part in body["messages"][-1]["content"]:
        if part["type"] == "image_url":
            return base64.b64decode(part["image_url"]["url"].partition(",")[2])
    return b""


def blob_of(body: Body) -> str:
    """The sha256 of the first picture in a request, or nothing."""
    picture = picture_of(body)
    return hashlib.sha256(picture).hexdigest() if picture else ""


def model(mood: Mood = lambda role, blob: "good") -> Callable[[Body, int], Act]:
    """Return a script for the server.

    Moods of any role: good, refused, babbling. Of the detector: low, simple, empty. Of the author: nonsense; misworded
    (the question says another chain than the program); miscounted (one dot too many); careless and stubborn (a wrong
    sum, which only the careless one mends when it is told).
    """

    def script(body: Body, times: int) -> Act:
        role = role_of(body)
        how = mood(role, blob_of(body))
        if how == "refused":
            return Refuse(400, "this image cannot be processed")
        if how == "babbling":
            return Say("Well, let me see...")
        if role == "detector":
            return say_json(seen(how))
        if role == "author":
            return say_json({"queries": [written(prompt_of(body), how)]}, thinking="I count the dots.")
        if role == "reader":
            return say_json(read_again(prompt_of(body)))
        if role == "look":
            return say_json(looked(prompt_of(body), picture_of(body)))
        if role == "judge":
            return say_json({"verdict": "fine", "reason": "all is clear"})
        return Say("It must be <answer>7</answer>")

    return script


def seen(how: str) -> dict[str, Any]:
    named = [{"name": name, "count": 1} for name in THINGS]
    good = {"complexity": 6, "quality": "high", "remark": "a row of things", "categories": named}
    worse = {"low": {"quality": "low", "remark": "blurred"}, "simple": {"complexity": 1}, "empty": {"categories": []}}
    return {**good, **worse.get(how, {})}


def written(prompt: str, how: str) -> dict[str, Any]:
    """A chain along the labelled things of an author's prompt, each found through the one before; at last a count.

    Code can tell which is the lowest thing of a name, and nothing else of it.
    """
    things = dict(re.findall(r'^(i\d): "(\w+)"', prompt.replace(" i", "\ni"), re.MULTILINE))
    names = list(things.values())
    many = {name: dots(name) for name in names}
    if how == "miscounted":
        many[names[1]] += 1
    hops = [step([label], name, f"h{n}" if n else None, many[name]) for n, (label, name) in enumerate(things.items())]
    hops.append(count(names[1], "1"))
    told = [names[0], names[-1], *names[1:-1]] if how == "misworded" else names
    half = len(hops) // 2  # where the second half starts
    good = {
        "hops": hops,
        "expr": total(1, len(names)),
        "answer": str(sum(many[name] for name in names[1:]) + many[names[-1]] + 1),
        "question": question([f"lowest {told[0]}", *told[1:]], "all but the first", names[1]),
        "half": {
            "question": question([f"{names[half]} {FRONT}", *names[half + 1 :]], "each", names[1]),
            "words": FRONT,
            "expr": total(half, len(names)),
        },
        "single": {"question": how_many(names[1]), "words": None, "expr": f"h{len(hops)}"},
    }
    if how == "nonsense":
        return {**good, "hops": [{**one, "category": "unicorn", "rel": "behind"} for one in hops], "expr": "h1+"}
    mended = re.search(r'- "wrong answer: the expression gives (\d+)', prompt) if how == "careless" else None
    wrong = how in ("careless", "stubborn") and not mended
    return {**good, "answer": str(int(good["answer"]) + 1)} if wrong else good  # type: ignore[call-overload]


def total(first: int, names: int) -> str:
    """The expression over the dots of all but the ``first`` of so many things, the last one's twice, and the count."""
    return "+".join(f"h{n}" for n in range(first + 1, names + 1)) + f"*2+h{names + 1}"


def question(names: Sequence[str], whose: str, counted: str) -> str:
    way = ", then the ".join(names)
    return (
        f"Find the {way}, each behind the one before. Add up the dots of {whose}, the last one's twice. "
        f"Add the number of {MANY[counted]} in the whole picture. What is it?"
    )


def how_many(name: str) -> str:
    return f"How many {MANY[name]} are there in the whole picture?"


def right_answer(prompt: str) -> int:
    """The answer to a whole question in a prompt."""
    found = re.search("Find the lowest (.*?), each", prompt)
    assert found is not None
    names = found[1].split(", then the ")
    return sum(map(dots, names[1:])) + dots(names[-1]) + 1


def step(target: list[str], name: str, to: str | None, dots_there: int | None, words: str | None = None) -> Body:
    """A hop to a thing behind another, or to the first one: the lowest of its name, or the one of these words."""
    rel = "behind" if to else "named" if words else "lowest"
    reads = {"read": None, "arg": None, "value": None}
    if to or words:
        reads = {"read": "parts", "arg": "dots", "value": None if dots_there is None else str(dots_there)}
    return {"target": target, "category": name, "words": words, "rel": rel, "to": to, **reads}


def count(name: str, value: str | None) -> Body:
    place = {"target": [], "category": name, "words": None, "rel": "named", "to": None}
    return {**place, "read": "count", "arg": None, "value": value}


def read_again(prompt: str) -> Body:
    """What a question says, worked out from its words, the list and the notes alone."""
    single = next((name for name in THINGS if how_many(name) in prompt), None)
    if single:
        return {"unclear": None, "hops": [count(single, None)], "expr": "h1"}
    asked = json.loads(re.search(r'"Find the .*?What is it\?"', prompt)[0])  # type: ignore[index]
    names = re.search(r"Find the (.*?), each", asked)[1].split(", then the ")  # type: ignore[index]
    noted = {label: int(many) for label, many in re.findall(r'(i\d+): parts "dots": (\d+)', prompt)}
    listed = re.findall(r'(i\d+): "(\w+)", ([^\n]*)', prompt)
    label_of = {name: label for label, name, told in listed if "perhaps not there" not in told}
    words = FRONT if names[0].endswith(FRONT) else None
    names[0] = names[0].removeprefix("lowest ").removesuffix(f" {FRONT}")
    hops = []
    for n, name in enumerate(names):
        label = label_of[name]
        hops.append(step([label], name, f"h{n}" if n else None, noted.get(label), None if n else words))
    counted = re.search(r"the number of (\w+) in", asked)[1]  # type: ignore[index]
    hops.append(count(next(name for name in THINGS if MANY[name] == counted), None))
    return {"unclear": None, "hops": hops, "expr": total(0 if words else 1, len(names))}


def looked(prompt: str, picture: bytes) -> Body:
    """What is to be seen where a picture is marked. What is framed above the row is nothing."""
    asked = json.loads(re.search(r'^ ?("How many .*"|"Which of .*")$', prompt, re.MULTILINE)[0])  # type: ignore[index]
    starts, framed = framed_places(picture, CYAN), framed_places(picture, YELLOW)
    if counted := re.fullmatch(r"How many of these are there: (\w+) in the whole picture\?", asked):
        assert not starts + framed
        return sight(None, str(int(counted[1] in MANY.values())))
    name, words, anchor = re.match(r"Which of the marked things is the (\w+)( \(.*?\))?( behind)?", asked).groups()  # type: ignore[union-attr]
    labels = re.search(r"It may mean one of: (.*)\.", prompt)[1].split(", ")  # type: ignore[index]
    assert len(labels) == len(framed)
    assert words in (None, f" ({FRONT})")
    assert [certain for _, certain in starts] == ([True] if anchor else [])
    meant = (THINGS.index(name), True)
    if meant not in framed or "how many dots can be seen" not in asked:
        return sight(None, None)
    return sight(labels[framed.index(meant)], str(dots(name)))


def sight(which: str | None, reading: str | None) -> Body:
    return {"why": "I looked.", "cannot_tell": which is reading is None, "which": which, "reading": reading}


def framed_places(picture: bytes, colour: tuple[int, int, int]) -> list[tuple[int, bool]]:
    """The places whose boxes are framed in a colour, from left to right; True for those in the row, not above it."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    found = []
    for place in range(len(THINGS)):
        for certain in (False, True):
            left, top, _, bottom = box_of(place, certain=certain)
            edge = pixels[top:bottom, left - 3]  # frames lie just outside
            if np.abs(edge - colour).mean() < 30:
                found.append((place, certain))
    return found
