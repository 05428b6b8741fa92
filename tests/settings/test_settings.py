"""Settings: what is not set is inherited, what is set wins, and a user meets only some of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer.testing
from pydantic import ValidationError

from hopchain_etl.cli import app, main
from hopchain_etl.engines.factory import create_engines
from hopchain_etl.release.git import settings_env
from hopchain_etl.settings import (
    BenchmarkSettings,
    LakeSettings,
    LaunchSettings,
    ReleaseSettings,
    S3Settings,
    Settings,
    SourceSettings,
    VlmSettings,
    described,
)
from hopchain_etl.settings.inheritance import INHERITANCE

RUNNER = typer.testing.CliRunner()
PLACE = {
    "endpoint_url": "http://s3:8333", "region": "eu", "path_style": True, "connection": "keys", "max_connections": 7,
}  # fmt: skip
NOWHERE: dict[str, Any] = {
    "endpoint_url": None, "region": None, "path_style": False, "connection": None, "max_connections": 32,
}  # fmt: skip


@pytest.fixture(autouse=True)
def toml(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOPCHAIN_CONFIG", str(tmp_path / "hopchain.toml"))
    return tmp_path / "hopchain.toml"


def location(section: S3Settings | None) -> dict[str, Any]:
    assert section
    return section.model_dump(include=set(PLACE))


# --- S3 locations inherit from the lake ---


def test_what_is_not_set_of_a_location_is_as_in_the_lake() -> None:
    settings = Settings(lake={"uri": "s3://b/lake", **PLACE}, registry={"remote": {"uri": "s3://b/dvc"}})
    remote = settings.registry.remote
    assert location(settings.source) == location(settings.benchmarks) == location(remote) == PLACE
    assert (settings.source.uri, settings.benchmarks.uri) == ("s3://hopchain/photos", "")
    assert Settings().registry.remote is None


def test_the_environment_and_the_file_may_each_say_a_part(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text('[lake]\nendpoint_url = "http://s3:8333"\nregion = "eu"\n[source]\nmax_connections = 3\n')
    monkeypatch.setenv("HOPCHAIN_LAKE__PATH_STYLE", "true")
    monkeypatch.setenv("HOPCHAIN_SOURCE__REGION", "us-west-2")
    monkeypatch.setenv("HOPCHAIN_REGISTRY__REMOTE__URI", "s3://b/dvc")
    settings = Settings()
    expected = {**NOWHERE, "endpoint_url": "http://s3:8333", "path_style": True}
    assert location(settings.source) == {**expected, "region": "us-west-2", "max_connections": 3}
    assert location(settings.registry.remote) == {**expected, "region": "eu"}


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_explicit_null_or_empty_value_wins(nothing: str | None) -> None:
    settings = Settings(lake=PLACE, source={"endpoint_url": nothing}, benchmarks={"connection": nothing})
    assert settings.source.endpoint_url is None
    assert location(settings.benchmarks) == {**PLACE, "connection": None}


def test_an_empty_variable_is_a_null(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SOURCE__CONNECTION", "INGEST__LIMIT", "ORCHESTRATE__SCHEDULE", "INGEST__SOURCE"):
        monkeypatch.setenv(f"HOPCHAIN_{name}", "")
    settings = Settings(lake=PLACE)
    assert (settings.source.connection, settings.ingest.limit, settings.orchestrate.schedule) == (None, None, None)
    assert settings.ingest.source == ""


def test_blanks_around_a_variable_are_no_part_of_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"LAKE__URI": "s3://b/lake\r\n", "LAKE__PATH_STYLE": "true ", "ENGINES__PROFILE": "local\r"}
    values |= {"SOURCE__CONNECTION": " \n", "RELEASE__TARGETS": '["a"]\r', "PLACEMENT__PODS__GPU__IMAGE": " image\r"}
    for name, value in values.items():
        monkeypatch.setenv(f"HOPCHAIN_{name}", value)
    settings = Settings()
    assert (settings.lake.uri, settings.lake.path_style, settings.release.targets) == ("s3://b/lake", True, ("a",))
    assert settings.source.connection is None
    assert settings.placement.pods["gpu"].image == "image"


@pytest.mark.parametrize("value", ["ann,bob", "'[\"ann\"]'", '["ann"'])
def test_a_list_that_is_no_json_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    monkeypatch.setenv("HOPCHAIN_ORCHESTRATE__APPROVERS", value)
    monkeypatch.setenv("HOPCHAIN_VLM__CHAT_TEMPLATE_KWARGS", "thinking")
    monkeypatch.setattr("sys.argv", ["hopchain", "status"])
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code == 2
    said = capsys.readouterr().err
    assert 'is no JSON; write it as ["a", "b"], without quotes around the whole' in said
    assert "HOPCHAIN_ORCHESTRATE__APPROVERS or hopchain.toml" in said
    assert 'is no JSON; write it as {"name": "value"}, without' in said
    assert "HOPCHAIN_VLM__CHAT_TEMPLATE_KWARGS or hopchain.toml" in said


def test_a_slip_in_the_name_of_a_section_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOPCHAIN_SERVICE_HOST", "10.0.0.1")  # as Kubernetes sets it for a Service of that name
    Settings()
    monkeypatch.setenv("HOPCHAIN_LAEK__URI", "s3://b/lake")
    monkeypatch.setattr("sys.argv", ["hopchain", "status"])
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code == 2
    assert "HOPCHAIN_LAEK__..." in capsys.readouterr().err


def test_an_empty_list_may_be_an_empty_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ORCHESTRATE__APPROVERS", "DESK__LEADS", "VLM__CHAT_TEMPLATE_KWARGS"):
        monkeypatch.setenv(f"HOPCHAIN_{name}", "")
    settings = Settings()
    assert (settings.orchestrate.approvers, settings.desk.leads, settings.vlm.chat_template_kwargs) == ((), (), {})


def test_keys_and_region_do_not_go_to_another_server() -> None:
    other = Settings(lake=PLACE, source={"endpoint_url": "http://other:8333"}).source
    assert location(other) == {**NOWHERE, "endpoint_url": "http://other:8333", "max_connections": 7}
    assert location(Settings(lake=PLACE, source={"endpoint_url": "http://S3:8333/"}).source)["connection"] == "keys"
    aws = Settings(lake=PLACE, source={"endpoint_url": None}).source
    assert location(aws) == {**NOWHERE, "max_connections": 7}


def test_of_sections_made_in_code_only_what_was_named_counts_as_set() -> None:
    lake, source = LakeSettings(**PLACE), SourceSettings(uri="s3://b/photos", region="us-east-1")
    settings = Settings(lake=lake, source=source, benchmarks=BenchmarkSettings(path_style=False))
    assert location(settings.source) == {**PLACE, "region": "us-east-1"}
    assert location(settings.benchmarks) == {**PLACE, "path_style": False}
    assert location(source) == {**NOWHERE, "region": "us-east-1"}, "the section that was handed over is changed"
    # What was inherited once stays, wherever the section is handed on to.
    assert Settings(lake={"uri": "s3://c/lake"}, source=settings.source).source == settings.source


@pytest.mark.parametrize("target", ["images", "a;rm", "../up", "a b", "", "a..b", "x@v1", "default\n"])
def test_a_target_that_cannot_be_a_folder_and_an_argument_is_refused(target: str) -> None:
    with pytest.raises(ValidationError, match="is not a valid target name"):
        ReleaseSettings(targets=("default", target))


def test_a_release_has_targets_and_each_once() -> None:
    with pytest.raises(ValidationError, match="'small' is named twice"):
        ReleaseSettings(targets=("small", "big", "small"))
    with pytest.raises(ValidationError, match="at least one training set"):
        ReleaseSettings(targets=())


@pytest.mark.parametrize("name", ["100%", "a,b", "a#b", "a?b"])
def test_a_remote_that_dvc_would_look_for_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=r"registry\.remote\n.*DVC does not take '.' as a part of a name; choose"):
        Settings(registry={"remote": {"uri": f"s3://b/{name}/dvc"}})


@pytest.mark.parametrize("url", ["registry.git", "../registry.git", "./a:b", ".demo/registry.git"])
def test_a_registry_that_each_folder_has_another_one_of_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="is not a whole path; write it from the root, such as /"):
        Settings(registry={"git_url": url})


def test_the_home_folder_of_a_registry_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert Settings(registry={"git_url": "~/registry.git"}).registry.git_url == "/home/me/registry.git"
    for url in ("https://git.example/~me/registry.git", "git@host:~/registry.git", "host:registry.git", "/a/b.git"):
        assert Settings(registry={"git_url": url}).registry.git_url == url
    with pytest.raises(ValidationError, match="no user of this name here; write the path from the root"):
        Settings(registry={"git_url": "~nobody-here/registry.git"})
    monkeypatch.setenv("HOPCHAIN_REGISTRY__GIT_URL", "")
    assert Settings().registry.git_url is None


def test_an_invalid_lake_is_one_error() -> None:
    with pytest.raises(ValidationError) as raised:
        Settings(lake={"max_connections": 0})
    assert [error["loc"] for error in raised.value.errors()] == [("lake", "max_connections")]


def test_a_child_process_has_the_same_settings_without_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(lake=PLACE, registry={"remote": {"uri": "s3://b/dvc"}}, vlm={"concurrency": 9})
    for name, value in settings_env(settings).items():
        monkeypatch.setenv(name, value)
    child = Settings()
    places = [child.lake, child.source, child.benchmarks, child.registry.remote]
    assert [location(place) for place in places] == [{**PLACE, "connection": None}] * 4
    assert child.solver == settings.solver
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


# --- the solver inherits from the VLM ---

VLM = {
    "model": "big", "revision": "r", "endpoint_url": "http://gpu:8000/v1", "connection": "key", "api_key_env": "KEY",
    "use_proxy": True,
    "reasoning_parser": "deepseek_r1", "chat_template_kwargs": {"enable_thinking": True},
    "concurrency": 9, "timeout_seconds": 8, "max_attempts": 7, "timeout_attempts": 6, "invalid_retries": 5,
    "down_after_seconds": 4, "max_pixels": 2_048,
}  # fmt: skip
LAUNCH = {
    "python": "/gpu/python", "tensor_parallel": 4, "quantization": "fp8", "max_model_len": 50_000,
    "extra_args": ("--enable-expert-parallel",), "ready_seconds": 5, "log_folder": "/logs",
}  # fmt: skip


def test_the_solver_takes_over_how_the_vlm_is_asked_but_not_which_model_answers() -> None:
    assert {*VLM, "launch"} == set(VlmSettings.model_fields)
    assert set(LAUNCH) == set(LaunchSettings.model_fields)
    solver = Settings(vlm={**VLM, "launch": LAUNCH}).solver
    own = {"model": "Qwen/Qwen3-VL-8B-Instruct", "revision": "main", "endpoint_url": None, "max_pixels": 1_310_720}
    own |= {"reasoning_parser": None, "chat_template_kwargs": {}}
    keys = {
        "connection": None,
        "api_key_env": "HOPCHAIN_VLM_KEY",
        "use_proxy": False,
    }  # of another server than this one
    assert solver.model_dump(exclude={"launch"}) == {**VLM, **own, **keys}
    assert solver.launch.model_dump() == {**LAUNCH, "quantization": None, "extra_args": ()}


def test_the_key_of_the_vlm_goes_to_its_own_server_only() -> None:
    def solver(url: str) -> tuple[str | None, str]:
        found = Settings(vlm=VLM, solver={"endpoint_url": url}).solver
        return found.connection, found.api_key_env

    assert solver("http://gpu:8000/v1") == solver("http://gpu:8000/other/v1") == ("key", "KEY")
    for url in ("http://gpu:8001/v1", "https://gpu:8000/v1", "http://elsewhere:8000/v1"):
        assert solver(url) == (None, "HOPCHAIN_VLM_KEY"), url


def test_one_setting_of_the_solver_does_not_change_its_model(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text("[solver]\nconcurrency = 3\n[vlm.launch]\ntensor_parallel = 4\nready_seconds = 5\n")
    monkeypatch.setenv("HOPCHAIN_SOLVER__LAUNCH__TENSOR_PARALLEL", "1")
    solver = Settings().solver
    assert (solver.model, solver.concurrency) == ("Qwen/Qwen3-VL-8B-Instruct", 3)
    assert (solver.launch.tensor_parallel, solver.launch.ready_seconds) == (1, 5)
    made = VlmSettings(launch=LaunchSettings(tensor_parallel=2))
    launch = Settings(solver=made).solver.launch
    assert (launch.tensor_parallel, launch.ready_seconds) == (2, 5)


def test_the_evaluated_model_is_another_and_gets_no_key_of_another_server() -> None:
    vlm = {**VLM, "concurrency": 7, "reasoning_parser": "qwen3"}
    model = Settings(vlm=vlm, evaluate={"model": {"endpoint_url": "http://elsewhere:8000/v1"}}).evaluate.model
    assert (model.model, model.concurrency, model.reasoning_parser) == ("", 7, None)
    assert (model.connection, model.api_key_env) == (None, "HOPCHAIN_VLM_KEY")


def test_the_same_model_named_for_both_is_one_server() -> None:
    vlm = {"model": "one", "reasoning_parser": "qwen3", "launch": {"python": "/gpu/python"}}
    settings = Settings(vlm=vlm, solver={"model": "one", "reasoning_parser": "qwen3"})
    assert settings.solver == settings.vlm


def test_whether_a_model_thinks_is_set_and_not_guessed_from_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Qwen/Qwen3.5-122B-A10B", "/weights/renamed", "org/Some-Thinking"):
        settings = Settings(vlm={"model": name}, solver={"model": name})
        assert (settings.vlm.reasoning_parser, settings.solver.reasoning_parser) == ("qwen3", None)
    monkeypatch.setenv("HOPCHAIN_VLM__REASONING_PARSER", "")
    monkeypatch.setenv("HOPCHAIN_SOLVER__REASONING_PARSER", "deepseek_r1")
    assert (Settings().vlm.reasoning_parser, Settings().solver.reasoning_parser) == (None, "deepseek_r1")


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("CHAT_TEMPLATE_KWARGS", '{"enable_thinking": false}'),
        ("CHAT_TEMPLATE_KWARGS__ENABLE_THINKING", "false"),
        ("CHAT_TEMPLATE_KWARGS", '{"enable_thinking": "false"}'),
    ],
)
def test_an_argument_of_the_chat_template_is_a_boolean(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"HOPCHAIN_VLM__{variable}", text)
    arguments = Settings().vlm.chat_template_kwargs
    assert arguments == {"enable_thinking": False}
    assert arguments["enable_thinking"] is False  # a template takes the text "false" for true
    assert Settings().solver.chat_template_kwargs == {}


@pytest.mark.parametrize(("name", "value"), [("top_p", 0), ("top_p", 1.1), ("top_k", 1), ("presence_penalty", 3)])
def test_a_sampling_parameter_has_bounds(name: str, value: float) -> None:
    with pytest.raises(ValidationError):
        Settings(ask={name: value})


def test_fingerprints_do_not_depend_on_what_is_inherited() -> None:
    inherited = VLM.keys() - {"model", "revision", "reasoning_parser", "chat_template_kwargs"}
    changed: dict[str, Any] = {**{name: VLM[name] for name in inherited}, "launch": LAUNCH}
    plain, other = (create_engines(Settings(engines={"profile": "vllm"}, vlm=vlm)).solver for vlm in ({}, changed))
    assert plain
    assert other
    assert plain.identity == other.identity


def test_a_section_stands_below_the_one_that_it_inherits_from() -> None:
    order = list(Settings.model_fields)
    for path, rule in INHERITANCE.items():
        assert order.index(path.partition(".")[0]) > order.index(rule.parent), path


# --- what is shown ---


def test_about_twenty_five_settings_are_basic() -> None:
    basic = {row.variable.removeprefix("HOPCHAIN_") for row in described() if not row.advanced}
    assert 20 <= len(basic) <= 30
    assert {"LAKE__URI", "SOURCE__URI", "ENGINES__PROFILE", "VLM__ENDPOINT_URL", "DESK__ANNOTATORS"} <= basic
    assert not {"SAM3__MIN_SCORE", "SOURCE__REGION", "SOLVER__CONNECTION", "VLM__LAUNCH__PYTHON"} & basic


def test_each_row_says_its_default_or_what_it_inherits(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {row.variable.removeprefix("HOPCHAIN_"): row for row in described()}
    assert len(rows) == len(described())
    region = rows["SOURCE__REGION"]
    assert (region.default, region.inherits, region.advanced) == ("", "HOPCHAIN_LAKE__REGION", True)
    assert rows["REGISTRY__REMOTE__CONNECTION"].inherits == "HOPCHAIN_LAKE__CONNECTION"
    assert rows["SOLVER__LAUNCH__PYTHON"].inherits == "HOPCHAIN_VLM__LAUNCH__PYTHON"
    assert rows["SOLVER__MODEL"].default == Settings().solver.model
    assert (rows["SOLVER__MODEL"].inherits, rows["SOLVER__ENDPOINT_URL"].inherits) == (None, None)
    assert (rows["LAKE__URI"].inherits, rows["REGISTRY__REMOTE__URI"].default) == (None, "")
    assert (rows["DESK__LEADS"].default, rows["SAM3__READ_TEXT"].default) == ('["role:admin"]', "true")
    # Each default can be written into its variable as it is shown, and changes nothing.
    before = Settings()
    for variable, row in rows.items():
        if row.default:
            monkeypatch.setenv(f"HOPCHAIN_{variable}", row.default)
    assert Settings() == before


def test_the_command_shows_the_basic_settings_and_all_on_demand() -> None:
    few = RUNNER.invoke(app, ["settings"], env={"COLUMNS": "200"}).stdout
    every = RUNNER.invoke(app, ["settings", "--all"], env={"COLUMNS": "200"}).stdout
    for row in described():
        assert (row.variable in few.replace("│", " ").split()) == (not row.advanced), row.variable
        assert row.variable in every.replace("│", " ").split(), row.variable
    assert "as HOPCHAIN_LAKE__REGION" in every
    assert "hopchain settings --all" in few
    tables = RUNNER.invoke(app, ["settings", "--markdown"]).stdout
    basic, advanced = tables.split("## Advanced")
    assert "`HOPCHAIN_LAKE__URI`" in basic
    assert "`HOPCHAIN_SOURCE__ENDPOINT_URL`, `…__REGION`" in advanced
    assert "| variable | default | meaning |\n|---|---|---|" in advanced
