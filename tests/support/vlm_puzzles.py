"""A model that writes good puzzles, or bad ones on demand, behind the scripted server; and masks to write them over.

Every photo shows the same five things in a row, each with dots that only the model sees. Which photo is meant is told
by the bytes that arrive, as a real server would have to.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

from hopchain_etl.engines.base import Identity, Reply, SegmentJob, Selection
from hopchain_etl.engines.factory import Engines
from hopchain_etl.engines.vlm.author import VlmAuthor
from hopchain_etl.engines.vlm.detector import VlmDetector
from hopchain_etl.engines.vlm.judge import VlmJudge
from hopchain_etl.engines.vlm.reader import VlmReader
from hopchain_etl.engines.vlm.solver import VlmSolver
from hopchain_etl.settings import AskSettings, GenerateSettings, VlmSettings
from support.scripted_server import Act, Body, Refuse, Say, prompt_of, say_json

THINGS = ("bench", "dog", "kite", "ball", "lamp")
Mood = Callable[[str, str], str]  # role and blob sha to what the model is like


def dots(name: str) -> int:
    return 2 + THINGS.index(name)


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
        left, top = 60 * place + 5, 150 if certain else 10
        pixels = np.zeros((job.photo.height, job.photo.width), np.uint8, order="F")
        pixels[top : top + 60, left : left + 40] = 1
        rle = coco.encode(pixels)
        mask = {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode()}
        told = {"category": name, "score": 0.9, "certain": certain, "attributes": {}, "text": None}
        return {**told, "box": [float(left), float(top), left + 40.0, top + 60.0], "mask": mask, "area": 2400}


def engines_at(vlm: VlmSettings, ask: AskSettings) -> Engines:
    """The engines of the vllm profile, but for the segmenter."""
    return Engines(
        VlmDetector(vlm, ask),
        RowSegmenter(),
        VlmAuthor(vlm, ask, GenerateSettings()),
        reader=VlmReader(vlm, ask),
        solver=VlmSolver(vlm, ask),
        judge=VlmJudge(vlm, ask),
        selection=Selection(ask.min_complexity, ask.min_quality),
    )


def role_of(body: Body) -> str:
    system = body["messages"][0]["content"][0]["text"]
    starts = {"detector": "You look over", "author": "You write puzzles", "reader": "You take puzzles",
              "solver": "You answer", "judge": "You decide"}  # fmt: skip
    return next(role for role, start in starts.items() if system.startswith(start))


def blob_of(body: Body) -> str:
    """The sha256 of the first picture in a request, or nothing."""
    for part in body["messages"][-1]["content"]:
        if part["type"] == "image_url":
            return hashlib.sha256(base64.b64decode(part["image_url"]["url"].partition(",")[2])).hexdigest()
    return ""


def model(mood: Mood = lambda role, blob: "good") -> Callable[[Body, int], Act]:
    """Return a script for the server. Moods: good, low, simple, empty, refused, babbling, nonsense, misworded."""

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
            return say_json({"queries": [written(chosen(body), how)]}, thinking="I count the dots.")
        if role == "reader":
            return say_json(read_again(prompt_of(body)))
        if role == "judge":
            return say_json({"verdict": "fine", "reason": "all is clear"})
        return Say("It must be <answer>7</answer>")

    return script


def seen(how: str) -> dict[str, Any]:
    named = [{"name": name, "count": 1} for name in THINGS]
    good = {"complexity": 6, "quality": "high", "remark": "a row of things", "categories": named}
    worse = {"low": {"quality": "low", "remark": "blurred"}, "simple": {"complexity": 1}, "empty": {"categories": []}}
    return {**good, **worse.get(how, {})}


def chosen(body: Body) -> dict[str, str]:
    """The labelled things of an author's prompt, by label."""
    return dict(re.findall(r'^(i\d): "(\w+)"', prompt_of(body).replace(" i", "\ni"), re.MULTILINE))


def written(things: dict[str, str], how: str) -> dict[str, Any]:
    """A chain along all the things, each found through the one before, and at last a count."""
    hops = [hop([label], name, "behind" if n else "named", f"h{n}" if n else None, "parts", str(dots(name)))
            for n, (label, name) in enumerate(things.items())]  # fmt: skip
    names = list(things.values())
    hops.append(hop([], names[1], "named", None, "count", "1"))
    expr = "+".join(f"h{n}" for n in range(1, len(names) + 1)) + f"*2+h{len(hops)}"
    answer = sum(map(dots, names)) + dots(names[-1]) + 1
    told = [names[0], names[-1], *names[1:-1]] if how == "misworded" else names
    last = f"Add the number of {names[1]}s in the whole picture."
    good = {
        "hops": hops,
        "expr": expr,
        "answer": str(answer),
        "question": question(told, last),
        "half": {"question": "How much is twice the dots and one more?", "expr": f"h{len(names)}*2+h{len(hops)}"},
        "single": {"question": f"How many {names[1]}s are there?", "expr": f"h{len(hops)}"},
    }
    nonsense = {"hops": [{**one, "category": "unicorn", "rel": "behind"} for one in hops], "expr": "h1+"}
    return {**good, **nonsense} if how == "nonsense" else good


def question(names: Sequence[str], last: str) -> str:
    way = ", then the ".join(names)
    return f"Find the {way}, each behind the one before. Add up their dots, the last one's twice. {last} What is it?"


def hop(target: list[str], name: str, rel: str, to: str | None, read: str, value: str) -> dict[str, Any]:
    arg = "dots" if read == "parts" else None
    return {"target": target, "category": name, "rel": rel, "to": to, "read": read, "arg": arg, "value": value}


def read_again(prompt: str) -> dict[str, Any]:
    """What the question says, worked out from its words, the list and the notes alone."""
    asked = json.loads(re.search(r'"Find the .*?What is it\?"', prompt)[0])  # type: ignore[index]
    names = re.search(r"Find the (.*?), each", asked)[1].split(", then the ")  # type: ignore[index]
    noted = dict(re.findall(r'(i\d+): parts "dots": (\d+)', prompt))
    label_of = {name: label for label, name in re.findall(r'(i\d+): "(\w+)", ', prompt) if label in noted}
    hops = [
        hop([label_of[name]], name, "behind" if n else "named", f"h{n}" if n else None, "parts", noted[label_of[name]])
        for n, name in enumerate(names)
    ]
    counted = re.search(r"the number of (\w+)s in", asked)[1]  # type: ignore[index]
    hops.append(hop([], counted, "named", None, "count", "0"))  # code counts better
    expr = "+".join(f"h{n}" for n in range(1, len(names) + 1)) + f"*2+h{len(hops)}"
    return {"unclear": None, "hops": hops, "expr": expr}
