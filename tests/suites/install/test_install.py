"""The install commands of the documentation in clean environments: from git, and mostly without our versions."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
UV = Path(sys.executable).with_name("uv")
PAGES = ("README.md", *(f"docs/{page}.md" for page in ("airflow", "operating", "real-models", "using-releases")))
COMMAND = re.compile(r"pip install '(hopchain-etl[^ ']*)[^']*'")


def documented() -> list[str]:
    """Return what the pages tell users to install, such as ``hopchain-etl[vlm]``."""
    return sorted({found for page in PAGES for found in COMMAND.findall((ROOT / page).read_text("utf-8"))})


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The checkout as a git repository, with what is not committed yet."""
    copy = tmp_path_factory.mktemp("source")
    listed = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    who = ["-c", "user.name=install", "-c", "user.email=install@localhost"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "All"]):
        subprocess.run(["git", "-C", copy, *command], check=True)
    return f"git+file://{copy}"


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The interpreter of an empty environment."""
    subprocess.run([UV, "venv", "-q", "--seed", "--python", sys.executable, tmp_path / "clean"], check=True)
    return tmp_path / "clean/bin/python"


def works_with_the_provider(celery: str) -> bool:
    """Whether Airflow's provider for Celery works with this version."""
    return tuple(map(int, celery.split(".")[:2])) < (5, 7)


def test_the_documentation_names_the_extras() -> None:
    assert {"hopchain-etl", "hopchain-etl[orchestrate,celery,local]", "hopchain-etl[orchestrate,gpu]"} <= {
        *documented()
    }


@pytest.mark.parametrize("wanted", documented())
def test_uv_resolves_each_documented_command(wanted: str, source: str, python: Path) -> None:
    command = [UV, "pip", "install", "--dry-run", "--python", python, f"{wanted} @ {source}"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    versions = dict(re.findall(r"^ \+ ([a-z0-9-]+)==(\S+)", told.stderr, re.MULTILINE))
    assert {"boto3", "pyarrow"} <= versions.keys()
    if "orchestrate" in wanted:  # DVC brings Celery, also without the extra
        assert works_with_the_provider(versions["celery"]), versions["celery"]


def test_pip_resolves_airflow_with_celery(source: str, python: Path, tmp_path: Path) -> None:
    report, wanted = tmp_path / "report.json", "hopchain-etl[orchestrate,celery,kubernetes]"
    command = [python, "-m", "pip", "install", "-q", "--dry-run", "--report", report, f"{wanted} @ {source}"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    found = [one["metadata"] for one in json.loads(report.read_text())["install"]]
    versions = {one["name"]: one["version"] for one in found}
    assert works_with_the_provider(versions["celery"]), versions["celery"]
    assert {"apache-airflow-providers-celery", "apache-airflow-providers-cncf-kubernetes"} <= versions.keys()


@pytest.mark.parametrize("pinned", [False, True], ids=["newest", "constraints.txt"])
def test_an_installed_cluster_package_works(pinned: bool, source: str, python: Path, tmp_path: Path) -> None:
    wanted = "hopchain-etl[orchestrate,celery,kubernetes]"
    versions = ["-c", ROOT / "constraints.txt"] if pinned else []
    subprocess.run([UV, "pip", "install", "-q", "--python", python, f"{wanted} @ {source}", *versions], check=True)
    env = {"AIRFLOW_HOME": str(tmp_path / "airflow"), "HOME": str(tmp_path), "PATH": f"{python.parent}:/usr/bin:/bin"}
    script = (
        "from airflow.providers.celery.executors.celery_executor import CeleryExecutor\n"
        "from airflow.providers.cncf.kubernetes.executors.kubernetes_executor import KubernetesExecutor\n"
        "import hopchain_etl.orchestration.build\n"
    )
    for command in ([python, "-c", script], ["hopchain", "--help"], ["airflow", "celery", "worker", "--help"]):
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3_000:]
