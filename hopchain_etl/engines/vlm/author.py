"""VlmAuthor: asks the model to write questions over combinations of instances."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from hopchain_etl.engines.base import JSON, AuthorJob, Identity, Photo, Reply, Row, instance_for_prompt
from hopchain_etl.engines.prompts import describe
from hopchain_etl.engines.vlm.call import ChatRequest, ChatResponse
from hopchain_etl.engines.vlm.model import RoleModel
from hopchain_etl.engines.vlm.programs import as_written, draft_row, labels
from hopchain_etl.hops import combinations
from hopchain_etl.hops.scene import Scene
from hopchain_etl.settings import AskSettings, GenerateSettings, VlmSettings

_MOST_OTHERS = 40  # maximum number of instances listed only as context


class VlmAuthor:
    """Sees the photo, a close-up of each instance of a combination, and the list. See ``engines.base.Author``."""

    def __init__(self, vlm: VlmSettings, ask: AskSettings, generate: GenerateSettings) -> None:
        self._model = RoleModel("author", vlm, ask)
        self._ask, self._generate = ask, generate

    @property
    def identity(self) -> Identity:
        """Model, prompt, schema and limits; how combinations are drawn is the plan."""
        ask, generate = self._ask, self._generate
        plan = {
            "combinations": ask.combinations_per_image,
            "size": [generate.min_instances, generate.max_instances],
            "seed": generate.seed,
            **combinations.RECIPE,
        }
        crops = {"crop_pixels": ask.crop_pixels, "crop_margin": ask.crop_margin}
        return self._model.identity(plan=plan, queries=ask.queries_per_combination, seed=generate.seed, **crops)

    @property
    def saw_photo(self) -> bool:
        """True: the photo is in the prompt."""
        return True

    def plan(self, photo: Photo, instances: Sequence[Row]) -> Sequence[AuthorJob]:
        """Return a job for each combination that is drawn."""
        scene = Scene.from_rows(instances, photo.width, photo.height)
        size = self._generate.min_instances, self._generate.max_instances
        drawn = combinations.combinations(scene, self._ask.combinations_per_image, size, self._generate.seed)
        return [AuthorJob(photo, tuple(instances), one) for one in drawn]

    def write(self, jobs: Iterable[AuthorJob]) -> Iterator[Reply[AuthorJob]]:
        """Yield a reply for each job, in any order. See ``VlmClient.ask`` for the exceptions."""
        return self._model.ask(jobs, self._call, self._content)

    def _call(self, job: AuthorJob) -> ChatRequest:
        photo, model = job.photo, self._model
        chosen, others = _split(job)
        label_of = labels(chosen)

        def described(row: Row) -> str:
            return describe(instance_for_prompt(row), photo.width, photo.height)

        pictures = {"image": model.whole(photo)}
        pictures |= {label_of[row["instance_id"]]: model.close_up(photo, tuple(row["box"])) for row in chosen}
        return model.call(
            pictures,
            seed=self._generate.seed,
            things=[{"label": label_of[row["instance_id"]], "told": described(row)} for row in chosen],
            others=list(map(described, others[:_MOST_OTHERS])),
            queries=self._ask.queries_per_combination,
            refused=[
                {"draft": as_written(one["draft"], label_of), "complaints": in_labels(one["complaints"], job, label_of)}
                for one in job.refused
            ],
        )

    def _content(self, job: AuthorJob, answer: ChatResponse) -> JSON:
        value = self._model.read(answer)
        chosen, _ = _split(job)
        ids = {label: one for one, label in labels(chosen).items()}
        written = value["queries"][: self._ask.queries_per_combination]
        return {"queries": [draft_row(one, ids, job.combination) for one in written]}


def in_labels(complaints: Sequence[str], job: AuthorJob, label_of: Mapping[str, str]) -> list[str]:
    """Return complaints in which things are called as in the prompt; an author knows no instance ids."""
    named = {
        row["instance_id"]: label_of.get(row["instance_id"], f"another {row['category']}") for row in job.instances
    }
    known = re.compile("|".join(map(re.escape, named)))
    return [known.sub(lambda match: named[match[0]], complaint) for complaint in complaints]


def _split(job: AuthorJob) -> tuple[list[Row], list[Row]]:
    """Split the instances into those of the combination (in its order) and the others."""
    rows = {row["instance_id"]: row for row in job.instances}
    return [rows.pop(one) for one in job.combination], list(rows.values())
