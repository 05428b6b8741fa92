"""Write the pods of all tasks under several settings to .deploy/pods.json, where Airflow is installed."""

from __future__ import annotations

import json
from pathlib import Path

from kubernetes.client import ApiClient

from hopchain_etl.stages.resources import RESOURCES
from support.pods import SETTINGS, pod_of, with_templates

OUT = Path(".deploy/pods.json")

if __name__ == "__main__":
    api = ApiClient()
    made = {
        f"{case}: {name}": api.sanitize_for_serialization(pod_of(name, with_templates(changed)))
        for case, changed in SETTINGS.items()
        for name in RESOURCES
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(made))
