"""Models in actors of a real Ray cluster: the same bytes as in a task, kept between tasks, and actors that are killed.

The cluster has no GPU and believes in eight; SAM3 is the tiny one, and vLLM is the stand-in of ``support``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
import tiny_sam3
from ray_fixtures import free_port

from hopchain_etl.doctor import ray_cluster
from hopchain_etl.engines import ray_actors
from hopchain_etl.engines.base import EngineDownError, Photo, Reply, SegmentJob
from hopchain_etl.engines.factory import Engines, create_engines
from hopchain_etl.engines.launches import launches_since
from hopchain_etl.engines.ray_actors import ActorLostError, HeldModel
from hopchain_etl.engines.sam3 import on_ray
from hopchain_etl.engines.vlm.call import ChatRequest, Message
from hopchain_etl.engines.vlm.connection import connect
from hopchain_etl.engines.vlm.on_ray import VlmServerActor, endpoint_on_ray
from hopchain_etl.engines.vlm.server import command_of
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.segments import lines
from hopchain_etl.settings import RaySettings, Sam3Settings, Settings, VlmSettings
from support.plain_job import PlainJob
from support.s3 import S3Location
from support.stand_in_server import all_stopped, settings_of
from support.toy_build import data_parts, night, put_photos, settings_at

PHOTOS = 8  # two shards
NOUNS = "dog,cat,tower,the red thing"


@pytest.fixture(scope="module")
def sam3(tmp_path_factory: pytest.TempPathFactory) -> Sam3Settings:
    """The tiny SAM3, of which whatever it finds is taken for certain."""
    weights = tiny_sam3.build(tmp_path_factory.mktemp("sam3-on-ray"))
    sure = {"sure_score": 0.3, "mask_threshold": 0.9, "min_area": 16, "min_area_share": 0.0}
    return Sam3Settings.model_validate({"model": str(weights), "device": "cpu", "read_text": False, **sure})


@pytest.fixture
def _disconnected() -> Iterator[None]:
    """Disconnect at the end, as a task does when its process ends."""
    yield
    ray.shutdown()


def build_settings(bucket: S3Location, lake: str, sam3: Sam3Settings, **engines: Any) -> Settings:
    places = settings_at(bucket.bucket, bucket.endpoint_url, lake)
    words = {"categories": NOUNS}
    chosen = {"profile": "sam3", **engines}
    return Settings(
        lake=places.lake, source=places.source, ingest=places.ingest, engines=chosen, words=words, sam3=sam3
    )


def answers(lake: Lake) -> Counter[bytes]:
    """Return each line of the journal, with how often it is there."""
    found = [entry.key for entry in lake.store.list_objects("journal/")]
    return Counter(line for key in found for line in lines(lake.store.get(key)))


def pid_of(handle: Any) -> tuple[int, int]:
    """Return the process of an actor for SAM3, and which model it has loaded."""
    return ray.get(handle.__ray_call__.remote(lambda held: (os.getpid(), id(held._segmenter._model))))


def sam3_actor(sam3: Sam3Settings, where: RaySettings) -> Any:
    return on_ray._Actors(sam3, where)._handles[0]


class Killing:
    """Passes jobs on to a segmenter, and kills the process of its actor after the first reply."""

    def __init__(self, segmenter: on_ray.RaySam3Segmenter, victim: int) -> None:
        self._segmenter, self._victim = segmenter, victim

    @property
    def identity(self) -> Any:
        return self._segmenter.identity

    def segment(self, jobs: Iterable[SegmentJob]) -> Iterator[Reply[SegmentJob]]:
        for reply in self._segmenter.segment(jobs):
            if psutil.pid_exists(self._victim):
                os.kill(self._victim, signal.SIGKILL)
            yield reply


@pytest.mark.s3
@pytest.mark.usefixtures("_disconnected")
def test_the_bytes_are_those_of_the_task_the_model_stays_loaded_and_a_killed_actor_loses_nothing(
    bucket: S3Location, sam3: Sam3Settings, cluster: dict[str, str], ray_settings: RaySettings
) -> None:
    put_photos(settings_at(bucket.bucket, bucket.endpoint_url).source, range(PHOTOS))
    in_task = build_settings(bucket, "in-task", sam3)
    _, expected = night(in_task, "first", create_engines(in_task))
    handler = signal.getsignal(signal.SIGTERM)

    # One task after the other. The second one is a process on no node of the cluster, as far as Ray can tell.
    where = {"launch": "ray", "ray": ray_settings}
    settings = build_settings(bucket, "on-ray", sam3, **where)
    _, build = night(settings, "first", create_engines(settings))
    assert signal.getsignal(signal.SIGTERM) is handler, "a task stops gracefully"
    loaded = pid_of(sam3_actor(sam3, ray_settings))
    ray.shutdown()
    elsewhere = ray_settings.model_copy(update={"address": cluster["client"]})
    second = build_settings(bucket, "second", sam3, launch="ray", ray=elsewhere)
    _, later = night(second, "first", create_engines(second))
    assert pid_of(sam3_actor(sam3, elsewhere)) == loaded
    ray.shutdown()

    # One that loses its actor in the middle.
    third = build_settings(bucket, "third", sam3, **where)
    engines = create_engines(third)
    killing = Killing(engines.segmenter, loaded[0])  # type: ignore[arg-type]
    _, bereft = night(third, "first", Engines(engines.detector, killing, engines.author))
    assert not psutil.pid_exists(loaded[0])
    assert pid_of(sam3_actor(sam3, ray_settings)) != loaded

    parts = data_parts(expected.lake)
    assert {key.partition("/")[0] for key in parts} == {"images", "categories", "instances", "queries"}
    assert sum(expected.lake.read("instances", expected.steps["segment"].fingerprint, shard).num_rows
               for shard in expected.lake.completed_shards("images")) > PHOTOS  # fmt: skip
    for one in (build, later, bereft):
        assert data_parts(one.lake) == parts
        assert answers(one.lake) == answers(expected.lake)
    assert set(answers(bereft.lake).values()) == {1}
    assert len(answers(bereft.lake)) == PHOTOS


class Fragile(HeldModel):
    """In the place of the actor for SAM3: dies of one photo, and answers all others."""

    def __init__(self, idle_seconds: float, package: str, settings: Sam3Settings) -> None:
        super().__init__(idle_seconds, package)

    def segment(self, job: SegmentJob) -> dict[str, Any]:
        with self.used():
            if job.photo.image_id == "poison":
                time.sleep(0.5)  # until others are here
                os._exit(1)
            if job.photo.image_id == "gone":
                raise EngineDownError("the GPU failed")
            return {"content": {"bytes": len(job.photo.load())}, "error": None, "permanent": False}


def job(name: str) -> SegmentJob:
    return SegmentJob(Photo(name, name, 1, 1, lambda: b"x" * 9), ())


@pytest.mark.usefixtures("_disconnected")
def test_a_photo_that_kills_its_actor_fails_alone(ray_settings: RaySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_ray, "Sam3Actor", Fragile)
    two = ray_settings.model_copy(update={"sam3_actors": 2, "sam3_gpus": 0.5})
    names = ["0", "1", "2", "poison", *map(str, range(4, 12))]
    replies = list(on_ray.RaySam3Segmenter(Sam3Settings(threads=1), two).segment(map(job, names)))
    assert [reply.job.photo.image_id for reply in replies] == names
    failed = [reply for reply in replies if reply.content != {"bytes": 9}]
    assert [(reply.job.photo.image_id, reply.permanent) for reply in failed] == [("poison", False)]
    assert (failed[0].error or "").startswith("3 actors ended while they worked on this photo")

    with pytest.raises(EngineDownError, match="end before they answer"):
        list(on_ray.RaySam3Segmenter(Sam3Settings(threads=1), two).segment([job("poison")]))
    with pytest.raises(EngineDownError, match=r"^the GPU failed$"):
        list(on_ray.RaySam3Segmenter(Sam3Settings(threads=1), two).segment([job("gone")]))


def used_for_ever(handle: Any) -> None:
    """Use an actor again and again, more seldom than it waits for."""
    while True:
        time.sleep(1)
        ray_actors.ask(handle, "touch", seconds=60)


@pytest.mark.usefixtures("_disconnected")
def test_an_actor_ends_when_nobody_uses_it(ray_settings: RaySettings) -> None:
    brief = ray_settings.model_copy(update={"idle_seconds": 0.5})
    ray_actors.connect(brief)

    def actor() -> Any:
        return ray_actors.held(brief, Fragile, "brief", Sam3Settings(), gpus=1, calls=1)

    first = actor()
    ray_actors.ask(first, "touch", seconds=60)
    assert actor()._actor_id == first._actor_id
    with pytest.raises(ActorLostError):
        used_for_ever(first)
    assert actor()._actor_id != first._actor_id


@pytest.mark.usefixtures("_disconnected")
def test_a_model_that_does_not_fit_says_what_is_free(ray_settings: RaySettings) -> None:
    hurried = ray_settings.model_copy(update={"ready_seconds": 2.0})
    ray_actors.connect(hurried)
    big = ray_actors.held(hurried, Fragile, "big", Sam3Settings(), gpus=16, calls=1)
    with pytest.raises(EngineDownError, match=r"not answered in 2 s\. Free there are .* CPUs and .* GPUs: .*add nodes"):
        ray_actors.ask(big, "touch", seconds=2.0)
    with pytest.raises(ActorLostError):
        ray_actors.ask(big, "touch", seconds=60)
    with pytest.raises(EngineDownError, match=r"a node of the Ray cluster has hopchain-etl .*, the task 0\.0\.1"):
        Fragile(1.0, "0.0.1", Sam3Settings())


def test_no_cluster_is_an_error_with_a_remedy() -> None:
    nobody = RaySettings(address=f"127.0.0.1:{free_port()}")
    with pytest.raises(EngineDownError, match=r"no Ray cluster can be used at .*; start it, or correct HOPCHAIN_EN"):
        ray_actors.connect(nobody)


# --- vLLM -------------------------------------------------------------------------------------------------------------


def asked(settings: VlmSettings) -> dict[int, Any]:
    """Return the answer to each of some questions."""
    client = connect(settings)

    def call(job: PlainJob) -> ChatRequest:
        return ChatRequest((Message("user", (f"row {job.number}",)),), max_tokens=10)

    replies = client.ask(map(PlainJob, range(8)), call, lambda job, answer: {"text": answer.text})
    return {reply.job.number: reply.content or reply.error for reply in replies}


def on_cluster(model: VlmSettings, where: RaySettings) -> Settings:
    return Settings(engines={"profile": "vllm", "launch": "ray", "ray": where}, vlm=model, solver=model)


ANOTHER_TASK = """\
import sys
from hopchain_etl.engines.vlm.connection import connect
from hopchain_etl.settings import Settings
client = connect(Settings.model_validate_json(sys.stdin.read()).vlm)
print(client._url)
"""


def test_a_server_is_launched_once_for_all_tasks_and_again_when_its_actor_is_gone(
    ray_settings: RaySettings, tmp_path: Path
) -> None:
    model = settings_of(tmp_path)
    model = model.model_copy(update={"launch": model.launch.model_copy(update={"tensor_parallel": 1})})
    with all_stopped():
        expected = asked(model)
    settings, before = on_cluster(model, ray_settings), len(launches_since())
    try:
        assert asked(settings.vlm) == asked(settings.vlm) == expected
        assert [(one.model, one.gpus) for one in launches_since(before)] == [("org/some", 1)]
        url, key = endpoint_on_ray(settings.vlm, ray_settings)
        run = [sys.executable, "-c", ANOTHER_TASK]
        other = subprocess.run(run, input=settings.model_dump_json(), capture_output=True, text=True, check=True)
        assert other.stdout.split() == [url]
        assert key not in other.stderr
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HOPCHAIN_VLM_KEY", "a guess")
            with pytest.raises(EngineDownError, match="the API key is wrong"):
                asked(model.model_copy(update={"endpoint_url": url}))

        findings = {one.what: one for one in ray_cluster.cluster(settings)}
        assert findings["Ray cluster"].detail.endswith("1 nodes, 8 GPUs")
        many = on_cluster(model, ray_settings.model_copy(update={"sam3_actors": 16, "sam3_gpus": 0.5}))
        findings = {one.what: one for one in ray_cluster.cluster(many)}
        assert findings["Ray GPUs"].detail == "8 now; all models together need 10: sam3 8, solver 1, vlm 1"

        facts = [command_of(settings.vlm, port=0), 1]
        server = ray_actors.held(ray_settings, VlmServerActor, facts, settings.vlm, gpus=1, calls=64)
        processes = ray.get(server.__ray_call__.remote(lambda held: (os.getpid(), held._server.watcher.pid)))
        watched = [psutil.Process(processes[1]), *psutil.Process(processes[1]).children()]
        os.kill(processes[0], signal.SIGKILL)
        _gone, alive = psutil.wait_procs(watched, timeout=30)
        assert alive == [], "the server ends with its actor"
        assert asked(settings.vlm) == expected
        assert len(launches_since(before)) == 2
        assert endpoint_on_ray(settings.vlm, ray_settings)[0] != url
    finally:
        ray.shutdown()
