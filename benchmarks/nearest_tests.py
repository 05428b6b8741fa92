"""Which test files may notice a change of a module, those nearest to it first, found by following imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PACKAGE, TESTS = "hopchain_etl", "tests"
OTHER_ENVIRONMENTS = "suites"  # a folder of tests that plain pytest cannot run


class ImportGraph:
    """Who imports whom among the modules of the package, the tests and their helpers. Paths are relative to a root."""

    def __init__(self, root: Path) -> None:
        paths = [path for top in (PACKAGE, TESTS) for path in sorted((root / top).rglob("*.py"))]
        self._paths = {_name(path.relative_to(root)): path.relative_to(root).as_posix() for path in paths}
        self._importers: dict[str, list[str]] = {path: [] for path in self._paths.values()}
        for path in paths:
            for name in sorted(self._paths.keys() & set(_imported(path.read_text(encoding="utf-8")))):
                self._importers[self._paths[name]].append(path.relative_to(root).as_posix())

    def tests_of(self, module: str) -> list[str]:
        """Return the test files that reach a module, such as ``hopchain_etl/lake/lock.py``, by imports.

        The module's own file comes first, then those that import it, then those that import such a module, and so on;
        of the same distance, those of the same folder first.
        """
        distance, reached = {module: 0}, [module]
        for one in reached:  # the list grows while it is iterated
            for importer in self._importers[one]:
                if importer not in distance:
                    distance[importer] = distance[one] + 1
                    reached.append(importer)
        place = PurePosixPath(module)
        folder = (TESTS / place.relative_to(PACKAGE)).parent
        own = (folder / f"test_{place.name}").as_posix()

        def key(test: str) -> tuple[bool, int, bool, str]:
            return test != own, distance.get(test, 0), PurePosixPath(test).parent != folder, test

        found = {path for path in reached if _is_test(PurePosixPath(path))}
        return sorted(found | ({own} & self._importers.keys()), key=key)


def _is_test(path: PurePosixPath) -> bool:
    return path.parts[0] == TESTS and path.name.startswith("test_") and OTHER_ENVIRONMENTS not in path.parts


def _name(path: Path) -> str:
    """Return the name that a module is imported by: tests have their folder on the path."""
    parts = path.with_suffix("").parts
    return ".".join(part for part in parts[parts[0] == TESTS :] if part != "__init__")


def _imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
