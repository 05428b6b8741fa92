"""Settings: all sections, read from environment, hopchain.toml, preset and defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from hopchain_etl.settings.annotation import DeskSettings
from hopchain_etl.settings.context import too_short
from hopchain_etl.settings.engines import (
    AskSettings,
    EngineSettings,
    GenerateSettings,
    Sam3Settings,
    ScreenSettings,
    VlmSettings,
)
from hopchain_etl.settings.evaluation import EvaluateSettings
from hopchain_etl.settings.inheritance import with_inherited
from hopchain_etl.settings.labels import LabelsSettings
from hopchain_etl.settings.operation import IngestSettings, OrchestrateSettings, QualitySettings, RetentionSettings
from hopchain_etl.settings.placement import PlacementSettings
from hopchain_etl.settings.presets import PRESETS
from hopchain_etl.settings.release import CalibrateSettings, DiversitySettings, ReleaseSettings
from hopchain_etl.settings.section import Section
from hopchain_etl.settings.storage import BenchmarkSettings, LakeSettings, RegistrySettings, SourceSettings
from hopchain_etl.settings.words import WordsSettings


class _PresetSource(PydanticBaseSettingsSource):
    """The values of the preset that a source of higher priority names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return nothing: a preset is always read as a whole."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        release = self.current_state.get("release", {})
        name = release.get("preset") if isinstance(release, dict) else getattr(release, "preset", None)
        return {section: dict(values) for section, values in PRESETS.get(name or "", {}).items()}


class _Environment(EnvSettingsSource):
    """The environment: blanks around a value, such as the line end of the file that it was in, are no part of it.

    What is no JSON is kept as text, so that the error is that of the setting, with its name. A variable of a section
    that does not exist is kept too: a slip in its name is an error, as in the file, and not another lake.
    """

    def __call__(self) -> dict[str, Any]:
        """Return all values by section."""
        ours = [name for name in self.env_vars if name.startswith(self.env_prefix.lower()) and "__" in name]
        sections = {name[len(self.env_prefix) :].partition("__")[0] for name in ours}
        unknown = sections - self.settings_cls.model_fields.keys()
        return super().__call__() | {section: {} for section in unknown}

    def explode_env_vars(self, field_name: str, field: FieldInfo, env_vars: Mapping[str, str | None]) -> dict[str, Any]:
        """Return the values of a section's variables."""
        stripped = {name: value and value.strip() for name, value in env_vars.items()}
        return super().explode_env_vars(field_name, field, stripped)

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Return what a text says as JSON, or the text."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class Settings(BaseSettings):
    """Everything that can be set. ``Settings()`` reads the environment and ``hopchain.toml``.

    A section that inherits stands below the one that it inherits from (see ``INHERITANCE``).
    """

    model_config = SettingsConfigDict(env_prefix="HOPCHAIN_", env_nested_delimiter="__", extra="forbid", frozen=True)

    lake: LakeSettings = LakeSettings()
    source: SourceSettings = SourceSettings()
    labels: LabelsSettings = LabelsSettings()
    benchmarks: BenchmarkSettings = BenchmarkSettings()
    ingest: IngestSettings = IngestSettings()
    engines: EngineSettings = EngineSettings()
    vlm: VlmSettings = VlmSettings()
    solver: VlmSettings = VlmSettings()
    ask: AskSettings = AskSettings()
    sam3: Sam3Settings = Sam3Settings()
    words: WordsSettings = WordsSettings()
    generate: GenerateSettings = GenerateSettings()
    screen: ScreenSettings = ScreenSettings()
    quality: QualitySettings = QualitySettings()
    retention: RetentionSettings = RetentionSettings()
    desk: DeskSettings = DeskSettings()
    registry: RegistrySettings = RegistrySettings()
    release: ReleaseSettings = ReleaseSettings()
    calibrate: CalibrateSettings = CalibrateSettings()
    diversity: DiversitySettings = DiversitySettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    orchestrate: OrchestrateSettings = OrchestrateSettings()
    placement: PlacementSettings = PlacementSettings()

    @field_validator("*")
    @classmethod
    def _inherits(cls, section: Section, info: ValidationInfo) -> Section:
        return with_inherited(str(info.field_name), section, info.data)

    @field_validator("vlm", "solver", "evaluate")
    @classmethod
    def _knows_its_launch(cls, section: Section, info: ValidationInfo) -> Section:
        """Return the section with who launches its model."""
        engines: EngineSettings | None = info.data.get("engines")  # missing if invalid, which is an error of its own
        if engines and isinstance(section, VlmSettings):
            return section.launched_by(engines)
        if engines and isinstance(section, EvaluateSettings):
            return section.model_copy(update={"model": section.model.launched_by(engines)})
        return section

    @field_validator("ask")
    @classmethod
    def _fits_the_context(cls, ask: AskSettings, info: ValidationInfo) -> AskSettings:
        """Refuse a request that a server which the task launches would refuse for its length."""
        engines: EngineSettings | None = info.data.get("engines")  # missing if invalid, which is an error of its own
        asked = {entry.model for entry in engines.roles.of()} if engines else set()
        for name in ("vlm", "solver"):
            model = info.data.get(name) if name in asked else None
            if model is None or model.endpoint_url:
                continue
            if problem := too_short(name, model.launch.max_model_len, model, ask):
                raise ValueError(f"{problem}; raise {name}.launch.max_model_len or lower ask.max_tokens")
        return ask

    @field_validator("words")
    @classmethod
    def _has_words(cls, words: WordsSettings, info: ValidationInfo) -> WordsSettings:
        """Refuse a word list that is empty or cannot be read, if it is used."""
        engines: EngineSettings | None = info.data.get("engines")
        if engines and "words" in engines.roles.detector:
            words.nouns()
        return words

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = Path(os.environ.get("HOPCHAIN_CONFIG", "hopchain.toml"))
        toml = TomlConfigSettingsSource(settings_cls, path)
        return named["init_settings"], _Environment(settings_cls), toml, _PresetSource(settings_cls)

    def without_s3_connections(self) -> Settings:
        """Return the settings with no Airflow Connection for S3, for a process that gets the keys another way."""
        places = {name: getattr(self, name) for name in ("lake", "source", "labels", "benchmarks")}
        changed: dict[str, Any] = {name: one.model_copy(update={"connection": None}) for name, one in places.items()}
        if remote := self.registry.remote:
            bare = remote.model_copy(update={"connection": None})
            changed["registry"] = self.registry.model_copy(update={"remote": bare})
        return self.model_copy(update=changed)

    def departures(self) -> dict[str, Any]:
        """Return the settings that differ from their preset, by name (``desk.agree``); empty without a preset."""
        effective = self.model_dump(mode="json")
        preset = PRESETS.get(self.release.preset or "", {})
        return {
            f"{section}.{name}": effective[section][name]
            for section, values in preset.items()
            for name, value in values.items()
            if effective[section][name] != value
        }
