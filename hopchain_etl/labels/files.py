"""Finds out the format of a label file from its content, and reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from hopchain_etl.labels.coco import read_coco
from hopchain_etl.labels.entries import Entry, LabelFileError
from hopchain_etl.labels.json_stream import json_items
from hopchain_etl.labels.label_studio import read_tasks
from hopchain_etl.labels.xml_files import read_xml
from hopchain_etl.labels.yolo import NAME_FILES, Names, read_yolo

__all__ = ["NAME_FILES", "SUFFIXES", "FileReader"]

SUFFIXES = (".json", ".xml", ".txt", ".yaml", ".yml", ".names")  # of label files that may lie among photos


class FileReader:
    """Reads label files one after the other; files with names of categories must come before those that need them."""

    def __init__(self) -> None:
        self._names = Names()

    def entries(self, name: str, file: BinaryIO) -> Iterator[Entry]:
        """Yield what a label file says, whatever its format; ``name`` is its key. A file of names says nothing itself.

        Raises LabelFileError if its format is unknown or it is damaged; what was said before does not count then.
        """
        try:
            yield from self._entries(name, file)
        except LabelFileError:
            raise
        except MemoryError as error:
            raise LabelFileError("too_large", "one entry does not fit into memory") from error
        except Exception as error:  # parsers raise any kind of exception on damaged files
            raise LabelFileError("broken_file", f"{type(error).__name__}: {error}"[:200]) from error

    def _entries(self, name: str, file: BinaryIO) -> Iterator[Entry]:
        start = file.read(4_096).removeprefix(b"\xef\xbb\xbf").lstrip()
        file.seek(0)
        if NAME_FILES.search(name):
            self._names.read(name, file)
            return iter(())
        if start.startswith(b"{"):
            return read_coco(json_items(file))
        if start.startswith(b"["):
            return read_tasks(json_items(file))
        if start.startswith(b"<"):
            return read_xml(name, file)
        if name.casefold().endswith(".txt"):
            return read_yolo(name, file, self._names)
        raise LabelFileError("unknown_format", f"starts with {start[:8].hex(' ')}")
