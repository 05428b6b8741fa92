"""``hopchain doctor`` against a real S3 server, a real git repository and a scripted model server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hopchain_etl.doctor import Finding, examine, models, places
from hopchain_etl.lake.lake import Lake
from hopchain_etl.lake.object_store import ObjectStore, StoreError
from hopchain_etl.lake.s3_store import S3Store
from hopchain_etl.lake.stores import open_store
from hopchain_etl.settings import S3Settings, Settings, VlmSettings
from support.command_line import environment, hopchain
from support.other_package import install
from support.s3 import S3Location, s3_client
from support.scripted_server import Body, Say, ScriptedServer


def settings(bucket: S3Location, **changed: Any) -> Settings:
    place = {"endpoint_url": bucket.endpoint_url, "path_style": True}
    return Settings.model_validate(
        {
            "lake": {**place, "uri": f"s3://{bucket.bucket}/lake"},
            "source": {**place, "uri": f"s3://{bucket.bucket}/photos"},
            **changed,
        }
    )


@pytest.fixture(autouse=True)
def _no_airflow_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_HOME", raising=False)


def found(settings: Settings) -> dict[str, Finding]:
    return {finding.what: finding for finding in examine(settings)}


def vllm(bucket: S3Location, url: str, **changed: Any) -> Settings:
    server = {"endpoint_url": url, "model": "scripted"}
    return settings(bucket, engines={"profile": "vllm"}, vlm=server, solver=server, **changed)


@pytest.mark.s3
def test_the_local_profile_is_complete_here_and_nothing_is_left_behind(bucket: S3Location, tmp_path: Path) -> None:
    place = {"endpoint_url": bucket.endpoint_url, "path_style": True}
    subprocess.run(["git", "init", "--quiet", "--bare", str(tmp_path / "registry")], check=True)
    registry = {"git_url": str(tmp_path / "registry"), "remote": {**place, "uri": f"s3://{bucket.bucket}/dvc"}}
    open_store(S3Settings(uri=f"s3://{bucket.bucket}/photos", **place)).put("a.jpg", b"x")
    findings = found(settings(bucket, registry=registry))
    assert {what: one.detail for what, one in findings.items() if one.state == "missing"} == {}
    assert {"lake", "source", "DVC remote", "git registry", "SSD-MobileNet", "U2-Net"} <= {
        what for what, one in findings.items() if one.state == "ok"
    }
    assert not {"vlm endpoint", "GPUs", "SAM3 weights"} & set(findings)  # the local profile needs none of them
    keys = [entry.key for entry in open_store(S3Settings(uri=f"s3://{bucket.bucket}", **place)).list_objects()]
    assert keys == ["photos/a.jpg"]


@pytest.mark.s3
def test_answers_that_no_build_finds_before_they_are_migrated_are_told(bucket: S3Location) -> None:
    place = settings(bucket)
    lake = open_store(place.lake)
    lake.put(f"journal/new/intake=first/shard=0000/{1:08d}.jsonl.zst", b"")
    assert "journal" not in found(place)
    lake.put(f"journal/old/{'a' * 2}/{'a' * 64}/{'0' * 64}.json", b"{}")
    told = found(place)["journal"]
    assert (told.state, told.remedy) == ("warning", "hopchain migrate")
    assert "answers of old are" in told.detail


@pytest.mark.s3
def test_versions_that_this_key_may_not_remove_are_a_warning(
    bucket: S3Location, s3_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = s3_client(bucket.endpoint_url, s3_server.credentials["admin"])
    client.put_bucket_versioning(Bucket=bucket.bucket, VersioningConfiguration={"Status": "Enabled"})
    assert "versions in the lake" not in found(settings(bucket))
    versions = client.list_object_versions(Bucket=bucket.bucket)
    assert not {"Versions", "DeleteMarkers"} & versions.keys()  # the doctor leaves none of its own

    def refused(store: ObjectStore, keys: Any, **options: Any) -> None:
        raise StoreError("AccessDenied; check the permissions")

    monkeypatch.setattr(ObjectStore, "erase", refused)
    finding = found(settings(bucket))["versions in the lake"]
    assert (finding.state, "s3:DeleteObjectVersion" in finding.remedy) == ("warning", True)
    assert "AccessDenied" in finding.detail


@pytest.mark.s3
def test_an_erase_that_was_cut_off_is_a_warning(bucket: S3Location) -> None:
    Lake(settings(bucket).lake).put_json("erasing/abc.json", {"remains": ["tables", "registry"]})
    finding = found(settings(bucket))["erasing a photo"]
    assert (finding.state, "tables, registry" in finding.detail) == ("warning", True)


@pytest.mark.s3
def test_what_is_missing_is_said_with_a_remedy_and_the_exit_code(bucket: S3Location, tmp_path: Path) -> None:
    env = environment(bucket) | {
        "HOPCHAIN_LAKE__URI": "s3://no-such-bucket/lake",
        "HOPCHAIN_REGISTRY__GIT_URL": "https://me:secret@127.0.0.1:9/registry.git",
        "HOPCHAIN_REGISTRY__REMOTE__URI": f"s3://{bucket.bucket}/dvc",
        "HOPCHAIN_REGISTRY__REMOTE__ENDPOINT_URL": bucket.endpoint_url,
        "HOPCHAIN_REGISTRY__REMOTE__PATH_STYLE": "true",
    }
    env.pop("AIRFLOW_HOME", None)
    done = hopchain(env, "doctor", "--json")
    assert done.returncode == 1, done.stderr
    findings = {one["what"]: one for one in json.loads(done.stdout)}
    assert "create the bucket" in findings["lake"]["remedy"]
    assert findings["git registry"]["state"] == "missing"
    assert "secret" not in done.stdout + done.stderr
    assert all(one["remedy"] for one in findings.values() if one["state"] == "missing")


def test_a_registry_of_another_user_is_said_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as if its files were another user's
    place = tmp_path / "registry.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(place)], check=True)
    registry = {"git_url": str(place), "remote": {"uri": "s3://bucket/dvc"}}
    (finding,) = places.registry(Settings.model_validate({"registry": registry}))
    assert (finding.what, finding.state) == ("git registry", "missing")
    assert finding.detail.startswith(f"{place} belongs to another user")
    assert f"git config --global --add safe.directory {place}" in finding.remedy
    assert "init" not in finding.remedy


@pytest.mark.s3
def test_a_store_that_ignores_conditions_is_found(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(S3Store, "put_if_absent", lambda self, key, data: self.put(key, data) is None)
    assert found(settings(bucket))["lake"].state == "missing"
    assert "If-None-Match" in found(settings(bucket))["lake"].detail


def answers(body: Body, times: int) -> Say:
    name = body["response_format"]["json_schema"]["schema"]["required"][0]
    return Say({"legs": '{"legs": 16}', "colour": '{"colour": "red"}'}[name], thinking="hm")


@pytest.mark.s3
def test_a_good_model_server_passes(bucket: S3Location) -> None:
    with ScriptedServer(answers) as server:
        findings = found(vllm(bucket, server.url))
        assert len(server.seen) == 4  # two questions to each of two models
    for name in ("vlm", "solver"):
        parts = ("endpoint", "thinking", "structured output", "images")
        assert [findings[f"{name} {part}"].state for part in parts] == ["ok"] * 4


@pytest.mark.s3
def test_a_server_that_lists_no_models_is_asked_all_the_same(bucket: S3Location) -> None:
    with ScriptedServer(answers) as server:
        server.lists_models = False
        findings = found(vllm(bucket, f"{server.url}?api-version=2024-10-21"))
        assert (findings["vlm endpoint"].state, findings["vlm structured output"].state) == ("warning", "ok")
        assert findings["vlm endpoint"].detail.startswith(f"{server.url} lists no models: HTTP 404: ")


@pytest.mark.s3
def test_what_a_model_server_cannot_do_is_missing(bucket: S3Location) -> None:
    with ScriptedServer(lambda body, times: Say("I think it is red.")) as server:
        findings = found(vllm(bucket, server.url))
    assert findings["vlm structured output"].state == "missing"


@pytest.mark.s3
@pytest.mark.parametrize(("context", "state"), [(41_583, "missing"), (41_584, "ok"), (None, "warning")])
def test_the_context_is_compared_with_the_longest_request(bucket: S3Location, context: int | None, state: str) -> None:
    with ScriptedServer(answers, context=context) as server:
        finding = found(vllm(bucket, server.url))["vlm context"]
    assert finding.state == state
    if state == "missing":
        assert "32768 tokens of an answer" in finding.detail
        assert "HOPCHAIN_ASK__MAX_TOKENS" in finding.remedy


@pytest.mark.s3
def test_a_server_that_is_gone_or_serves_another_model(bucket: S3Location) -> None:
    assert found(vllm(bucket, "http://127.0.0.1:9/v1"))["vlm endpoint"].state == "missing"
    with ScriptedServer(lambda body, count: Say("{}"), model="other") as server:
        finding = found(vllm(bucket, server.url))["vlm endpoint"]
    assert finding.state == "missing"
    assert "serves other, not scripted" in finding.detail


@pytest.mark.s3
def test_without_endpoint_the_gpus_of_the_launched_model_are_counted(
    bucket: S3Location, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 81559'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    launched = settings(bucket, engines={"profile": "vllm"}, sam3={"model": str(tmp_path)})
    findings = found(launched)
    assert findings["vlm server"].state == "missing"  # no vllm in this environment
    for name, served in (("vlm", "with --reasoning-parser qwen3"), ("solver", "as one that does not think")):
        unseen = findings[f"{name} thinking"]
        assert (unseen.state, unseen.detail.startswith("not checked: no endpoint is set")) == ("warning", True)
        assert served in unseen.detail
        assert f"HOPCHAIN_{name.upper()}__REASONING_PARSER" in unseen.remedy
    assert findings["GPUs"].detail.endswith("81559 MiB; 8 needed")
    assert findings["SAM3 weights"].state == "missing"
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).touch()
    server = {"endpoint_url": "http://127.0.0.1:9/v1"}
    given = found(launched.model_copy(update={"vlm": VlmSettings(**server), "solver": VlmSettings(**server)}))
    assert given["GPUs"].state == "ok"
    assert given["SAM3 weights"].state == "ok"
    (tmp_path / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0b7c\n")
    (finding,) = (one for one in models.sam3_weights(launched.sam3) if one.what == "SAM3 weights")
    assert (finding.state, finding.remedy) == ("missing", f"run git lfs pull in {tmp_path}")
    findings = {one.what: one for one in models.launch("vlm", VlmSettings(model=str(tmp_path)))}
    assert "git-lfs's pointer" in findings["vlm weights"].detail


@pytest.mark.s3
def test_without_gpu_it_says_how_many_are_needed(bucket: S3Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "needed" in found(vllm(bucket, "http://127.0.0.1:9/v1"))["GPUs"].detail


MODELS = {"vlm endpoint", "solver endpoint", "vlm server", "solver server"}
LOCAL = {"SSD-MobileNet", "U2-Net", "OCR"}
SAM3 = {"GPUs", "SAM3 weights", "OCR"}


@pytest.mark.s3
@pytest.mark.parametrize(
    ("engines", "asked"),
    [
        ({"profile": "labels"}, set()),
        ({"detector": "labels,local", "segmenter": "labels,local"}, LOCAL),
        ({"profile": "sam3"}, SAM3),
        ({"profile": "sam3", "detector": "vlm"}, {*SAM3, "vlm endpoint"}),
        ({"solver": "vlm"}, {*LOCAL, "solver endpoint"}),
        ({"detector": "local", "segmenter": "sam3"}, LOCAL | SAM3),
    ],
    ids=["labels", "labels-local", "sam3", "sam3-vlm", "local-solver", "local-sam3"],
)
def test_exactly_the_chosen_engines_are_examined(bucket: S3Location, engines: dict[str, Any], asked: set[str]) -> None:
    server = {"endpoint_url": "http://127.0.0.1:9/v1"}
    findings = found(settings(bucket, engines=engines, vlm=server, solver=server))
    assert {what for what in findings if what in MODELS | LOCAL | SAM3} == asked


@pytest.mark.s3
def test_an_engine_of_another_package_is_loaded(
    bucket: S3Location, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    entry = 'EngineEntry(Role.JUDGE, "toy", "{path}")'
    text = f"from hopchain_etl.engines.catalog import EngineEntry, Role\nclass Toy: pass\nTOY = {entry}\n"
    install(monkeypatch, tmp_path, "toy", text.format(path="toy:Toy"), "toy = toy:TOY")
    assert found(settings(bucket, engines={"judge": "toy"}))["judge toy"].state == "ok"
    monkeypatch.undo()
    install(monkeypatch, tmp_path / "broken", "toy", text.format(path="toy_gpu:Toy"), "toy = toy:TOY")
    finding = found(settings(bucket, engines={"judge": "toy"}))["judge toy"]
    assert (finding.state, finding.remedy) == ("missing", "mend or uninstall the package")
    assert "of the package toy cannot be loaded from toy_gpu:Toy: ModuleNotFoundError" in finding.detail
