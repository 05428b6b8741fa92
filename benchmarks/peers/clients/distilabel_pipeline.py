"""A distilabel pipeline with TextGenerationWithImage over OpenAILLM; it keeps its state in its cache."""

from __future__ import annotations

from distilabel.models.llms import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGenerationWithImage

from benchmarks.peers.rows import MAX_TOKENS, MODEL, TEMPERATURE, Answer, Task, read_rows


def answer(task: Task) -> list[Answer]:
    rows = [
        {"number": row.number, "instruction": row.prompt, "image": row.data_uri.partition(",")[2]}
        for row in read_rows(task.rows)
    ]
    llm = OpenAILLM(
        model=MODEL,
        base_url=task.url,
        api_key="none",
        timeout=int(task.timeout),
        generation_kwargs={"temperature": TEMPERATURE, "max_new_tokens": MAX_TOKENS},
    )
    with Pipeline(name="photos", cache_dir=str(task.work / "cache")) as pipeline:
        load = LoadDataFromDicts(name="load", data=rows, batch_size=task.at_once)
        ask = TextGenerationWithImage(name="ask", llm=llm, image_type="base64", input_batch_size=task.at_once)
        load >> ask
    told = pipeline.run()["default"]["train"]
    return [Answer(one["number"], one["generation"], None if one["generation"] else "no answer") for one in told]
