"""The environment of git's processes, which work on the repository of their folder whatever this process inherited."""

from __future__ import annotations

import os
from collections.abc import Mapping

from hopchain_etl.training_set.ownership import ENGLISH

# git sets these for its hooks and aliases; they count for more than the folder that a command runs in.
_OF_ANOTHER_REPOSITORY = frozenset(
    f"GIT_{name}"
    for name in ("DIR", "WORK_TREE", "COMMON_DIR", "INDEX_FILE", "OBJECT_DIRECTORY", "ALTERNATE_OBJECT_DIRECTORIES",
                 "SHALLOW_FILE", "PREFIX")
)  # fmt: skip
_OF_NEW_REPOSITORIES = frozenset({"GIT_DEFAULT_HASH", "GIT_DEFAULT_REF_FORMAT"})  # DVC knows sha1 and files only


def git_environment() -> dict[str, str]:
    """Return the environment for a git command: its messages are in English, and it asks for no password."""
    return {**without_repository(os.environ), "GIT_TERMINAL_PROMPT": "0", **ENGLISH}


def without_repository(env: Mapping[str, str]) -> dict[str, str]:
    """Return ``env`` without what names a repository, such as that of the hook that this process was started by.

    Nor has it what would give a clone a form that DVC cannot read.
    """
    return {name: value for name, value in env.items() if name not in _OF_ANOTHER_REPOSITORY | _OF_NEW_REPOSITORIES}
