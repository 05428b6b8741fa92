"""What servers and models answer: the envelope, the JSON inside of it, and the questions that an author writes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from fuzz.target import VALUES, Target, damaged, spoiled
from hopchain_etl.engines.base import InvalidOutputError
from hopchain_etl.engines.prompts import Prompt
from hopchain_etl.engines.vlm.call import IncompleteResponseError, parse_response
from hopchain_etl.engines.vlm.programs import as_written, draft_row
from hopchain_etl.hops.query import QueryError, query_from_row

PROMPTS = {role: Prompt.load(role) for role in ("author", "detect", "diagnose", "judge", "look", "reader")}
REPLY = {
    "choices": [{"message": {"content": '{"answer": "24"}', "reasoning": None}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5},
}
THOUGHT = {**REPLY, "choices": [{"message": {"content": "<think>hm</think> {}"}, "finish_reason": "stop"}]}


def of_schema(schema: Any, root: Any = None) -> st.SearchStrategy[Any]:
    """Draw values that a JSON schema allows, as far as our prompts' schemas go."""
    root = root or schema
    if "$ref" in schema:
        return st.deferred(lambda: of_schema(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root))
    if "anyOf" in schema:
        return st.one_of(*(of_schema(one, root) for one in schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    least, most = schema.get("minItems", 0), schema.get("maxItems", 4)
    match schema.get("type"):
        case "object":
            named = {key: of_schema(one, root) for key, one in schema.get("properties", {}).items()}
            return st.fixed_dictionaries(named)
        case "array":
            return st.lists(of_schema(schema["items"], root), min_size=least, max_size=max(least, min(most, 4)))
        case "string" if "pattern" in schema:
            return st.from_regex(schema["pattern"], fullmatch=True)
        case "string":
            shortest = schema.get("minLength", 0)
            return st.text(min_size=shortest, max_size=max(shortest, min(schema.get("maxLength", 30), 30)))
        case "integer" | "number":
            return st.integers(schema.get("minimum", -5), schema.get("maximum", 1_000))
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return VALUES


def received(reply: bytes) -> None:
    """A reply is no complete chat completion, or fits its columns and has a text that is JSON or an invalid answer."""
    try:
        answer = parse_response(reply, 0, 1.0)
        assert isinstance(answer.text, str)
        answer.finish_reason.encode()
        assert all(0 <= count < 2**31 for count in (answer.prompt_tokens, answer.completion_tokens))
        answer.json()
    except (IncompleteResponseError, InvalidOutputError):
        return


def checked(value: Any) -> None:
    """An answer meets a role's schema and can be stored, or is an InvalidOutputError whose text can be stored."""
    for prompt in PROMPTS.values():
        try:
            json.dumps(prompt.checked(value, "raw"), ensure_ascii=False).encode()
        except InvalidOutputError as error:
            str(error).encode()


def drafted(value: Any) -> None:
    """Each question of an author's answer becomes a row: a query, or what is wrong with it as a QueryError."""
    try:
        answer = PROMPTS["author"].checked(value, "raw")
    except InvalidOutputError:
        return
    ids = {f"i{number}": f"{number:016x}" for number in range(1, 5)}
    for written in answer["queries"]:
        row = draft_row(written, ids, ["one", "two"])
        as_written(row, {name: label for label, name in ids.items()})
        try:
            query_from_row(row)
        except QueryError:
            continue


AUTHORED = of_schema(PROMPTS["author"].schema)
ANSWERS = st.one_of(*(of_schema(prompt.schema) for prompt in PROMPTS.values()), VALUES)
TARGETS = (
    Target(
        "server-reply",
        st.one_of(
            damaged([json.dumps(reply).encode() for reply in (REPLY, THOUGHT)]),
            spoiled([REPLY, THOUGHT]).map(lambda value: json.dumps(value).encode()),
        ),
        received,
    ),
    Target("prompt-answer", ANSWERS.flatmap(lambda value: spoiled([value])), checked),
    Target("author", AUTHORED | AUTHORED.flatmap(lambda value: spoiled([value])), drafted),
)
