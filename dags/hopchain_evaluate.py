"""### A released training set to a model's answers

Asks a model the questions of the newest released version, with and without the photos, and grades its answers, so that
a team sees whether training helped. Off until `HOPCHAIN_EVALUATE__MODEL__MODEL` names a model; from then on it follows
every new version (`hopchain://training-set`), and can be run by hand, for instance with the name of a new checkpoint.

- The run goes to `evaluations/<name>-<digest>/` in the lake and sends `hopchain://evaluations`. `hopchain evaluate
  fetch` copies it to a folder, `hopchain evaluate compare` compares two.
- Every answer is in the lake's journal: a retry asks nothing again that was answered.
- A model without an endpoint is launched by the task, on the GPUs of `evaluate.model.launch`.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, task

from hopchain_etl.orchestration import dag_config
from hopchain_etl.settings import Settings

SETTINGS = Settings()
TRAINING_SET, EVALUATIONS = dag_config.asset("training-set"), dag_config.asset("evaluations")
EVALUATE, TARGETS = SETTINGS.evaluate, list(SETTINGS.release.targets)
JSON = Any  # if a task is annotated to return a dict, TaskFlow creates one XCom per key

# fmt: off
PARAMS = {
    "target": Param(TARGETS[0], "The training set whose questions are asked", title="Target", type="string",
                    minLength=1, examples=TARGETS),
    "tag": Param(None, "Version in the registry, such as training-set/default@v1.2.0; empty: the newest one",
                 title="Version", type=["null", "string"], minLength=1),
    "model": Param(EVALUATE.model.model, "Name of the model on the server in the settings, or the model to launch",
                   title="Model", type="string"),
    "revision": Param(EVALUATE.model.revision, "Revision of its weights, such as the step of a checkpoint",
                      title="Revision", type="string", minLength=1),
    "split": Param(EVALUATE.split, "Questions of this split are asked", title="Split", type="string",
                   enum=["validation", "train", "all"]),
    "variants": Param(list(EVALUATE.variants), "full: whole questions. half and single: parts of them, as in the paper",
                      title="Variants", type="array", minItems=1, items={"enum": ["full", "half", "single"]}),
    "samples": Param(EVALUATE.samples, "Answers to each question with its photo",
                     title="Samples", type="integer", minimum=0, maximum=64),
    "blind_samples": Param(EVALUATE.blind_samples, "Answers to each question without its photo",
                           title="Blind samples", type="integer", minimum=0, maximum=64),
    "token_ceiling": Param(SETTINGS.engines.token_ceiling, "Stop when so many model tokens are used; empty: no limit",
                           title="Token ceiling", type=["null", "integer"], minimum=1),
}
# fmt: on
WHENEVER = [TRAINING_SET] if EVALUATE.model.model else None


@dag(**dag_config.dag_args(SETTINGS, "evaluate", "0.2"), schedule=WHENEVER, params=PARAMS, doc_md=__doc__)
def hopchain_evaluate() -> None:
    @task(outlets=[EVALUATIONS], **dag_config.placement("evaluate", SETTINGS))
    def evaluate(params: JSON = None, outlet_events: JSON = None) -> JSON:
        """Pull the version, ask the model, and keep the run in the lake; skipped if no model is named."""
        from hopchain_etl.orchestration import evaluate

        outlet_events[EVALUATIONS].extra = done = evaluate.evaluate(params)
        return done

    evaluate()


hopchain_evaluate()
