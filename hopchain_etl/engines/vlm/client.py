"""Sends many requests at once in a sliding window; survives bad rows, invalid answers and server restarts.

Guarantees:

- At most ``concurrency`` requests are in flight; a finished one is replaced immediately. Pictures are loaded and
  encoded in advance, and waiting before a retry does not occupy a slot.
- Only transient errors are retried: lost or incomplete responses, 5xx, 429 (respecting ``Retry-After``), and timeouts a
  limited number of times. A request that the server refuses (400, 413, 422, too many tokens) is never retried: the
  error of its job is permanent, as is that of a photo that cannot be read or sent.
- A failure of one job is only that job's error. If the server cannot be reached, the client waits for it and then
  raises EngineDownError.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from hopchain_etl.engines.base import JSON, EngineDownError, InvalidOutputError, Job, Reply, is_permanent
from hopchain_etl.engines.vlm.call import ChatRequest, ChatResponse, raw_record, truncate
from hopchain_etl.engines.vlm.wire import Prepared, Server, UnansweredError
from hopchain_etl.settings import VlmSettings

log = logging.getLogger(__name__)

J = TypeVar("J", bound=Job)
T = TypeVar("T")
_PREPARING = 8  # threads that load and encode pictures
# Exceptions that parsing an unexpected model answer may raise.
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class VlmClient:
    """A model behind an OpenAI-compatible server at ``url`` (which mostly ends in ``/v1``)."""

    def __init__(self, settings: VlmSettings, url: str, *, api_key: str | None = None) -> None:
        self.settings = settings
        self._url, self._api_key = url, api_key

    def ask(
        self, jobs: Iterable[J], call_of: Callable[[J], ChatRequest], content_of: Callable[[J, ChatResponse], JSON]
    ) -> Iterator[Reply[J]]:
        """Make one call for each job and yield its reply as soon as it arrives, in any order.

        ``jobs`` is read in the caller's thread when slots become free; ``call_of`` and ``content_of`` run in others. An
        answer for which ``content_of`` raises InvalidOutputError is requested again with another seed; if that fails
        too, the content is ``invalid``. Raises EngineDownError if the server is down.
        """
        # The same number is prepared in advance, because answers of similar length finish together and free many slots
        # at once.
        room = 2 * max(self.settings.concurrency, _PREPARING)
        source, more, outstanding = iter(jobs), True, 0
        done: queue.SimpleQueue[Future[Reply[J]]] = queue.SimpleQueue()
        with _Window(self.settings, self._url, self._api_key) as window:
            while more or outstanding:
                if more and outstanding < room and done.empty():
                    try:
                        job = next(source)
                    except StopIteration:
                        more = False
                        continue
                    window.run(window.reply(job, call_of, content_of)).add_done_callback(done.put)
                    outstanding += 1
                else:
                    outstanding -= 1
                    yield done.get().result()


class _Window:
    """The calls of one ``ask``, on an event loop in a separate thread."""

    def __init__(self, settings: VlmSettings, url: str, api_key: str | None) -> None:
        self._settings = settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vlm", daemon=True)
        self._prepare = ThreadPoolExecutor(min(_PREPARING, settings.concurrency), thread_name_prefix="vlm-prepare")
        self._server = Server(settings, url, api_key)

    def __enter__(self) -> _Window:
        self._thread.start()
        self.run(self._server.open()).result()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.run(self._close()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._prepare.shutdown(wait=False, cancel_futures=True)

    def run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start ``work`` on the loop and return a future of its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def reply(
        self, job: J, call_of: Callable[[J], ChatRequest], content_of: Callable[[J, ChatResponse], JSON]
    ) -> Reply[J]:
        """Return the reply to a job, with its cost; raises only EngineDownError."""
        reply = Reply(job)
        try:
            first, prepared = await self._in_thread(self._prepared, job, call_of)
            for attempt in range(self._settings.invalid_retries + 1):
                call = first.with_new_seed(attempt) if attempt else first
                answer = await self._server.answer(prepared, call)
                tokens = reply.tokens + answer.prompt_tokens + answer.completion_tokens
                reply = replace(reply, tokens=tokens, seconds=reply.seconds + answer.seconds)
                content = await self._in_thread(_read, content_of, job, answer)
                reply = replace(reply, content=content, raw_response=raw_record(call, answer))
                if "invalid" not in content:
                    break
        except EngineDownError:
            raise
        except UnansweredError as error:
            return replace(reply, content=None, raw_response=None, error=str(error), permanent=error.permanent)
        except Exception as error:
            log.warning("a call could not be prepared", exc_info=True)
            text = f"{type(error).__name__}: {error}"
            return replace(reply, content=None, raw_response=None, error=text, permanent=is_permanent(error))
        return reply

    def _prepared(self, job: J, call_of: Callable[[J], ChatRequest]) -> tuple[ChatRequest, Prepared]:
        call = call_of(job)
        return call, self._server.prepared(call)

    async def _in_thread(self, work: Callable[..., T], *args: Any) -> T:
        return await self._loop.run_in_executor(self._prepare, work, *args)

    async def _close(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._server.close()


def _read(content_of: Callable[[J, ChatResponse], JSON], job: J, answer: ChatResponse) -> JSON:
    """Return the parsed content of an answer, or ``{"invalid": reason, "raw": text}``."""
    try:
        return content_of(job, answer)
    except InvalidOutputError as error:
        return {"invalid": error.reason, "raw": truncate(error.raw or answer.text)}
    except _UNREADABLE as error:
        return {"invalid": f"unreadable: {type(error).__name__}: {error}", "raw": truncate(answer.text)}
