"""What a source file guards itself: code that runs only on a Python that has what it uses.

Guards are ``try: … except ImportError``, ``contextlib.suppress(ImportError)``, questions for ``sys.version_info`` (by ``if``,
by a conditional expression, by a name that holds the answer, by an early ``return``), ``hasattr`` with the name that is used,
and ``TYPE_CHECKING``. Where a question for the version can be answered, the branch that the target takes is left.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from typing import Any

from cpr.parsing import parsed

_MISSING = frozenset(("ImportError", "ModuleNotFoundError", "AttributeError", "NameError"))
_BROAD = frozenset(("Exception", "BaseException"))
_NAMES = {"TYPE_CHECKING": False, "PY2": False, "PY3": True}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def unguarded(content: bytes, version: tuple[int, int]) -> ast.Module:
    """The tree of a source file as a Python of that version runs it: without what is guarded, and without annotations that
    are never evaluated. The source must parse."""
    tree = parsed(content)
    assert isinstance(tree, ast.Module)
    visited = _Unguarded(version, _answers(tree)).visit(tree)
    assert isinstance(visited, ast.Module)
    return visited


def _answers(tree: ast.Module) -> frozenset[str]:
    """Names of the module that hold the answer to a question for the version: ``PY38 = sys.version_info >= (3, 8)``."""
    questions = (node for node in tree.body if isinstance(node, ast.Assign) and _named(node.value) & {"version_info"})
    return frozenset(target.id for node in questions for target in node.targets if isinstance(target, ast.Name))


def _named(node: ast.AST) -> set[str]:
    found = {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}
    return found | {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


class _Unknown(Exception):
    """A question that only the run can answer."""


class _Unguarded(ast.NodeTransformer):
    def __init__(self, version: tuple[int, int], answers: frozenset[str]) -> None:
        self.version = version
        self.asking = answers | {"version_info", *_NAMES}
        self.in_function = False

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                setattr(node, name, self._before_return(statements))
        return super().generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        outer, self.in_function = self.in_function, True
        visited = self.generic_visit(node)
        self.in_function = outer
        return visited

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        outer, self.in_function = self.in_function, False
        visited = self.generic_visit(node)
        self.in_function = outer
        return visited

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if self.in_function:  # annotations of local variables are never evaluated
            node.annotation = ast.copy_location(ast.Constant(None), node.annotation)
        return self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> ast.AST:
        kinds = {name for handler in node.handlers for name in _caught(handler.type)}
        if kinds & _MISSING or (kinds & _BROAD and not self.in_function):
            node.body = [ast.copy_location(ast.Pass(), node)]
        elif kinds & _BROAD:
            # A function that catches everything makes a wrong answer of a name that is not there; of an import, a choice.
            node.body = _or_pass([item for item in node.body if not isinstance(item, (ast.Import, ast.ImportFrom))], node)
        return self.generic_visit(node)

    def visit_With(self, node: ast.With) -> ast.AST:
        for item in node.items:
            if _suppressed(item.context_expr) & (_MISSING | _BROAD):
                return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST:
        if self._asks(node.test):
            taken = self._answer(node.test)
            if taken is None:
                return ast.copy_location(ast.Pass(), node)
            node.test = ast.copy_location(ast.Constant(taken), node.test)
            if taken:
                node.orelse = []
            else:
                node.body = [ast.copy_location(ast.Pass(), node)]
        elif self._looks_for(node.test, node.body + node.orelse):
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        if self._asks(node.test):
            taken = self._answer(node.test)
            chosen = ast.Constant(None) if taken is None else node.body if taken else node.orelse
            visited = self.visit(ast.copy_location(chosen, node))
            assert isinstance(visited, ast.AST)
            return visited
        if self._looks_for(node.test, [node.body, node.orelse]):
            return ast.copy_location(ast.Constant(None), node)
        return self.generic_visit(node)

    def _before_return(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        """The statements up to the one that leaves for good on some Pythons, where that may be the target's."""
        for index, item in enumerate(statements):
            if not isinstance(item, ast.If) or not self._asks(item.test) or not _leaves(item.body):
                continue
            if self._answer(item.test) is not False:
                return statements[: index + 1]
        return statements

    def _asks(self, test: ast.expr) -> bool:
        return not self.asking.isdisjoint(_named(test))

    def _looks_for(self, test: ast.expr, nodes: Sequence[ast.AST]) -> bool:
        """True for a ``hasattr`` with the name of something that the branches use."""
        wanted = {
            call.args[1].value
            for call in ast.walk(test)
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and call.func.id == "hasattr"
            and len(call.args) == 2
            and isinstance(call.args[1], ast.Constant)
        }
        return any(wanted & _named(node) for node in nodes)

    def _answer(self, test: ast.expr) -> bool | None:
        """What the target's Python answers; ``None`` where that cannot be told."""
        try:
            return bool(self._value(test))
        except (_Unknown, TypeError, IndexError):
            return None

    def _value(self, node: ast.expr | None) -> Any:
        if node is None or isinstance(node, ast.Constant):
            return None if node is None else node.value
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self._name(node)
        if isinstance(node, ast.Tuple):
            return tuple(self._value(item) for item in node.elts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return not self._value(node.operand)
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
            return _COMPARE[type(node.ops[0])](self._value(node.left), self._value(node.comparators[0]))
        if isinstance(node, ast.Subscript):
            return self._value(node.value)[self._index(node.slice)]
        if isinstance(node, ast.BoolOp):
            return (all if isinstance(node.op, ast.And) else any)([self._value(value) for value in node.values])
        raise _Unknown

    def _index(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Slice):
            return slice(self._value(node.lower), self._value(node.upper), self._value(node.step))
        return self._value(node)

    def _name(self, node: ast.Name | ast.Attribute) -> Any:
        name = node.attr if isinstance(node, ast.Attribute) else node.id
        if name == "version_info":
            return (*self.version, 99, "final", 0)
        if name in _NAMES:
            return _NAMES[name]
        if name in ("major", "minor") and isinstance(node, ast.Attribute):
            return self._value(node.value)[("major", "minor").index(name)]
        raise _Unknown


def _caught(kind: ast.expr | None) -> set[str]:
    """The names of the exceptions in an ``except`` clause; one without any catches all."""
    if kind is None:
        return {"BaseException"}
    names = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return {name.id for name in names if isinstance(name, ast.Name)}


def _suppressed(call: ast.expr) -> set[str]:
    """The names of the exceptions in ``contextlib.suppress(…)``."""
    if not isinstance(call, ast.Call) or "suppress" not in _named(call.func):
        return set()
    return {name for argument in call.args for name in _caught(argument)}


def _leaves(statements: list[ast.stmt]) -> bool:
    return isinstance(statements[-1], (ast.Return, ast.Raise, ast.Continue, ast.Break))


def _or_pass(statements: list[ast.stmt], node: ast.stmt) -> list[ast.stmt]:
    return statements or [ast.copy_location(ast.Pass(), node)]
