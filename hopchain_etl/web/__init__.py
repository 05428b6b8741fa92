"""Pages and routes that a browser meets: the annotation desk, the lead's page, the dataset browser."""
