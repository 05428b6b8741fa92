"""Sections ``ingest``, ``quality``, ``orchestrate``: how runs go."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hopchain_etl.settings.section import BASIC, Section


class IngestSettings(Section):
    """Which photos enter the lake, and in which portions."""

    shard_size: int = Field(
        64, ge=1, le=2_000, description="images per shard; one mapped task per shard", json_schema_extra=BASIC
    )
    limit: int | None = Field(None, ge=1, description="maximum number of new photos per run", json_schema_extra=BASIC)
    concurrency: int = Field(16, ge=1, le=256, description="number of photos fetched at once")
    min_side: int = Field(64, ge=1, description="px; smaller images are rejected as too_small")
    max_pixels: int = Field(
        64_000_000, ge=1, description="larger images are rejected as too_many_pixels before decoding"
    )
    max_bytes: int = Field(
        100_000_000, ge=1, description="larger objects are rejected as too_many_bytes before download"
    )
    near_distance: int = Field(
        6, ge=0, le=31, description="maximum number of differing perceptual-hash bits between near-duplicates"
    )
    source: str = Field("", description="origin of the photos, if their S3 metadata `source` does not state it")
    license: str = Field("", description="their licence, if their S3 metadata `license` does not state it")


class QualitySettings(Section):
    """When a shard is too bad to be written, and when a row is given up."""

    max_failing_share: float = Field(
        0.2, ge=0, le=1, description="if a larger share of rows fails the suite, the shard's task fails"
    )
    max_attempts: int = Field(
        3,
        ge=1,
        description="number of runs of its shard in which a row may fail permanently; then it is quarantined",
    )
    gate: Literal["fail", "warn"] = Field(
        "fail",
        description="what hopchain_build does about bad shards after it has published the others: fail the run or warn",
    )
    drift: Literal["fail", "warn"] = Field(
        "warn",
        description="likewise, about a build whose figures (yield, reject shares, tokens, mix of answers and "
        "categories) are far from those of the last builds",
    )
    drift_builds: int = Field(10, ge=3, description="number of last builds that a build is compared with")


class RetentionSettings(Section):
    """What ``hopchain gc`` deletes although it was wanted once."""

    record_days: int | None = Field(
        None,
        ge=1,
        description="age in days from which records of runs, their validation pages, reports and marks of notices are "
        "deleted, but for the newest run's; tables that only such a run names go with the next gc. None: kept",
    )
    journal_days: int | None = Field(
        None,
        ge=7,
        description="age in days from which the model answers about a shard's photos are deleted, unless a build has "
        "begun that shard and not finished it; who builds it again pays again. None: kept",
    )
    votes_days: int | None = Field(
        None,
        ge=1,
        description="days after which the votes of a settled batch are packed into one object; nothing is lost. "
        "None: each stays an object",
    )


NoticeEvent = Literal["failure", "token_ceiling", "gate", "rejects", "quiet", "approval", "approval_due", "ready",
                      "starving", "overdue", "drift"]  # fmt: skip


class NotifierSettings(Section):
    """An Airflow notifier: any class of any provider, such as SmtpNotifier or SlackWebhookNotifier."""

    notifier: str = Field(description="class path, such as airflow.providers.smtp.notifications.smtp.SmtpNotifier")
    arguments: dict[str, Any] = Field(
        {}, description="its arguments; {{ notice.title }} and {{ notice.text }} where it renders templates"
    )
    events: tuple[NoticeEvent, ...] = Field((), description="which notices it sends; empty: all")


class OrchestrateSettings(Section):
    """Schedules, retries and notices of the Airflow DAGs."""

    schedule: str | None = Field(
        "0 2 * * *", description="when hopchain_build runs, cron in UTC; empty: only by hand", json_schema_extra=BASIC
    )
    collect_schedule: str | None = Field(
        "*/15 * * * *", description="when hopchain_collect runs, likewise", json_schema_extra=BASIC
    )
    release_schedule: str | None = Field(
        None,
        description="when hopchain_release runs, likewise; in addition, every event of the answers asset starts it",
        json_schema_extra=BASIC,
    )
    max_mapped: int = Field(
        256,
        ge=1,
        description="maximum number of mapped tasks of a stage; more shards are run in groups, one after the other. "
        "Airflow allows core.max_map_length",
    )
    retries: int = Field(2, ge=0, description="retries of each task, with exponential backoff")
    retry_delay_seconds: float = Field(60, ge=0, description="delay before the first retry")
    approvers: tuple[str, ...] = Field(
        (),
        description="ids of the Airflow users who may approve a release; empty: who may run the DAG. Airflow's simple "
        "auth manager uses the user name as id, FAB a number",
    )
    approval_hours: float = Field(
        72, gt=0, description="hours that a release waits for approval; after that it counts as rejected"
    )
    failure_webhook_connection: str | None = Field(
        None, description="HTTP connection that every notice is posted to as JSON"
    )
    notifiers: tuple[NotifierSettings, ...] = Field(
        (), description="Airflow notifiers that send notices, as a JSON list"
    )
    notice_rejected_share: float = Field(
        0.9, ge=0, le=1, description="a stage that rejects a larger share of a run's rows is worth a notice"
    )
    notice_quiet_days: int = Field(7, ge=1, description="days without new photos that are worth a notice, once")
    notice_starving_hours: float = Field(
        48, gt=0, description="hours without an answer after which an open batch is worth a notice, once"
    )
    notice_approval_hours: float = Field(
        24,
        gt=0,
        description="hours before a release that waits for approval counts as rejected: then that is worth a notice",
    )
