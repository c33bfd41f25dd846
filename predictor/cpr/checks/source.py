"""CPR4xx: the author's source at the target's Python, without running it.

Syntax by the parser's own ``feature_version``, the standard library by vermin's table of minimum versions, and by
:mod:`cpr.checks.newer` what neither of them sees. What a file guards itself (:mod:`cpr.checks.guards`) is left alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from cpr.checks.guards import unguarded
from cpr.checks.newer import newer, postpones_annotations
from cpr.checks.registry import Family, Fault, Subject
from cpr.parsing import parsed
from cpr.report import Severity

FAMILY = Family()

_OLDEST = (3, 4)  # below it the parser's feature_version means nothing


def tree_of(subject: Subject, path: str) -> ast.Module | None:
    """The parsed member ``path``; ``None`` where it is no Python that this interpreter reads."""
    return subject.trees.get(path)


def parse_all(sources: dict[str, bytes]) -> dict[str, ast.Module]:
    """Every member that is Python and parses."""
    trees = {path: parsed(content) for path, content in sources.items() if path.endswith(".py")}
    return {path: tree for path, tree in trees.items() if isinstance(tree, ast.Module)}


def _version(subject: Subject) -> tuple[int, int] | None:
    if subject.python is None:
        return None
    major, minor = subject.python.split(".")
    return int(major), int(minor)


def _at(path: str, line: int | None) -> str:
    return path if line is None else f"{path}:{line}"


@FAMILY.check(
    "CPR401",
    "A source file is not valid Python",
    cause="The file does not parse on this Python, nor on the target's.",
    remedy="Mend the line.",
    source="the Python parser",
)
def syntax(subject: Subject) -> Iterator[Fault]:
    for path, content in subject.sources.items():
        if path.endswith(".py") and path not in subject.trees:
            error = parsed(content)
            assert isinstance(error, SyntaxError)
            yield Fault(_at(path, error.lineno), f"It does not parse: {error.msg}.")


@FAMILY.check(
    "CPR402",
    "The syntax is newer than the target's Python",
    cause="The target's interpreter cannot parse the file, so the module cannot be imported there.",
    remedy="Write it in the older syntax, or choose a target with a newer Python.",
    source="the Python parser, feature_version",
)
def newer_syntax(subject: Subject) -> Iterator[Fault]:
    version = _version(subject)
    if version is None or version < _OLDEST:
        return
    for path in subject.trees:
        error = parsed(subject.sources[path], version)
        if isinstance(error, SyntaxError):
            message = f"Python {subject.python} does not parse it: {_lower(error.msg)}."
            yield Fault(_at(path, error.lineno), message)


@FAMILY.check(
    "CPR403",
    "The source uses what the target's Python does not have",
    cause="A module, function or feature of the standard library came with a newer Python than the target's.",
    remedy="Use what the older Python has, guard it with `try … except ImportError`, or choose a target with a newer Python.",
    source="vermin's table of minimum versions",
)
def newer_library(subject: Subject) -> Iterator[Fault]:
    version = _version(subject)
    if version is None:
        return
    for path in subject.trees:
        if isinstance(parsed(subject.sources[path], max(version, _OLDEST)), SyntaxError):
            continue  # CPR402 has said it
        try:
            tree = unguarded(subject.sources[path], version)
            uses = dict.fromkeys((*features(tree, subject.sources[path]), *newer(tree, subject.sources[path])))
        except RecursionError:
            remedy = "Break the longest expression of the file up; what it uses was not looked at."
            yield Fault(path, "An expression in it is too deep to be looked through.", remedy, Severity.WARNING)
            continue
        for line, feature, needed in sorted(uses, key=lambda use: use[0] or 0):
            if needed > version:
                message = f"{feature} needs Python {needed[0]}.{needed[1]}; the target has {subject.python}."
                yield Fault(_at(path, line), message)


def features(tree: ast.Module, content: bytes) -> Iterator[tuple[int | None, str, tuple[int, int]]]:
    """What vermin finds in a tree: the line, the feature in words, and the lowest Python 3 that has it."""
    import vermin

    config = vermin.Config()
    config.set_format(vermin.formats.ParsableFormat())
    config.set_eval_annotations(not postpones_annotations(tree))
    visitor = vermin.SourceVisitor(config, "", content)
    visitor.set_no_lines(set())
    visitor.tour(tree)
    visitor.minimum_versions()
    seen = set()
    for row in visitor.output_text().splitlines():
        _, line, _, _, needed, text = row.split(":", 5)
        found = re.fullmatch(r"~?(\d+)\.(\d+)", needed)
        name = text.partition("(")[0] if text.startswith("'") else text
        name = name.replace(" user function decorator", " member")
        if found and (line, name) not in seen:
            seen.add((line, name))
            words = re.sub(r"^'(.+)' (member|module|user function decorator)$", r"\1", text)
            yield int(line) if line else None, words, (int(found[1]), int(found[2]))


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
