"""Engines: models and code behind small protocols, chosen by profile and imported at first use."""
