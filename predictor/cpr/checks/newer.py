"""Newer Python that neither the parser's ``feature_version`` nor vermin sees, found in the tree of a source file."""

from __future__ import annotations

import ast
from collections.abc import Iterator

Use = tuple[int, str, tuple[int, int]]
"""The line, what is used there in words, and the lowest Python that has it."""

_GENERIC = frozenset(("dict", "frozenset", "list", "set", "tuple", "type"))
_TYPES = _GENERIC | {"bool", "bytes", "bytearray", "complex", "float", "int", "object", "str"}
_STRING_METHODS = ("removeprefix", "removesuffix")


def postpones_annotations(tree: ast.Module) -> bool:
    futures = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    return any(name.name == "annotations" for node in futures for name in node.names)


def newer(tree: ast.Module, content: bytes) -> Iterator[Use]:
    """What the tree uses of newer Pythons, in the order of its lines."""
    annotations = set(_annotations(tree))
    inside = {inner for annotation in annotations for inner in ast.walk(annotation)}
    postponed = inside if postpones_annotations(tree) else set()
    own = set(_own_names(tree))
    caches = _plain_caches(tree)
    lines = content.splitlines()
    found: set[Use] = set()
    for node in ast.walk(tree):
        if node not in postponed:
            found.update(_unions(node, own, node in inside))
        if node not in inside:
            found.update(_generics(node, own))  # vermin sees those in annotations
        found.update(_stars(node, lines))
        found.update(_methods(node, own))
        found.update(_bare_decorators(node, caches))
    yield from sorted(found)


def _annotations(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation is not None:
            yield node.annotation
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns is not None:
            yield node.returns


def _own_names(tree: ast.Module) -> Iterator[str]:
    """What the file itself gives a meaning: ``type`` may be a parameter."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.asname or node.name


def _unions(node: ast.AST, own: set[str], annotating: bool) -> Iterator[Use]:
    """``int | None``. Outside annotations only with a side that is a type for certain: ``a | b`` may be anything."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.BitOr):
        return
    if annotating:
        yield node.lineno, "an annotation `X | Y`", (3, 10)
    elif any(isinstance(side, ast.Name) and side.id in _TYPES - own for side in (node.left, node.right)):
        yield node.lineno, "a union of types `X | Y`", (3, 10)


def _generics(node: ast.AST, own: set[str]) -> Iterator[Use]:
    """``Row = list[int]``."""
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in _GENERIC - own:
        yield node.lineno, f"a generic type `{node.value.id}[…]`", (3, 9)


def _stars(node: ast.AST, lines: list[bytes]) -> Iterator[Use]:
    """A star in an index, in ``*args: *Ts``, and without parentheses behind ``return``, ``yield`` and ``for … in``."""
    if isinstance(node, ast.Subscript) and _is_starred(node.slice, lines):
        yield node.lineno, "a star in an index", (3, 11)
    elif isinstance(node, ast.arg) and isinstance(node.annotation, ast.Starred):
        yield node.lineno, "a star in an annotation", (3, 11)
    elif isinstance(node, (ast.For, ast.AsyncFor)) and _is_starred(node.iter, lines):
        yield node.iter.lineno, "a star without parentheses behind `in`", (3, 9)
    elif isinstance(node, (ast.Return, ast.Yield)) and _is_starred(node.value, lines):
        yield node.lineno, "a star without parentheses behind `return` or `yield`", (3, 8)


def _is_starred(node: ast.expr | None, lines: list[bytes]) -> bool:
    if not isinstance(node, ast.Tuple) or not any(isinstance(item, ast.Starred) for item in node.elts):
        return False
    first = node.elts[0]
    return (node.lineno, node.col_offset) == (first.lineno, first.col_offset) or not _opens(node, lines)


def _opens(node: ast.Tuple, lines: list[bytes]) -> bool:
    """Whether the tuple has parentheses of its own."""
    return lines[node.lineno - 1][node.col_offset : node.col_offset + 1] == b"("


def _methods(node: ast.AST, own: set[str]) -> Iterator[Use]:
    """``text.removeprefix(…)``, whatever ``text`` is: only strings have it, and pandas' columns of strings, behind ``.str``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _STRING_METHODS:
        of = node.func.value
        column = isinstance(of, ast.Attribute) and of.attr == "str"
        if not column and not isinstance(of, ast.Constant) and node.func.attr not in own:
            yield node.lineno, f"str.{node.func.attr}", (3, 9)


def _plain_caches(tree: ast.Module) -> set[str]:
    """The spellings of ``functools.lru_cache`` in a module."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {f"{name.asname or name.name}.lru_cache" for name in node.names if name.name == "functools"}
        elif isinstance(node, ast.ImportFrom) and node.module == "functools":
            found |= {name.asname or name.name for name in node.names if name.name == "lru_cache"}
    return found


def _bare_decorators(node: ast.AST, caches: set[str]) -> Iterator[Use]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        for decorator in node.decorator_list:
            if isinstance(decorator, (ast.Name, ast.Attribute)) and ast.unparse(decorator) in caches:
                yield decorator.lineno, "`@lru_cache` without parentheses", (3, 8)
