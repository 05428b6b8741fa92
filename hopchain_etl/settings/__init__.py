"""Typed settings: environment (``HOPCHAIN_LAKE__URI=...``) over ``hopchain.toml`` over a preset over defaults.

Secrets are never settings: S3 keys come from the boto3 chain or an Airflow Connection named here.
"""

from __future__ import annotations

from hopchain_etl.settings.annotation import DeskSettings
from hopchain_etl.settings.catalog import CatalogError, EngineEntry, Role
from hopchain_etl.settings.engines import (
    AskSettings,
    EngineSettings,
    GenerateSettings,
    Sam3Backend,
    Sam3Settings,
    ScreenSettings,
    VlmSettings,
)
from hopchain_etl.settings.evaluation import EvaluateSettings
from hopchain_etl.settings.labels import LabelsSettings
from hopchain_etl.settings.launch import LaunchedBy, LaunchSettings, RaySettings
from hopchain_etl.settings.operation import (
    IngestSettings,
    NotifierSettings,
    OrchestrateSettings,
    QualitySettings,
    RetentionSettings,
)
from hopchain_etl.settings.placement import PlacementSettings, PodSettings
from hopchain_etl.settings.reference import SettingRow, as_markdown, described
from hopchain_etl.settings.release import (
    ANSWER_INSTRUCTION,
    CalibrateSettings,
    DiversitySettings,
    Policy,
    ReleaseSettings,
)
from hopchain_etl.settings.roles import PROFILES, Profile, Roles
from hopchain_etl.settings.settings import Settings
from hopchain_etl.settings.storage import (
    BenchmarkSettings,
    LakeSettings,
    RegistrySettings,
    S3Settings,
    SourceSettings,
)
from hopchain_etl.settings.words import WordsSettings

__all__ = [
    "ANSWER_INSTRUCTION",
    "PROFILES",
    "AskSettings",
    "BenchmarkSettings",
    "CalibrateSettings",
    "CatalogError",
    "DeskSettings",
    "DiversitySettings",
    "EngineEntry",
    "EngineSettings",
    "EvaluateSettings",
    "GenerateSettings",
    "IngestSettings",
    "LabelsSettings",
    "LakeSettings",
    "LaunchSettings",
    "LaunchedBy",
    "NotifierSettings",
    "OrchestrateSettings",
    "PlacementSettings",
    "PodSettings",
    "Policy",
    "Profile",
    "QualitySettings",
    "RaySettings",
    "RegistrySettings",
    "ReleaseSettings",
    "RetentionSettings",
    "Role",
    "Roles",
    "S3Settings",
    "Sam3Backend",
    "Sam3Settings",
    "ScreenSettings",
    "SettingRow",
    "Settings",
    "SourceSettings",
    "VlmSettings",
    "WordsSettings",
    "as_markdown",
    "described",
]
