"""For `--external_plugins`: registers the rewards hopchain_accuracy and hopchain_format."""

import hopchain_etl.training_set.rewards.swift  # noqa: F401
