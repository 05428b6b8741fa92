"""Asks models the questions of a release or of a benchmark, and says how two of them differ, and how surely."""
