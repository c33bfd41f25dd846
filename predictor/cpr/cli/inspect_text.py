"""``cpr inspect`` for a person's eyes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cpr.cli.console import size_text
from cpr.cli.layout import Row, displayable, file_tree, hanging, kept, layout_width, table, width_of_output, wrapped
from cpr.cli.names import printable
from cpr.cli.pasting import is_local, request
from cpr.cli.signatures import signature_lines
from cpr.report import Finding, Severity
from cpr.saved_model.checkpoint import OBJECT_GRAPH, short_name
from cpr.saved_model.documents import signature_document
from cpr.saved_model.findings.words import shape_text
from cpr.saved_model.kinds import KINDS
from cpr.saved_model.operations import lowest
from cpr.saved_model.reader import MetaGraph
from cpr.saved_model.survey import FoundModel, Survey

_MOST_FILES, _MOST_OPS, _MOST_VARIABLES, _MOST_REASONS = 12, 10, 8, 3
_LABEL = 13
"""Columns that the name of a fact takes."""

_PLUMBING = frozenset(
    (
        "AssignVariableOp",
        "Const",
        "Identity",
        "NoOp",
        "PartitionedCall",
        "Placeholder",
        "ReadVariableOp",
        "StatefulPartitionedCall",
        "VarHandleOp",
    )
)
"""Operations that every model runs when it is loaded."""

_RANKS = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


def text(found: Survey) -> str:
    """Everything that the survey found, laid out for the terminal that standard output is."""
    return displayable("\n".join(_text(found, width_of_output())))


def _text(found: Survey, width: int | None) -> Iterator[str]:
    yield from wrapped(f"{printable(found.origin)}: {summary(found)}{_verdict(found)}", width)
    yield ""
    name = found.path.absolute().name if is_local(found) else found.origin.rpartition("/")[2]
    yield from table(file_tree(found.files, printable(name) + "/", _MOST_FILES), width)
    for model in found.models:
        yield from _model(found, model, width)
    if found.findings:
        yield ""
        yield from _findings(found.findings, width)


def summary(found: Survey) -> str:
    """One line about all of it: ``SavedModel, 27.5 KB in 4 files``."""
    models = len(found.models)
    if found.bundle is not None:
        kind = f"bundle {found.bundle.manifest.name} {found.bundle.manifest.version}"
    elif models == 1:
        kind = "SavedModel" if found.models[0].where == "." else f"SavedModel in {printable(found.models[0].where)}"
    else:
        kind = f"{models or 'no'} SavedModel{'s' if models else ''}"
    return f"{kind}, {size_text(found.total_bytes)} in {_counted(len(found.files), 'file')}"


def _verdict(found: Survey) -> str:
    """How many findings stand at the end."""
    counts = [(sum(each.severity is severity for each in found.findings), severity.value) for severity in _RANKS]
    return "".join(f", {_counted(count, severity)}" for count, severity in counts if count)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# One model


def _model(found: Survey, model: FoundModel, width: int | None) -> Iterator[str]:
    columns = layout_width(width)
    for graph in model.meta_graphs:
        yield ""
        yield from _heading(model, graph, columns)
        yield ""
        for key, signature in graph.callable_signatures.items():
            yield from signature_lines(key, signature_document(signature), columns)
            asked = request(found, model, graph, key)
            if asked:
                yield f"    {asked}"
            yield ""
        yield from _labelled(_graph_facts(graph), columns)
    shared = [*_labelled(_model_facts(model), columns), *_variables(model, width)]
    if len(model.meta_graphs) > 1 and shared:
        yield ""
        yield f"the {len(model.meta_graphs)} graphs share"
        yield ""
    if model.meta_graphs:
        yield from shared


def _heading(model: FoundModel, graph: MetaGraph, columns: int) -> Iterator[str]:
    place = "" if model.where == "." else f"{printable(model.where)} "
    tags = ", ".join(map(printable, graph.tags)) or "no tags"
    return wrapped(f"{place}[{tags}] {printable(_made(graph))}", columns)


def _labelled(facts: Iterable[tuple[str, str]], columns: int) -> Iterator[str]:
    for label, value in facts:
        for position, line in enumerate(wrapped(value, columns - 2 - _LABEL)):
            yield f"  {'' if position else label:<{_LABEL}}{line}"


def _made(graph: MetaGraph) -> str:
    if graph.objects is None:
        how = "TensorFlow 1 graph"
    elif graph.objects.maker == "keras":
        how = f"Keras {graph.objects.keras_version or graph.objects.keras_major or ''}".rstrip()
    else:
        how = "tf.Module"
    written = f", written by TensorFlow {graph.tensorflow_version}" if graph.tensorflow_version else ""
    return how + written


def _graph_facts(graph: MetaGraph) -> Iterator[tuple[str, str]]:
    yield "needs", _needs(graph)
    common = sorted(graph.ops.items(), key=lambda op: (-op[1], op[0]))
    shown = ", ".join(kept(f"{printable(op)} {count:,}") for op, count in common[:_MOST_OPS])
    more = ", …" if len(common) > _MOST_OPS else ""
    yield "ops", f"{sum(graph.ops.values()):,} of {_counted(len(common), 'kind')}: {shown}{more}" if common else "none"
    if graph.functions:
        name, nodes = max(graph.functions.items(), key=lambda function: function[1])
        yield "functions", f"{len(graph.functions):,}, the largest {printable(name)} with {_counted(nodes, 'node')}"
    if graph.assets:
        yield "assets", ", ".join(map(printable, graph.assets))
    loading = ", ".join(kept(f"{printable(op)} {count:,}") for op, count in graph.load_ops.items() if op not in _PLUMBING)
    if loading:
        yield "runs at load", loading


def _needs(graph: MetaGraph) -> str:
    """Which releases have all of its operations: ``TensorFlow ≥ 2.9 for DisableCopyOnRead``."""
    needs = lowest(graph.ops)
    because = (
        f" for {', '.join(needs.ops[:_MOST_REASONS])}{', …' if len(needs.ops) > _MOST_REASONS else ''}" if needs.ops else ""
    )
    if needs.release is None:
        return f"no release of TensorFlow has both{because.removeprefix(' for')}"
    unknown = [printable(op) for op in needs.unknown if op not in graph.functions]
    besides = f", and a library with {', '.join(unknown[:_MOST_REASONS])}" if unknown else ""
    return f"TensorFlow ≥ {needs.release}{because}{f', and ≤ {needs.until}' if needs.until else ''}{besides}"


def _model_facts(model: FoundModel) -> Iterator[tuple[str, str]]:
    warmup, fingerprint = model.warmup, model.fingerprint
    if warmup is not None:
        kinds = ", ".join(f"{printable(kind)} {count:,}" for kind, count in warmup.kinds.items())
        signatures = f" for {', '.join(map(printable, warmup.signatures))}" if warmup.signatures else ""
        yield "warm-up", f"{_counted(warmup.records, 'request')} ({kinds}){signatures}"
    if fingerprint is not None:
        uuid = f", uuid {printable(fingerprint.uuid)}" if fingerprint.uuid else ""
        yield "fingerprint", f"{fingerprint.saved_model_checksum:016x}{uuid}"


def _variables(model: FoundModel, width: int | None) -> Iterator[str]:
    variables = [variable for variable in model.variables if variable.name != OBJECT_GRAPH]
    if not variables:
        return
    objects = [graph.objects for graph in model.meta_graphs if graph.objects is not None]
    names = {each.path: each.name for graph in objects for each in graph.variables}
    yield f"  {'variables':<{_LABEL}}{len(variables):,}, {size_text(sum(variable.bytes for variable in variables))}"
    largest = sorted(variables, key=lambda variable: (-variable.bytes, variable.name))
    few = largest if len(largest) == _MOST_VARIABLES + 1 else largest[:_MOST_VARIABLES]
    rows = []
    for variable in few:
        key, name = short_name(variable.name), names.get(variable.name, "")
        alias = f"  ({name})" if name and name not in key and not name.startswith("Variable") else ""
        rows.append(Row(variable.bytes, printable(f"{variable.dtype}{shape_text(variable.shape)}  {key}{alias}")))
    rest = largest[len(few) :]
    if rest:
        rows.append(Row(sum(variable.bytes for variable in rest), f"… {len(rest):,} smaller ones"))
    yield from table(rows, width)


# What is wrong


def _findings(findings: tuple[Finding, ...], width: int | None) -> Iterator[str]:
    causes = {kind.id: kind.cause for kind in KINDS}
    for finding in sorted(findings, key=lambda finding: _RANKS[finding.severity]):
        yield from hanging(f"{finding.severity.value} {finding.check} {finding.where}: {finding.message}", width, "")
        cause = causes.pop(finding.check, "")  # once is enough
        if cause:
            yield from hanging(f"why: {cause}", width, "  ")
        yield from hanging(f"fix: {finding.remedy}", width, "  ")
