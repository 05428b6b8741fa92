"""What a command may end with: an error that its user can mend, or the wish to stop."""

from __future__ import annotations

STOPPED = 130  # exit code, as of a shell's command after Ctrl-C


class ReportedError(Exception):
    """An error that a user can mend: the command line shows the message alone, which says where, why and what to do."""


class StoppedError(Exception):
    """A graceful stop was requested; stored answers are kept and the shard is not marked complete."""
