"""From an export to a better checkpoint: what comes before and after a trainer's own run."""
