"""The choice among sound queries: no repetition, no value above its share, the same choice in any order."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hopchain_etl.hops import diversity
from hopchain_etl.hops.diversity import RARE, REASONS, DiversityLimits, Profiles, QueryProfile, candidate, guessers

USUAL, ANY = DiversityLimits(), DiversityLimits(answer=1, template=1, near=1)


def one(number: int, **told: object) -> QueryProfile:
    plain = QueryProfile(f"q{number:05d}", f"i{number}", f"t{number}", "count", 4, str(number), frozenset({number}))
    return replace(plain, **told)  # type: ignore[arg-type]


def balance(candidates: list[QueryProfile], limits: DiversityLimits = USUAL) -> dict[str, str]:
    """Return the reason why each query is left out, by query_id."""
    profiles = Profiles()
    for one in candidates:
        profiles.add(one)
    reasons = diversity.balance(profiles, limits).tolist()
    return {one.query_id: REASONS[why] for one, why in zip(candidates, reasons, strict=True) if why}


def kept(candidates: list[QueryProfile], limits: DiversityLimits) -> list[QueryProfile]:
    out = balance(candidates, limits)
    return [one for one in candidates if one.query_id not in out]


def hop(rel: str, to: str | None = None, read: str | None = None, target: str = "a") -> dict[str, object]:
    return {"target": [target], "category": "cup", "rel": rel, "to": to, "read": read, "arg": None, "value": None}


def row(hops: list[dict[str, object]], expr: str, answer: str = "3") -> dict[str, object]:
    return {"query_id": "q", "image_id": "i", "hops": hops, "expr": expr, "answer": answer}


def test_a_template_is_the_program_without_names_and_constants() -> None:
    hops = [hop("named"), hop("nearest", "h1", "number")]
    plain = candidate(row(hops, "h2*3+10"))
    assert plain.template == candidate(row([hop("named", target="z"), hops[1]], "h2*4+7")).template
    assert plain.template != candidate(row(hops, "h1*3+10")).template
    assert plain.template != candidate(row(hops[::-1], "h2*3+10")).template
    assert candidate(row(hops, 'if(h2=="red",1,2)')).template == candidate(row(hops, 'if(h2=="sea",3,4)')).template
    assert (plain.capabilities, plain.n_hops) == ("number", 2)


def test_a_query_that_looks_where_another_looks_is_one_too_many() -> None:
    signatures = frozenset({1, 2, 3, 4, 5})
    both = [one(1, image_id="i", hop_signatures=signatures), one(2, image_id="i", hop_signatures=signatures - {5})]
    assert list(balance(both, replace(ANY, near=0.75)).values()) == ["near_duplicate"]
    assert not balance(both, replace(ANY, near=0.8))
    assert not balance([both[0], replace(both[1], image_id="j")], replace(ANY, near=0.75))
    assert not balance([both[0], replace(both[0], query_id="other")], ANY)


def test_no_answer_has_more_than_its_share() -> None:
    many = [one(n, answer="7" if n < 500 else str(n % 40)) for n in range(1_000)]
    rest = kept(many, replace(ANY, answer=0.1))
    assert max(Counter(c.answer for c in rest).values()) <= 0.1 * len(rest)
    assert len(rest) >= 500  # the others stay
    assert set(balance(many, replace(ANY, answer=0.1)).values()) == {"too_frequent_answer"}


def test_every_share_holds_when_all_are_limited() -> None:
    draw = random.Random(0)
    many = [
        one(n, answer=str(min(draw.randrange(30), draw.randrange(30))), template=f"t{draw.randrange(12)}",
            n_hops=draw.choice([3, 4, 4, 4, 5]), capabilities=draw.choice("aaab"))
        for n in range(3_000)
    ]  # fmt: skip
    limits = DiversityLimits(answer=0.08, template=0.12, capabilities=0.6, n_hops=0.5)
    rest = kept(many, limits)
    for name in ("answer", "template", "capabilities", "n_hops"):
        most = max(Counter(getattr(c, name) for c in rest).values())
        assert most <= max(RARE, getattr(limits, name) * len(rest)), name
    assert len(rest) > 800


def test_a_handful_is_left_alone() -> None:
    assert not balance([one(n, answer="7", template="t") for n in range(RARE)])


def test_limits_that_are_no_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="limit of answer"):
        DiversityLimits(answer=0)


drawn = st.lists(
    st.builds(
        lambda n, answer, image, seen: one(n, answer=str(answer), image_id=f"i{image}", hop_signatures=frozenset(seen)),
        st.integers(0, 99_999), st.integers(0, 3), st.integers(0, 5), st.sets(st.integers(0, 5), min_size=1),
    ),
    max_size=60, unique_by=lambda c: c.query_id,
)  # fmt: skip


@given(drawn, st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_the_order_does_not_matter(many: list[QueryProfile], chance: random.Random) -> None:
    mixed = chance.sample(many, len(many))
    assert balance(many) == balance(mixed)
    assert balance(many).keys() <= {c.query_id for c in many}


def test_guessers_know_the_answers_but_not_the_image() -> None:
    found = guessers([("t", "3"), ("t", "3"), ("t", "4"), ("u", "5"), ("u", "5"), ("v", "6")])
    assert (found.constant, found.template, found.most_frequent) == (2 / 6, 4 / 6, "3")
    assert found.top_three == 5 / 6
    assert guessers([]).constant == 0


def test_a_template_seen_once_teaches_nothing() -> None:
    assert guessers([(f"t{n}", str(n)) for n in range(10)]).template == 0.1


def test_a_profile_tells_what_is_read_in_what_order_and_where() -> None:
    hops = [hop("named", read="number"), hop("nearest", "h1", "colour", "b"), hop("named", "h2", "number", "c")]
    seen = candidate(row(hops, "h1+h3", "7"))
    assert (seen.query_id, seen.image_id, seen.answer) == ("q", "i", "7")
    assert (seen.capabilities, seen.n_hops, len(seen.hop_signatures)) == ("colour+number", 3, 3)
    for change in ({"target": ["z"]}, {"category": "mug"}, {"read": "text"}, {"arg": "handles"}):
        other = candidate(row([hops[0] | change, *hops[1:]], "h1+h3"))
        assert len(seen.hop_signatures & other.hop_signatures) == 2, change
    for change in ({"rel": "largest"}, {"to": "h1"}, {"read": "text"}):
        assert candidate(row([hops[0] | change, *hops[1:]], "h1+h3")).template != seen.template, change
    swapped = [hop("named") | {"target": ["b", "a"]}], [hop("named") | {"target": ["a", "b"]}]
    assert len({candidate(row(hops, "1")).hop_signatures for hops in swapped}) == 1


@pytest.mark.parametrize("share", [0, -0.1, 1.01])
def test_each_limit_is_a_share_above_nothing_and_up_to_all(share: float) -> None:
    for name in vars(DiversityLimits()):
        with pytest.raises(ValueError, match=f"limit of {name} "):
            DiversityLimits(**{name: share})
        DiversityLimits(**{name: 1})


@pytest.mark.parametrize(
    ("same", "others", "share", "left"),
    [
        (500, 500, 0.1, 55),  # 55 of 555 are 9.9 %, 56 of 556 more than a tenth
        (500, 540, 0.1, 60),  # of 600 just a tenth
        (9, 9, 0.25, 5),  # so few always stay
        (6, 0, 0.25, 5),
        (5, 0, 0.25, 5),
        (50, 50, 0.5, 50),
        (51, 50, 0.5, 50),
        (500, 1, 1, 500),
    ],
)
def test_as_many_stay_as_the_share_allows(same: int, others: int, share: float, left: int) -> None:
    many = [one(n, answer="7" if n < same else f"other {n}") for n in range(same + others)]
    rest = kept(many, replace(ANY, answer=share))
    assert Counter(c.answer for c in rest)["7"] == left
    assert len(rest) == left + others


def test_of_those_with_a_frequent_answer_the_same_stay_whatever_else_there_is() -> None:
    """Those whose ids have the lowest hashes, so that a few more of the same only take the place of some."""
    few = [one(n, answer="7") for n in range(40)]
    stay = {c.query_id for c in kept(few, replace(ANY, answer=0.1))}
    assert len(stay) == 5
    assert stay == set(sorted((c.query_id for c in few), key=lambda name: hashlib.sha256(name.encode()).digest())[:5])


@given(drawn, st.data())
@settings(max_examples=60)
def test_who_is_not_to_be_chosen_from_counts_for_nothing(many: list[QueryProfile], data: st.DataObject) -> None:
    among = np.array([data.draw(st.booleans()) for _ in many], np.bool_)
    profiles, fewer = Profiles(), Profiles()
    for one, is_in in zip(many, among, strict=True):
        profiles.add(one)
        if is_in:
            fewer.add(one)
    limits = DiversityLimits(answer=0.3, template=0.5, near=0.5)
    reasons = diversity.balance(profiles, limits, among)
    assert reasons[among].tolist() == diversity.balance(fewer, limits).tolist()
    assert not reasons[~among].any()
    inside = [one for one, is_in in zip(many, among, strict=True) if is_in]
    assert profiles.counts("answer", among) == Counter(one.answer for one in inside)
    assert profiles.counts("capabilities", among) == Counter(one.capabilities for one in inside)
    assert profiles.counts("n_hops", among) == Counter(str(one.n_hops) for one in inside)
    assert [answer for _, answer in profiles.guesses(among)] == [one.answer for one in inside]
    assert [profiles.signatures(place) for place in range(len(profiles))] == [one.hop_signatures for one in many]
    assert len(profiles) == len(many)


@given(st.lists(st.tuples(st.sampled_from("tuvw"), st.integers(0, 12).map(str)), min_size=1, max_size=50))
def test_guessers_are_right_as_often_as_counted_by_hand(pairs: list[tuple[str, str]]) -> None:
    found, number = guessers(pairs), len(pairs)
    answers = Counter(answer for _, answer in pairs)
    often = sorted(answers.values(), reverse=True)
    assert found.most_frequent == min(answers, key=lambda answer: (-answers[answer], answer))
    assert found.constant == often[0] / number
    assert (found.top_three, found.top_ten) == (sum(often[:3]) / number, sum(often[:10]) / number)
    right = 0
    for template in "tuvw":
        own = Counter(answer for name, answer in pairs if name == template)
        right += max(own.values()) if own.total() > 1 else own[found.most_frequent]
    assert found.template == max(right, often[0]) / number
