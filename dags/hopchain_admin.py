"""### Commands of `hopchain` in a task

Only tasks get the Connections that are stored in Airflow's database. This DAG runs the commands that need them and that
nobody wants to log in to a worker for. Trigger it with its form; the task's log says what was found or done, its return
value (XCom) is the result.

- `doctor` checks all that a run needs; the run fails if something is missing.
- `status` and `rejects` count and list what became of the rows. `report` writes a page into the lake, `reports/`.
- `withdraw` excludes a photo from now on. `erase` removes it for ever from lake and registry and yanks the versions
  that hold it. `gc` deletes tables that nothing uses any more.
- `export_person` writes all that is held about one annotator or lead as a ZIP file into the lake, `reports/`: fetch it,
  then delete it. `erase_person` takes the person out of lake and registry; remove the login first.
- `erase` and `erase_person` need the right to delete older versions of objects, and bytes of the registry, which
  workers may lack.
- `gc`, `erase` and `erase_person` only say what they would do, until **Really delete** is set.

Whoever may trigger this DAG may do all this: restrict it with the permissions of your auth manager.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, task

from hopchain_etl.orchestration import dag_config
from hopchain_etl.settings import Settings

SETTINGS = Settings()
COMMANDS = ["doctor", "status", "rejects", "report", "gc", "withdraw", "erase", "export_person", "erase_person"]
JSON = Any  # if a task is annotated to return a dict, TaskFlow creates one XCom per key

# fmt: off
PARAMS = {
    "command": Param("doctor", "What to run; the documentation of this DAG says what each does",
                     title="Command", type="string", enum=COMMANDS),
    "photo": Param(None, "withdraw, erase: image_id or uri of the photo. rejects: only photos with this text in either",
                   title="Photo", type=["null", "string"], minLength=1),
    "reason": Param(None, "withdraw, erase: why; kept in the photo's tombstone and in yanked.json",
                    title="Reason", type=["null", "string"], minLength=1),
    "person": Param(None, "export_person, erase_person: name of the user, as the desk shows it. This run's record "
                    "keeps it: delete that run after an erase", title="Person", type=["null", "string"], minLength=1),
    "votes": Param(None, "erase_person: keep (they count on under a new pseudonym) or drop",
                   title="Votes", type=["null", "string"], enum=[None, "keep", "drop"]),
    "grace_hours": Param(24, "gc: keep unused parts and tables that are younger than this",
                         title="Grace period (hours)", type="number", minimum=0),
    "yes": Param(False, "gc, erase, erase_person: delete; without it they only say what. It cannot be undone",
                 title="Really delete", type="boolean"),
}
# fmt: on


@dag(**dag_config.dag_args(SETTINGS, "admin", "0.2"), schedule=None, params=PARAMS, doc_md=__doc__)
def hopchain_admin() -> None:
    @task(**dag_config.placement("admin", SETTINGS))
    def run(params: JSON = None, dag_run: JSON = None) -> JSON:
        """Run the command of the form; its log and its return value say what came of it."""
        from hopchain_etl.admin import commands

        return commands.run(params, dag_run)

    run()


hopchain_admin()
