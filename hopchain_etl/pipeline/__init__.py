"""A build: plans and runs the stages under the current fingerprints; its row counts and its cost."""
