"""### Photos to multi-hop questions

`ingest` reads new photos from the source bucket. `plan` finds the shards to process: new ones, unfinished ones and
those with failed rows; each runs through all stages. The quality gate checks everything that was written, new questions
of the shards that pass become one annotation batch, and `runs/<run_id>.json` in the lake records the run. `judge_run`
fails the run at last if a shard did not pass (or warns: `HOPCHAIN_QUALITY__GATE`), and warns of figures that are far
from the usual (or fails: `HOPCHAIN_QUALITY__DRIFT`). No task waits for people.

Run it again at any time: complete shards are skipped, and if there is no work, no batch and no event are created.
- Tasks that ask a model use the pool `vlm`, those that compute on a GPU the pool `gpu`. Create what the engines need
  once (`airflow pools set gpu 2 hopchain`), otherwise tasks wait forever.
- The engines are those of the settings when this file is read: where tasks run follows from them.
- The params override the settings (`HOPCHAIN_*`, `hopchain.toml`) for one run.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, TriggerRule, chain, dag, task, task_group

from hopchain_etl.orchestration import build_end, dag_config
from hopchain_etl.settings import Settings

SETTINGS = Settings()
QUERIES, NIGHTLY = dag_config.asset("queries"), dag_config.timetable(SETTINGS, "schedule")
INTAKE = "[A-Za-z0-9][A-Za-z0-9._-]*"
CHOICE = f"^(new|all|sample:[1-9][0-9]*|{INTAKE}( *, *{INTAKE})*)$"
INGEST = SETTINGS.ingest
JSON = Any  # if a task is annotated to return a dict, TaskFlow creates one XCom per key

# fmt: off
PARAMS = {
    "source_uri": Param(SETTINGS.source.uri, "Where the photos are: s3://bucket/prefix",
                        title="Source", type="string", pattern="^s3://"),
    "intakes": Param("new", "new | all | sample:N (N shards, always the same) | names of intakes, separated by commas",
                     title="What to build", type="string", pattern=CHOICE),
    "image_limit": Param(INGEST.limit, "Maximum number of new photos; empty: all",
                         title="New photos", type=["null", "integer"], minimum=1),
    "shard_size": Param(INGEST.shard_size, "New photos per shard; shards are what is mapped, retried and marked",
                        title="Shard size", type="integer", minimum=1, maximum=2000),
    "retry_quarantined": Param(False, "Also run rows again that were given up after several attempts",
                               title="Retry quarantined rows", type="boolean"),
    "token_ceiling": Param(SETTINGS.engines.token_ceiling, "Maximum number of model tokens of the run; empty: any",
                           title="Token ceiling", type=["null", "integer"], minimum=1),
}
# fmt: on


def tasks() -> Any:
    """Return the functions of the tasks, imported only when a task runs."""
    from hopchain_etl.orchestration import build

    return build


@dag(**dag_config.dag_args(SETTINGS, "build", "0.2"), schedule=NIGHTLY, params=PARAMS, doc_md=__doc__)
def hopchain_build() -> None:
    @task(**dag_config.placement("ingest", SETTINGS))
    def ingest(params: JSON = None, dag_run: JSON = None) -> JSON:
        """Fetch and normalise new photos, and finish older intakes."""
        return tasks().ingest(params, dag_run)

    @task
    def plan(params: JSON = None) -> list[list[str]]:
        """List the shards that need work under the current fingerprints, in groups to be mapped."""
        return tasks().plan(params)

    def stage(name: str, doc: str) -> Any:
        # A bad shard stops no other of its group: the next stage takes those that are complete.
        @task(task_id=name, doc_md=doc, trigger_rule=TriggerRule.ALL_DONE, **dag_config.placement(name, SETTINGS))
        def run(group: list[str], params: JSON = None) -> None:
            tasks().run_stage(name, group, params)

        return run

    @task_group(default_args={"map_index_template": dag_config.GROUP_NAME})
    def shards(group: list[str]) -> None:
        """A shard, or one after the other of a group, through all stages; groups do not wait for each other."""
        chain(*(stage(name, doc)(group=group) for name, doc in dag_config.stages(SETTINGS).items()))

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def shards_done() -> None:
        """Wait until every shard has passed all stages or failed."""

    @task
    def quality_gate(ingested: JSON, planned: JSON, params: JSON = None, dag_run: JSON = None) -> JSON:
        """Name the shards that failed their suite or are not complete; only the others are published."""
        return tasks().quality_gate(params, dag_run, ingested, planned)

    @task
    def publish_batch(gate: JSON, params: JSON = None, dag_run: JSON = None) -> JSON:
        """Write `batches/<id>.json` with the questions that are in no batch yet."""
        return tasks().publish_batch(params, dag_run, gate)

    @task
    def record_run(
        ingested: JSON, planned: JSON, gate: JSON, batch: JSON, params: JSON = None, dag_run: JSON = None
    ) -> JSON:
        """Write `runs/<run_id>.json`: what ran, on which intakes, under which fingerprints."""
        return tasks().record_run(params, dag_run, ingested, planned, gate, batch)

    @task(outlets=[QUERIES])
    def announce(counts: JSON, outlet_events: JSON = None) -> None:
        """Send the event of `hopchain://queries` with the run's counts; skipped if nothing was built."""
        outlet_events[QUERIES].extra = build_end.announce_queries(counts)

    @task(trigger_rule=TriggerRule.NONE_FAILED)
    def judge_run(gate: JSON, counts: JSON, params: JSON = None) -> None:
        """Fail the run, or only warn, if the quality gate named a shard or the build's figures are unusual."""
        build_end.judge_run(params, gate, counts)

    ingested, planned = ingest(), plan()
    gate = quality_gate(ingested, planned)
    ingested >> planned
    shards.expand(group=planned) >> shards_done() >> gate
    announce(counts := record_run(ingested, planned, gate, publish_batch(gate))) >> judge_run(gate, counts)


hopchain_build()
