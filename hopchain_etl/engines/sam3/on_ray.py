"""SAM3 in actors of a Ray cluster, which keep it loaded between tasks; the same answers as ``engine``."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from hopchain_etl.concurrency import submit_ahead
from hopchain_etl.engines import ray_actors
from hopchain_etl.engines.base import JSON, EngineDownError, Identity, Reply, SegmentJob, is_permanent
from hopchain_etl.engines.ray_actors import ActorLostError, HeldModel
from hopchain_etl.engines.sam3.engine import Sam3Segmenter
from hopchain_etl.settings import RaySettings, Sam3Settings

log = logging.getLogger(__name__)

_ATTEMPTS = 3  # for a photo whose actor ends


class Sam3Actor(HeldModel):
    """Holds SAM3 and segments the photos that it is sent. The weights are loaded at the first one."""

    def __init__(self, idle_seconds: float, package: str, settings: Sam3Settings) -> None:
        super().__init__(idle_seconds, package)
        self._segmenter = Sam3Segmenter(settings)

    def segment(self, job: SegmentJob) -> JSON:
        """Return the reply to a job whose photo carries its bytes, without the job. Raises as ``Sam3Segmenter``."""
        with self.used():
            try:
                (reply,) = self._segmenter.segment([job])
            except EngineDownError:
                self.end()  # a GPU that has failed works again in a new process only
                raise
        return {"content": reply.content, "error": reply.error, "permanent": reply.permanent}


class RaySam3Segmenter:
    """SAM3 as a Segmenter; see ``Sam3Segmenter``. Photos are fetched here, all the rest is done by the actors."""

    def __init__(self, settings: Sam3Settings, ray: RaySettings) -> None:
        """Set up without connecting."""
        self._settings, self._ray = settings, ray
        self._in_task = Sam3Segmenter(settings)

    @property
    def identity(self) -> Identity:
        """That of ``Sam3Segmenter``: where it runs does not change an answer."""
        return self._in_task.identity

    def segment(self, jobs: Iterable[SegmentJob]) -> Iterator[Reply[SegmentJob]]:
        """Yield a reply for each job, in order.

        A photo whose actor ends is tried again, by another actor and alone; after that, the failure of the photo may
        pass. Raises EngineDownError if the cluster cannot be used, or if actors end before they answer anything.
        """
        actors = _Actors(self._settings, self._ray)
        with ThreadPoolExecutor(actors.in_flight, thread_name_prefix="ray-sam3") as threads:
            try:
                for _, reply in submit_ahead(threads, actors.reply, jobs, actors.in_flight):
                    yield reply.result()
            finally:
                actors.ended.set()


class _Actors:
    """The actors, as one ``segment`` uses them from several threads."""

    def __init__(self, settings: Sam3Settings, ray: RaySettings) -> None:
        ray_actors.connect(ray)
        self._settings, self._ray = settings, ray
        self._handles = [self._held(number) for number in range(ray.sam3_actors)]
        self._turns = itertools.count()
        self._renewing, self._alone = threading.Lock(), threading.Lock()
        self._has_answered = False
        self.in_flight = ray.sam3_actors * self._calls
        self.ended = threading.Event()

    def reply(self, job: SegmentJob) -> Reply[SegmentJob]:
        """Return the reply to a job. Raises EngineDownError."""
        try:
            sent = replace(job, photo=replace(job.photo, load=partial(bytes, job.photo.load())))
        except Exception as error:  # noqa: BLE001 whatever fetching raises; the reply reports it
            return Reply(job, error=f"{type(error).__name__}: {error}", permanent=is_permanent(error))
        try:
            return self._answered(job, sent)
        except ActorLostError:
            # One photo may end an actor, and then all that it works on are lost with it. Tried one by one, the others
            # come through.
            with self._alone:
                return self._answered_alone(job, sent)

    def _answered_alone(self, job: SegmentJob, sent: SegmentJob) -> Reply[SegmentJob]:
        lost = ""
        for _ in range(1, _ATTEMPTS):
            if self.ended.is_set():
                break
            try:
                return self._answered(job, sent)
            except ActorLostError as error:
                lost = str(error)
        if not self._has_answered and lost:
            raise EngineDownError(f"the actors for SAM3 end before they answer; see the logs of Ray. The last: {lost}")
        return Reply(job, error=f"{_ATTEMPTS} actors ended while they worked on this photo. The last: {lost}")

    def _answered(self, job: SegmentJob, sent: SegmentJob) -> Reply[SegmentJob]:
        number = next(self._turns) % len(self._handles)
        handle = self._handles[number]
        try:
            answer = ray_actors.ask(handle, "segment", sent, seconds=self._ray.ready_seconds)
        except ActorLostError as error:
            log.warning("actor %d for SAM3 ended: %s", number, error)
            self._renew(number, handle)
            raise
        self._has_answered = True
        return Reply(job, **answer)

    def _renew(self, number: int, lost: Any) -> None:
        """Put a new actor in the place of a lost one."""
        with self._renewing:
            if self._handles[number] is lost:
                self._handles[number] = self._held(number)

    def _held(self, number: int) -> Any:
        settings, gpus = self._settings, self._ray.sam3_gpus
        facts, calls = settings.model_dump(mode="json"), self._calls
        where = (self._ray, Sam3Actor, facts)
        return ray_actors.held(*where, settings, number=number, cpus=settings.threads, gpus=gpus, calls=calls)

    @property
    def _calls(self) -> int:
        return self._settings.threads + 1  # as in Sam3Segmenter: one on the GPU while the threads prepare others
