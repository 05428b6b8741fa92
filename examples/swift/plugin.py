"""For `--external_plugins`: registers the rewards hopchain_accuracy and hopchain_format."""

import hopchain_etl.rewards.swift  # noqa: F401
