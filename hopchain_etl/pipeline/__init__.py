"""A build: what is to be done under today's fingerprints, doing it, its totals and its cost."""
