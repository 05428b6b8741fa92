"""A person's data: the list of what holds it, its export, and its erase from the lake and the registry."""
