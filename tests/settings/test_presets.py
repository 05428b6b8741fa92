from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from hopchain_etl.hops.calibration import AttemptScore, guessable
from hopchain_etl.hops.consensus import ConsensusRule
from hopchain_etl.release.git import settings_env
from hopchain_etl.release.rules import Rules
from hopchain_etl.settings import Policy, Settings
from hopchain_etl.settings.presets import PRESETS


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOPCHAIN_CONFIG", str(tmp_path / "hopchain.toml"))
    return tmp_path / "hopchain.toml"


def test_the_paper_asks_four_people_drops_what_is_always_solved_and_nothing_else(nowhere: Path) -> None:
    nowhere.write_text('[release]\npreset = "paper"\n')
    settings = Settings()
    assert ConsensusRule(settings.desk.seats, settings.desk.agree).name == "unanimous"
    assert settings.release.policy is Policy.UNANIMOUS
    assert (settings.generate.min_instances, settings.generate.max_instances) == (3, 6)
    rules = Rules.of(settings.calibrate, settings.diversity)
    assert set(rules.unwanted.values()) == {"always_solved"}
    assert not rules.judge_condemns
    assert not guessable(AttemptScore(8, 8), rules.chance, rules.alpha)
    assert set(vars(rules.limits).values()) == {1.0}
    assert settings.departures() == {}


def test_what_is_set_wins_over_the_preset_wherever_it_is_set(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere.write_text('[release]\npreset = "paper"\npolicy = "unreviewed"\n[diversity]\nnear = 0.5\n')
    monkeypatch.setenv("HOPCHAIN_DESK__AGREE", "3")
    settings = Settings(calibrate={"keep_all_right": True})
    assert settings.departures() == {
        "release.policy": "unreviewed", "diversity.near": 0.5, "desk.agree": 3, "calibrate.keep_all_right": True,
    }  # fmt: skip
    assert (settings.desk.seats, settings.diversity.answer, settings.calibrate.judge_condemns) == (4, 1.0, False)


def test_the_environment_may_name_the_preset_and_a_child_process_has_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOPCHAIN_RELEASE__PRESET", "paper")
    monkeypatch.setenv("HOPCHAIN_DIVERSITY__ANSWER", "0.2")
    settings = Settings()
    for name, value in settings_env(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings
    assert settings.diversity.answer == 0.2


def test_without_a_preset_nothing_changes_and_an_unknown_one_is_an_error() -> None:
    assert Settings().diversity.answer == 0.1
    assert Settings().departures() == {}
    with pytest.raises(ValidationError, match="preset"):
        Settings(release={"preset": "papers"})


def test_every_value_of_a_preset_is_a_setting() -> None:
    for name, preset in PRESETS.items():
        settings = Settings(release={"preset": name})
        for section, values in preset.items():
            assert values.keys() <= type(getattr(settings, section)).model_fields.keys()
