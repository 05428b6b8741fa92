"""### Decided answers to a versioned training set

Runs when a batch is decided (`hopchain://answers`), on a schedule if `release_schedule` is set, and manually. One
serial task takes the snapshot, assembles and validates the training set, writes its card, pushes it with DVC and tags
it in git. An unchanged snapshot gives no version: then the last task is skipped and no event of
`hopchain://training-set` is sent.

- With `approval`, all that is made first and nothing is pushed. A person sees the figures in the UI (Required Actions)
  and approves; then exactly what was shown is pushed. A rejection, or no answer in time
  (`HOPCHAIN_ORCHESTRATE__APPROVAL_HOURS`), skips the release.
- A version without rows, or with far fewer than the last one, is refused unless `force` is set.
- `policy: unreviewed` also releases questions that no human has answered, marked as such.
- Difficulty is computed from the answers of weaker models in `screen`; the local profile has no such model, so
  difficulty is empty.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import AssetOrTimeSchedule, Param, TriggerRule, dag, task

from hopchain_etl.orchestration import dag_config
from hopchain_etl.settings import Policy, Settings

SETTINGS = Settings()
ANSWERS, TRAINING_SET = dag_config.asset("answers"), dag_config.asset("training-set")
CRON = dag_config.timetable(SETTINGS, "release_schedule")
WHENEVER = AssetOrTimeSchedule(timetable=CRON, assets=[ANSWERS]) if CRON else [ANSWERS]
RELEASE = SETTINGS.release
JSON = Any  # if a task is annotated to return a dict, TaskFlow creates one XCom per key

# fmt: off
PARAMS = {
    "targets": Param(list(RELEASE.targets), "Training sets to release, one name per line",
                     title="Targets", type="array", minItems=1, items={"type": "string", "minLength": 1}),
    "policy": Param(RELEASE.policy.value, "unanimous: what people agree on. unreviewed: also without human answers",
                    title="Policy", type="string", enum=[policy.value for policy in Policy]),
    "approval": Param(RELEASE.approval, "Wait for approval by a person before anything is pushed",
                      title="Ask for approval", type="boolean"),
    "force": Param(False, "Publish also a version without rows, or with far fewer than the last one",
                   title="Allow a large drop", type="boolean"),
}
# fmt: on


@dag(**dag_config.dag_args(SETTINGS, "release", "0.2"), schedule=WHENEVER, params=PARAMS, doc_md=__doc__)
def hopchain_release() -> None:
    @task.branch
    def ask(params: JSON = None) -> str:
        """Require a person's approval if `approval` is set."""
        return "propose" if params["approval"] else "publish"

    @task
    def propose(params: JSON = None, dag_run: JSON = None) -> JSON:
        """Take the snapshot, assemble, validate and write the card; push nothing. Skipped if nothing has changed."""
        from hopchain_etl.orchestration import release as tasks

        return tasks.propose(params, dag_run)

    @task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    def publish(proposed: JSON, params: JSON = None, dag_run: JSON = None) -> JSON:
        """Push and tag what was approved; without approval, take the snapshot, assemble and validate before that."""
        from hopchain_etl.orchestration import release as tasks

        return tasks.release(params, proposed, dag_run)

    @task(outlets=[TRAINING_SET])
    def announce(published: JSON, outlet_events: JSON = None) -> None:
        """Send the event of `hopchain://training-set` with tag and counts; skipped if nothing changed."""
        from hopchain_etl.orchestration import release as tasks

        outlet_events[TRAINING_SET].extra = tasks.announce_release(published)

    asked, proposed = ask(), propose()
    published = publish(proposed)
    approve = ApprovalOperator(
        task_id="approve",
        subject="Release {{ ti.xcom_pull(task_ids='propose')['tags'] | join(', ') }}?",
        body="{{ ti.xcom_pull(task_ids='propose')['summary'] }}",
        **dag_config.approval(SETTINGS),
    )
    asked >> proposed >> approve >> published
    asked >> published
    announce(published)


hopchain_release()
