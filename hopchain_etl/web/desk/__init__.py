"""Annotators are asked, and their votes are stored."""
