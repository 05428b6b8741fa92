"""The desk in other languages: no text of the annotators' pages is without a message, and none is left over."""

from __future__ import annotations

import json
import re
from string import Formatter

import pytest

from support.page_texts import PAGES, script_texts, sources, translated_pages

LANGUAGES = ["de", "es", "zh"]
PLURALS = {"de": {"one", "other"}, "es": {"one", "other"}, "zh": {"other"}}
TEXTS, SEVERAL = sources()


def messages(language: str) -> dict[str, str | dict[str, str]]:
    """Return a language's messages; a key that stands in the file twice is an error."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len(dict(pairs)) == len(pairs), "a key stands there twice"
        return dict(pairs)

    path = PAGES / "messages" / f"{language}.json"
    found: dict[str, str | dict[str, str]] = json.loads(path.read_text(), object_pairs_hook=unique)
    return found


def gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_the_choice_has_exactly_the_languages_with_messages() -> None:
    offered = re.search(r"LANGUAGES = \{(.*)\}", (PAGES / "shared/i18n.js").read_text())
    assert offered
    assert re.findall(r"(\w+): \"", offered[1]) == ["en", *LANGUAGES]
    assert sorted(path.stem for path in (PAGES / "messages").iterdir()) == LANGUAGES


def test_all_pages_of_annotators_are_translated() -> None:
    found = {path.name: texts for path, texts in translated_pages().items()}
    assert set(found) == {"annotate.html", "my-work.html", "errors.html", "guidelines.html"}
    assert {"Your answer, one number", "Send {0}", "Zoom level", "Annotate · HopChain"} <= found["annotate.html"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_message_is_missing_or_left_over(language: str) -> None:
    held = set(messages(language))
    assert held - TEXTS - set(SEVERAL) == set(), "left over: no page has these texts any more"
    assert (TEXTS | set(SEVERAL)) - held == set(), "missing"


@pytest.mark.parametrize("language", LANGUAGES)
def test_messages_have_the_same_gaps_and_all_plurals(language: str) -> None:
    for key, said in messages(language).items():
        forms = said if isinstance(said, dict) else {"other": said}
        assert all(forms.values()), key
        assert {name for form in forms.values() for name in gaps(form)} == gaps(key), key
        if key in SEVERAL:
            assert set(forms) == PLURALS[language], key
        else:
            assert isinstance(said, str), key


def test_texts_of_scripts_are_found() -> None:
    source = 'say(t("One")); t("Two {n} "\n + "three", { n: t("four") }); plural(told.n, "{n} day", "{n} days")'
    assert script_texts(source) == ({"One", "Two {n} three", "four"}, {"{n} days": "{n} day"}, 4)
    assert script_texts('split("a"); parts(text, nodes); t(text)') == (set(), {}, 0)
    with pytest.raises(AssertionError, match="no literal"):
        script_texts("t(`Hello ${name}`)")
