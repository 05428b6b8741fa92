"""Batches of questions for annotators, their votes, gold checks, agreement, and the ``answers`` table."""
