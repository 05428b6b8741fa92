"""Every small change of a module that a careful test should notice, found in its syntax tree.

Texts, type annotations, decorators, assertions (``strict`` of ``zip`` is one) and log messages are left as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

COMPARISONS: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}
LEFT_ALONE = {"annotation", "returns", "decorator_list", "type_params"}


@dataclass(frozen=True)
class Mutant:
    """A change of the bytes from ``start`` to ``end`` of a module; ``old`` and ``new`` are the lines around them."""

    module: str
    where: str  # module and function
    line: int
    lines: frozenset[int]  # of the change and of its statement; none if that is run at import, not in a function
    start: int
    end: int
    text: str
    old: str
    new: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What a mutant is known by, wherever its lines move to."""
        return self.where, self.old, self.new

    def changed(self, source: bytes) -> bytes:
        """Return the module's source with the change."""
        return source[: self.start] + self.text.encode() + source[self.end :]


def mutants_of(module: str, source: str) -> Iterator[Mutant]:
    """Yield all mutants of a module's source, in the order of its lines."""
    data = source.encode()
    starts = [0, *accumulate(len(line) for line in data.splitlines(keepends=True)), len(data)]
    for where, statement, node, text in _changes(ast.parse(source), module):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        first, last = starts[node.lineno - 1], starts[node.end_lineno]
        old = data[first:last]
        new = data[first:start] + text.encode() + data[end:last]
        words = [" ".join(lines.decode().split()) for lines in (old, new)]
        lines = frozenset([*statement, *range(node.lineno, node.end_lineno + 1)] if statement else [])
        yield Mutant(module, where, node.lineno, lines, start, end, text, *words)


def _changes(
    node: ast.AST, where: str, lines: range = range(0), *, is_inside: bool = False
) -> Iterator[tuple[str, range, ast.expr | ast.stmt, str]]:
    """Yield each change below a node: its function, the lines of its statement, what is replaced, and by what.

    ``is_inside``: the node is in a function; other statements have no lines.
    """
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        where = f"{where} {node.name}"
    if isinstance(node, ast.stmt):
        lines = _own_lines(node) if is_inside else range(0)
        is_inside |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from ((where, lines, node, text) for text in _of_statement(node))
    elif isinstance(node, ast.expr):
        yield from ((where, lines, node, f"({text})" if " " in text else text) for text in _of_expression(node))
    for test in _conditions(node):
        yield where, lines, test, f"(not ({ast.unparse(test)}))"
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and name not in LEFT_ALONE and not _is_left_alone(child):
                yield from _changes(child, where, lines, is_inside=is_inside)


def _own_lines(node: ast.stmt) -> range:
    """Return the lines of a statement up to the first statement in it."""
    body = getattr(node, "body", None)
    assert node.end_lineno is not None
    end = body[0].lineno if body else node.end_lineno + 1
    return range(node.lineno, max(end, node.lineno + 1))


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.JoinedStr | ast.Assert | ast.pattern | ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.keyword):
        return node.arg == "strict"
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.Expr) and ast.unparse(node).startswith("log.")


def _of_statement(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.Expr(value=ast.Call()) | ast.Raise():
            yield "pass"
        case ast.Return(value=ast.Constant(value=None | False)):
            pass  # None is as false, and False becomes True
        case ast.Return(value=ast.expr()):
            yield "return None"
        case ast.AugAssign(op=op) if type(op) in OPERATORS:
            yield ast.unparse(ast.AugAssign(node.target, OPERATORS[type(op)](), node.value))
        case ast.Break():
            yield "continue"
        case ast.Continue():
            yield "break"


def _of_expression(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Compare():
            for number, op in enumerate(node.ops):
                for other in COMPARISONS[type(op)]:
                    ops = [*node.ops[:number], other(), *node.ops[number + 1 :]]
                    yield ast.unparse(ast.Compare(node.left, ops, node.comparators))
        case ast.BoolOp():
            yield ast.unparse(ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values))
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield ast.unparse(node.operand)
        case ast.BinOp() if type(node.op) in OPERATORS:
            yield ast.unparse(ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right))
        case ast.Call(func=ast.Name(id=name)) if name in FUNCTIONS:
            yield ast.unparse(ast.Call(ast.Name(FUNCTIONS[name]), node.args, node.keywords))
        case ast.Constant(value=bool()):
            yield str(not node.value)
        case ast.Constant(value=int()):
            yield str(node.value + 1)
        case ast.Constant(value=float()):
            yield str(node.value * 2 or 1.0)


def _conditions(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the conditions of a node that no other change negates."""
    tests = node.ifs if isinstance(node, ast.comprehension) else []
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        tests = [node.test]
    for test in tests:
        negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
        if not isinstance(test, ast.Compare | ast.Constant) and not negated:
            yield test
