"""The annotation desk: who is asked what, how answers are stored, and what a lead sees. The plugin only mounts it."""
