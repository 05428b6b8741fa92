"""Taking photos back: withdrawn from reading, erased from lake and registry; and garbage collection."""
