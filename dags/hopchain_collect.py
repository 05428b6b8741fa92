"""### Answers of annotators to decided batches

Runs every few minutes and can be run at any time: votes stored since the last run (`votes/<batch>/<query_id>/...`)
become rows of the `answers` table; only the highest revision of a seat counts. A question is kept if four people give
the same number, and dropped at the first reject or disagreement. Questions of withdrawn photos need no answers.

When all questions of a batch are decided, or a lead has closed it, the event of `hopchain://answers` is sent, once for
each batch. A run that finds no such batch skips its last task. No task waits for people.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task

from hopchain_etl.orchestration import dag_config
from hopchain_etl.settings import Settings

SETTINGS = Settings()
OFTEN = dag_config.timetable(SETTINGS, "collect_schedule")
ANSWERS = dag_config.asset("answers")


@dag(**dag_config.dag_args(SETTINGS, "collect", "0.2"), schedule=OFTEN, doc_md=__doc__)
def hopchain_collect() -> None:
    @task(**dag_config.placement("collect", SETTINGS))
    def collect() -> list[Any]:
        """Bring the answers table up to date; list the batches that have just become final."""
        from hopchain_etl.orchestration import collect as tasks

        return tasks.collect()

    @task(outlets=[ANSWERS])
    def announce(final: list[Any], outlet_events: Any = None) -> None:
        """Record batches as decided and send the event of `hopchain://answers`; skipped if there are none."""
        from hopchain_etl.orchestration import collect as tasks

        outlet_events[ANSWERS].extra = tasks.announce_answers(final)

    announce(collect())


hopchain_collect()
