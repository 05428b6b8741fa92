"""Do the checks catch what is wrong? Good queries, each spoiled in every way that ``tests/support/mutations.py`` knows.

    python -m benchmarks.mutations [--queries 1000]

A mutant that is provably as good as the query (``still_true``: every hop still finds and reads what it states, and the
expression still gives the answer) is dropped and counted, for the operators whose harm lies in just that. Prints a
table and, as its last line, JSON.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator

from benchmarks.truth import seen
from hopchain_etl.hops.checks import check
from hopchain_etl.hops.geometry import Scene
from hopchain_etl.hops.program_author import write_queries
from hopchain_etl.hops.query import Query
from hopchain_etl.scenes import ALL_KINDS, draw
from hopchain_etl.scenes.oracle import PERFECT
from support import mutations
from support.hop_scenes import street

# Only these can leave a query as true as it was: they change a place, an order or a sign, and may hit nothing.
MAY_BE_EQUIVALENT = {"reorder", "wrong_anchor", "wrong_side", "wrong_relation", "moved", "wrong_sign", "drop_link"}


def good_queries(count: int) -> Iterator[tuple[Query, Scene]]:
    """Yield what the program author writes over drawn scenes and strewn objects, in turn."""
    made = 0
    for seed in range(10**6):
        scenes = [street(seed)]
        if seed % 2 == 0:
            try:
                scenes.append(seen(draw(ALL_KINDS[seed // 2 % len(ALL_KINDS)], seed), PERFECT))
            except ValueError:  # no room for the words of that drawing
                continue
        for scene in scenes:
            for query in write_queries(scene, 6, seed):
                if made == count:
                    return
                made += 1
                yield query, scene


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--queries", type=int, default=1000)
    wanted = options.parse_args().queries
    rng = random.Random(0)
    tally: dict[str, Counter[str]] = {operator.__name__: Counter() for operator in mutations.OPERATORS}
    reasons: dict[str, Counter[str]] = {name: Counter() for name in tally}
    good = passed = 0
    for query, scene in good_queries(wanted):
        good += 1
        passed += not check(query, scene)[0]
        for operator in mutations.OPERATORS:
            name = operator.__name__
            spoiled = operator(query, scene, rng)
            if spoiled is None:
                continue
            if name in MAY_BE_EQUIVALENT and mutations.still_true(*spoiled):
                tally[name]["equivalent"] += 1
                continue
            found = check(*spoiled)[0]
            tally[name]["mutants"] += 1
            tally[name]["caught"] += bool(found)
            if found:
                reasons[name][found[0].reason] += 1
            elif tally[name]["mutants"] - tally[name]["caught"] <= 1:
                print("missed", name, spoiled[0])
    print("| operator | what it does | mutants | equivalent | caught | mostly as |")
    print("|---|---|---:|---:|---:|---|")
    for operator in mutations.OPERATORS:
        name = operator.__name__
        count = tally[name]
        share = count["caught"] / count["mutants"] if count["mutants"] else 0.0
        most = reasons[name].most_common(1)[0][0] if reasons[name] else ""
        what = (operator.__doc__ or "").strip().rstrip(".")
        print(f"| {name} | {what} | {count['mutants']} | {count['equivalent']} | {share:.1%} | {most} |")
    shares = [count["caught"] / count["mutants"] for count in tally.values() if count["mutants"]]
    print(f"{good} good queries, {passed} pass")
    print(
        json.dumps(
            {"operators": len(shares), "min_caught": round(min(shares), 4), "good_passed": round(passed / good, 4)}
        )
    )


if __name__ == "__main__":
    main()
