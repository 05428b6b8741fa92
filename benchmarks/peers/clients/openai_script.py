"""What one writes in ten minutes: AsyncOpenAI, a semaphore, and a file with a line for each answer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict

from openai import AsyncOpenAI, OpenAIError

from benchmarks.peers.rows import Answer, Row, Task, read_answers, read_rows


def answer(task: Task) -> list[Answer]:
    return asyncio.run(ask_all(task))


async def ask_all(task: Task) -> list[Answer]:
    log = task.work / "log.jsonl"
    done = read_answers(log) if log.exists() else []
    known = {one.number for one in done}
    places = asyncio.Semaphore(task.at_once)
    with log.open("a") as sink:
        async with AsyncOpenAI(base_url=task.url, api_key="none", timeout=task.timeout) as client:

            async def ask(row: Row) -> Answer:
                async with places:
                    try:
                        reply = await client.chat.completions.create(**row.body)
                    except OpenAIError as error:
                        return Answer(row.number, None, f"{type(error).__name__}: {error}")
                answer = Answer(row.number, reply.choices[0].message.content)
                sink.write(f"{json.dumps(asdict(answer))}\n")
                sink.flush()
                return answer

            return done + await asyncio.gather(*(ask(row) for row in read_rows(task.rows) if row.number not in known))
