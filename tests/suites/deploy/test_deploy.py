"""The files in deploy/, by the tools that know their formats: Kubernetes' schemas, hadolint, Docker Compose, uv."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

TOP = Path(__file__).parents[3]
DEPLOY = TOP / "deploy"
BIN = Path(sys.executable).parent
# The oldest and the newest version that we claim to run on.
VERSIONS = ("1.31", kubernetes_validate.latest_version())
MANIFESTS = sorted(path for path in DEPLOY.rglob("kubernetes/**/*.yaml") if not path.name.startswith("values"))
PODS: dict[str, Any] = json.loads((TOP / ".deploy/pods.json").read_text())
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()


@pytest.mark.parametrize("version", VERSIONS)
def test_pods_of_all_tasks_are_valid(version: str) -> None:
    assert PODS
    for name, pod in PODS.items():
        kubernetes_validate.validate({"apiVersion": "v1", "kind": "Pod", **pod}, version, strict=True)
        with pytest.raises(kubernetes_validate.ValidationError):  # so the validator does look inside
            kubernetes_validate.validate(
                {**pod, "apiVersion": "v1", "kind": "Pod", "spec": {"containers": name}}, version
            )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_are_valid(path: Path, version: str) -> None:
    kubernetes_validate.validate(yaml.safe_load(path.read_text()), version, strict=True)


def test_the_dockerfile_has_no_complaint_of_the_linter() -> None:
    done = subprocess.run([BIN / "hadolint", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert re.findall(r"^FROM .* AS (\w+)$", DOCKERFILE, re.M) == ["wheel", "web", "core", "gpu"]
    for target in DOCKERFILE.split("\nFROM ")[2:]:
        assert re.findall(r"^USER (\S+)$", target, re.M)[-1] == "50000"


def test_compose_resolves_every_service(tmp_path: Path) -> None:
    env = tmp_path / "env"
    env.write_text(re.sub(r"=$", "=a1", (DEPLOY / "example.env").read_text(), flags=re.M))
    compose = [BIN / "docker-compose", "-f", DEPLOY / "compose.yaml", "--env-file", env, "--profile", "gpu"]
    done = subprocess.run([*compose, "config", "--format", "json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    airflow = {"api-server", "scheduler", "dag-processor", "triggerer", "worker", "worker-gpu"}
    assert services.keys() == {"postgres", "redis", "s3", "init", "volumes", *airflow}
    targets = {name: service["build"]["target"] for name, service in services.items() if "build" in service}
    assert set(targets.values()) == {"web", "core", "gpu"}
    assert all(port["host_ip"] == "127.0.0.1" for service in services.values() for port in service.get("ports", ()))
    assert services["worker-gpu"]["command"][-4:] == ["--queues", "gpu", "--concurrency", "1"]


def test_without_its_secrets_compose_does_not_start() -> None:
    compose = [BIN / "docker-compose", "-f", DEPLOY / "compose.yaml", "--env-file", DEPLOY / "example.env", "config"]
    done = subprocess.run(compose, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "set it in .env" in done.stderr


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    subprocess.run([BIN / "uv", "build", "--quiet", "--wheel", "--out-dir", folder, TOP], check=True)
    return folder


def installs() -> list[list[str]]:
    """Return what each `uv pip install` of the Dockerfile is called with."""
    lines = re.sub(r"\\\n\s*", "", DOCKERFILE)
    return [shlex.split(found) for found in re.findall(r"uv pip install (.*?)(?: &&|\n|$)", lines)]


@pytest.mark.parametrize("arguments", installs(), ids=["web", "core", "gpu"])
def test_what_an_image_installs_resolves_to_pinned_versions(arguments: list[str], wheels: Path, tmp_path: Path) -> None:
    subprocess.run([BIN / "uv", "venv", "--quiet", "--python", "3.11", tmp_path / "venv"], check=True)
    overrides = tmp_path / "overrides.txt"
    overrides.write_text('opencv-python ; python_version < "3"\n')
    file = Path(arguments[arguments.index("--constraint") + 1]).name
    pins = TOP / "constraints.txt" if file == "constraints.txt" else DEPLOY / file
    wanted = [one for one in arguments[arguments.index("--constraint") + 2 :] if not one.startswith("-")]
    command = [
        BIN / "uv",
        "pip",
        "install",
        "--dry-run",
        "--python",
        tmp_path / "venv/bin/python",
        "--constraint",
        pins,
    ]
    env = {**os.environ, "UV_FIND_LINKS": str(wheels), "UV_OVERRIDE": str(overrides)}
    done = subprocess.run([*command, *wanted], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    found = dict(re.findall(r"^ \+ ([\w.-]+)==(\S+)", done.stderr, re.M))
    assert "hopchain-etl" in found
    assert "opencv-python" not in found
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)", pins.read_text(), re.M))
    asked = {name.partition("==")[0] for name in wanted if "==" in name}
    assert {name for name, version in found.items() if pinned.get(name) != version} <= {"hopchain-etl", *asked}
