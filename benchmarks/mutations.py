"""Do the checks catch what is wrong? Good queries, each spoiled in every way that ``tests/support/mutations/`` knows.

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
from dataclasses import dataclass, field

from benchmarks.truth import seen
from hopchain_etl.hops.checks import check
from hopchain_etl.hops.program_author import write_queries
from hopchain_etl.hops.query import Query
from hopchain_etl.hops.scene import Scene
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


@dataclass
class Tally:
    """What became of the mutants of one operator. ``reasons`` counts the first rule that each one caught broke."""

    what: str
    mutants: int = 0
    equivalent: int = 0
    caught: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    missed: Query | None = None  # the first one


def spoil(wanted: int) -> tuple[int, dict[str, Tally]]:
    """Spoil so many good queries in every way; return how many of them pass the checks, and what became of the rest."""
    rng = random.Random(0)
    tallies = {
        operator.__name__: Tally((operator.__doc__ or "").strip().rstrip(".")) for operator in mutations.OPERATORS
    }
    passed = 0
    for query, scene in good_queries(wanted):
        passed += not check(query, scene)[0]
        for operator in mutations.OPERATORS:
            tally = tallies[operator.__name__]
            spoiled = operator(query, scene, rng)
            if spoiled is None:
                continue
            if operator.__name__ in MAY_BE_EQUIVALENT and mutations.still_true(*spoiled):
                tally.equivalent += 1
                continue
            found = check(*spoiled)[0]
            tally.mutants += 1
            tally.caught += bool(found)
            if found:
                tally.reasons[found[0].reason] += 1
            else:
                tally.missed = tally.missed or spoiled[0]
    return passed, tallies


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--queries", type=int, default=1000)
    wanted = options.parse_args().queries
    passed, tallies = spoil(wanted)
    for name, tally in tallies.items():
        if tally.missed:
            print("missed", name, tally.missed)
    print("| operator | what it does | mutants | equivalent | caught | mostly as |")
    print("|---|---|---:|---:|---:|---|")
    for name, tally in tallies.items():
        share = tally.caught / tally.mutants if tally.mutants else 0.0
        most = tally.reasons.most_common(1)[0][0] if tally.reasons else ""
        print(f"| {name} | {tally.what} | {tally.mutants} | {tally.equivalent} | {share:.1%} | {most} |")
    shares = [tally.caught / tally.mutants for tally in tallies.values() if tally.mutants]
    print(f"{wanted} good queries, {passed} pass")
    figures = {"operators": len(shares), "min_caught": round(min(shares), 4), "good_passed": round(passed / wanted, 4)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
