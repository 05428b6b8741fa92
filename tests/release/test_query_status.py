"""Which versions contain a query, and what the last selection said of it: after a real release to a real registry."""
