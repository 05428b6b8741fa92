"""Engines: models and code behind small protocols, chosen by role and name, and imported at first use."""
