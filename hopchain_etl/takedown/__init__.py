"""Takedown of photos: withdrawing them, erasing them from lake and registry; and garbage collection."""
