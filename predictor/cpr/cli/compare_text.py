"""What differs between two models, for a person's eyes. ``+`` is only in the second, ``-`` only in the first, ``~`` in both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from cpr.cli.console import size_text
from cpr.cli.inspect_text import summary
from cpr.cli.layout import displayable, kept, layout_width, width_of_output, wrapped
from cpr.cli.names import printable
from cpr.cli.signatures import signature_lines, type_text
from cpr.saved_model.checkpoint import short_name
from cpr.saved_model.comparison import Comparison, Difference
from cpr.saved_model.findings.words import shape_text
from cpr.saved_model.survey import Survey

_MOST = 12
"""Lines of one kind that are shown."""

_LABEL = 13


def text(compared: Comparison) -> str:
    """The whole comparison, laid out for the terminal that standard output is."""
    return displayable("\n".join(_text(compared, layout_width(width_of_output()))))


def _text(compared: Comparison, columns: int) -> Iterator[str]:
    for side, survey in (("a", compared.a), ("b", compared.b)):
        yield from wrapped(f"{side}  {printable(survey.origin)}: {summary(survey)}{_written(survey)}", columns)
    yield ""
    if compared.equal is not False:
        where = "what could be compared" if compared.unread else "signatures, operations, values and files"
        yield f"No difference in {where}."
    yield from _models(compared.differences)
    yield from _signatures(compared.differences, columns)
    yield from _ops(compared.differences, columns)
    yield from _variables(compared.differences)
    yield from _files(compared.differences)
    if compared.unread:
        yield from _section("not compared", [printable(each) for each in compared.unread])


def _written(survey: Survey) -> str:
    versions = {graph.tensorflow_version for model in survey.models for graph in model.meta_graphs} - {""}
    return f", written by TensorFlow {printable(', '.join(sorted(versions)))}" if versions else ""


def _of(differences: Iterable[Difference], *kinds: str) -> list[Difference]:
    return [each for each in differences if each.kind in kinds]


def _mark(difference: Difference) -> str:
    return "+" if difference.a is None else "-" if difference.b is None else "~"


def _section(title: str, lines: list[str]) -> Iterator[str]:
    """The lines below their title, the first of them where there are many."""
    if not lines:
        return
    yield f"  {title}"
    shown = lines if len(lines) == _MOST + 1 else lines[:_MOST]
    yield from (f"    {line}" for line in shown)
    if len(lines) > len(shown):
        yield f"    … {len(lines) - len(shown):,} more"


def _models(differences: tuple[Difference, ...]) -> Iterator[str]:
    titles = {"tensorflow_version": "TensorFlow", "keras_version": "Keras", "tags": "tags"}
    for each in _of(differences, *titles):
        place = "" if each.where == "." else f"  ({printable(each.where)})"
        yield f"  {titles[each.kind]:<{_LABEL}}{_state(each.a)} → {_state(each.b)}{place}"
    for each in _of(differences, "total_bytes"):
        change = f"{'+' if each.b > each.a else '-'}{size_text(abs(each.b - each.a))}"
        yield f"  {'size':<{_LABEL}}{_sizes(each)} ({change})"
    yield from _section("models", [f"{_mark(each)} {printable(each.where)}" for each in _of(differences, "model")])
    yield from _section("graphs", [f"{_mark(each)} {printable(each.where)}" for each in _of(differences, "graph")])
    for each in _of(differences, "constants"):
        place = "" if each.where == "." else f"  ({printable(each.where)})"
        yield f"  {'graph':<{_LABEL}}other constants, attributes or joints between the same operations{place}"


def _state(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(printable, value))}]"
    return printable(str(value)) if value else "none"


def _signatures(differences: tuple[Difference, ...], columns: int) -> Iterator[str]:
    lines = []
    for each in _of(differences, "signature"):
        mark, signature = _mark(each), each.b if each.a is None else each.a
        first, *rest = signature_lines(each.where, signature, columns - 6, "")
        lines += [f"{mark} {first}", *(f"  {line}" for line in rest)]
    for each in _of(differences, "method_name"):
        lines.append(f"~ {printable(each.where)}  method {_state(each.a)} → {_state(each.b)}")
    for each in _of(differences, "input", "output"):
        states = [type_text(state) for state in (each.a, each.b) if state is not None]
        lines.append(f"{_mark(each)} {printable(each.where)}  {each.kind} {' → '.join(states)}")
    for each in _of(differences, "tensor"):
        lines.append(f"~ {printable(each.where)}  tensor {_state(each.a)} → {_state(each.b)}")
    yield from _section("signatures", lines)


def _ops(differences: tuple[Difference, ...], columns: int) -> Iterator[str]:
    changes = _of(differences, "op")
    if not changes:
        return
    words = []
    for each in sorted(changes, key=lambda each: (each.a is not None, each.b is not None, each.where)):
        count = f"{each.a} → {each.b}" if _mark(each) == "~" else f"{each.b or each.a}"
        words.append(kept(f"{_mark(each)}{printable(each.where)} {count}"))
    more = f" … {kept(f'{len(words) - 3 * _MOST:,} more')}" if len(words) > 3 * _MOST else ""
    yield "  ops"
    yield from wrapped(", ".join(words[: 3 * _MOST]) + more, columns, "    ")


def _variables(differences: tuple[Difference, ...]) -> Iterator[str]:
    lines = []
    found = list(_of(differences, "variable"))
    shown = Counter(short_name(each.where) for each in found)
    for each in found:
        short = short_name(each.where)
        name = short if shown[short] == 1 else each.where  # TensorFlow 1 and 2 differ in nothing but the end that is left out
        states = [f"{state['dtype']}{shape_text(state['shape'])}" for state in (each.a, each.b) if state is not None]
        size = size_text((each.b or each.a)["bytes"])
        lines.append(f"{_mark(each)} {printable(name)}  {' → '.join(states)}  {size}")
    values = [short_name(each.where) for each in _of(differences, "content") if each.a.startswith("crc32c")]
    yield from _section("variables", lines)
    yield from _section(
        f"other values in {len(values):,} variable{'' if len(values) == 1 else 's'}", list(map(printable, values))
    )


def _files(differences: tuple[Difference, ...]) -> Iterator[str]:
    lines = []
    for each in _of(differences, "asset", "file"):
        lines.append(f"{_mark(each)} {printable(each.where)}  {_sizes(each)}")
    lines += [
        f"~ {printable(each.where)}  other content" for each in _of(differences, "content") if each.a.startswith("sha256")
    ]
    yield from _section("files", lines)


def _sizes(difference: Difference) -> str:
    """``1.2 KB → 3.4 KB``; in bytes where they would look the same."""
    sizes = [size for size in (difference.a, difference.b) if size is not None]
    texts = [size_text(size) for size in sizes]
    if len(texts) == 2 and texts[0] == texts[1]:
        return f"{sizes[0]:,} → {sizes[1]:,} B"
    return " → ".join(texts)
