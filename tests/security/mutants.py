"""Every way to take one guard out of a module's functions, as a change of its text.

A guard is a condition, one part of an `and` or `or`, a filter, a call made for its effect, or something that a value
goes through on its way: a cut (`[:60]`), `lower()`, `strip()`.
"""

import ast
from dataclasses import dataclass

_CLEANING = frozenset({"lower", "upper", "casefold", "strip", "lstrip", "rstrip", "removeprefix", "removesuffix"})


@dataclass(frozen=True)
class Mutant:
    """One guard, and what stands in its place.

    Attributes:
        function: the qualified name of the function that it is in.
        code: the guard's code, on one line.
        instead: the code in its place, on one line.
        lines: the first and the last line of its statement, without the statements inside.
        span: where the code is in the module, in bytes of UTF-8.
    """

    function: str
    code: str
    instead: str
    lines: tuple[int, int]
    span: tuple[int, int]

    def applied(self, source: str) -> str:
        """The module's text without the guard."""
        start, end = self.span
        whole = source.encode()
        return (whole[:start] + self.instead.encode() + whole[end:]).decode()

    def __str__(self) -> str:
        instead = self.instead.replace(f"({self.code})", "…")
        return f"{self.function}: `{self.code}` → `{instead}`"


def mutants_of(source: str) -> list[Mutant]:
    """All mutants of a module, in the order of its lines."""
    module = ast.parse(source)
    found = _Finder(source)
    found.visit(module)
    return sorted(
        (each for each in found.mutants if _differs(each.applied(source), module)), key=lambda each: each.span
    )


def _differs(text: str, module: ast.Module) -> bool:
    """Is it another program? In an f-string of Python 3.11, parts have no places of their own: no mutant is made."""
    try:
        return ast.dump(ast.parse(text)) != ast.dump(module)
    except SyntaxError:
        return False


class _Finder(ast.NodeVisitor):
    """Walks a module and notes the mutants of its functions."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._line_starts = [0]
        for line in source.encode().splitlines(keepends=True):
            self._line_starts.append(self._line_starts[-1] + len(line))
        self._names: list[str] = []
        self._functions = 0
        self._lines = (0, 0)
        self.mutants: list[Mutant] = []

    def visit(self, node: ast.AST) -> None:
        """Notes which statement's lines what follows is on."""
        before = self._lines
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            self._lines = (node.lineno, max(node.lineno, last))
        super().visit(node)
        self._lines = before

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Its name is part of its methods' names."""
        self._names.append(node.name)
        self.generic_visit(node)
        self._names.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Only bodies: what a default or a decorator does, it does once, at import."""
        self._names.append(node.name)
        self._functions += 1
        for statement in node.body:
            self.visit(statement)
        self._functions -= 1
        self._names.pop()

    def visit_If(self, node: ast.If) -> None:
        """Never, and the other way round."""
        self._turn(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        """Never, and the other way round."""
        self._turn(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        """Without each filter."""
        for condition in node.ifs:
            self._note(condition, "True")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """Without each part."""
        for part in node.values:
            self._note(part, "True" if isinstance(node.op, ast.And) else "False")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        """Without a call whose result nobody looks at."""
        if isinstance(node.value, ast.Call):
            self._note(node, "pass")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """With the value as it came."""
        if isinstance(node.func, ast.Attribute) and node.func.attr in _CLEANING:
            self._note(node, self._text(node.func.value))
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Uncut."""
        cut = isinstance(node.slice, ast.Slice) and node.slice.upper is not None and node.slice.lower is None
        if cut and isinstance(node.ctx, ast.Load):
            self._note(node, self._text(node.value))
        self.generic_visit(node)

    def _turn(self, condition: ast.expr) -> None:
        self._note(condition, "False")
        self._note(condition, f"not ({self._text(condition)})")

    def _note(self, node: ast.expr | ast.stmt, instead: str) -> None:
        if self._functions:
            self.mutants.append(Mutant(".".join(self._names), self._text(node), instead, self._lines, self._span(node)))

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._line_starts[node.lineno - 1] + node.col_offset
        return start, self._line_starts[node.end_lineno - 1] + node.end_col_offset

    def _text(self, node: ast.expr | ast.stmt) -> str:
        return " ".join((ast.get_source_segment(self._source, node) or "").split())
