"""A second opinion: reads a multi-hop question as a careful person would and answers it from a list of what is seen.

It shares nothing with the code that writes the questions: it starts from the English sentences alone, and it refuses
where a person would have to ask back. Uncertain instances do not exist for it, as no person knows of them.
"""

from __future__ import annotations

from .sentences import answer
from .things import CannotReadError, ReadInstance, UnclearError

__all__ = ["CannotReadError", "ReadInstance", "UnclearError", "answer"]
