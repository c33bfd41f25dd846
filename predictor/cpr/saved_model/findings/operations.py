"""CPR621 to CPR625: what TensorFlow must have to load a model and to run it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from cpr.report import Finding, Severity
from cpr.saved_model import kinds, operations
from cpr.saved_model.findings.served import requested, served
from cpr.saved_model.findings.words import listed, them
from cpr.saved_model.reader import MetaGraph

_REFERENCES = ("VariableV2", "Variable")
_OF_SAVER = frozenset(("SaveV2", "RestoreV2", "MergeV2Checkpoints"))
"""What every SavedModel has: the functions that write and read its checkpoint."""

_CONTRIB = "tensorflow.contrib"


def findings(graphs: tuple[MetaGraph, ...], file: str, tensorflow: str | None) -> Iterator[Finding]:
    """For the graphs that a server could load; ``file`` is the place of them, ``tensorflow`` the release to run them."""
    if tensorflow is not None:
        yield from unknown(graphs, file, tensorflow)
    for graph in served(graphs):
        yield from _custom(graph, file)
        yield from _dangerous(graph, file)
        references = sum(graph.ops.get(op, 0) for op in _REFERENCES)
        if references:
            yield kinds.REFERENCE_VARIABLES.at(
                file, f"{references:,} of its variables {'is a reference' if references == 1 else 'are references'}."
            )
    yield from without_kernel(graphs, file, tensorflow)


def unknown(graphs: tuple[MetaGraph, ...], file: str, tensorflow: str) -> Iterator[Finding]:
    """CPR621: operations that the release does not have, and graphs that it refuses by their version."""
    for graph in served(graphs):
        lacking = {op: operations.introduced(op) for op in graph.ops if not operations.known(op, tensorflow)}
        spelt = [_since(op, first) for op, first in lacking.items() if first is not None]
        if spelt:
            yield kinds.NEWER_OPERATION.at(
                file,
                f"TensorFlow {tensorflow} does not have {listed(spelt)} and refuses the whole model.",
                _fitting(operations.lowest(graph.ops)),
            )
        yield from _refused(graph, file, tensorflow)


def _since(op: str, first: str) -> str:
    """With the releases that have it."""
    last = operations.last(op)
    return f"{op} (came with {first})" if last is None else f"{op} (in {first} to {last} alone)"


def _fitting(needs: operations.Needs) -> str:
    own = "export it with the TensorFlow that is to run it."
    if needs.release is None:
        return f"No TensorFlow has all of {listed(needs.ops)}: {own}"
    until = "or newer" if needs.until is None else f"to {needs.until}"
    return f"Run the model with TensorFlow {needs.release} {until}, or {own}"


def _refused(graph: MetaGraph, file: str, tensorflow: str) -> Iterator[Finding]:
    """As TensorFlow compares the versions of a graph with its own (``tensorflow/core/framework/versions.cc``)."""
    own = operations.graph_versions(tensorflow)
    why = ""
    if graph.producer < own.min_producer:
        why = f"The graph is of version {graph.producer}, which is too old"
    elif own.producer < graph.min_consumer:
        why = f"The graph is for readers of version {graph.min_consumer} or newer"
    elif own.producer in graph.bad_consumers:
        why = f"The graph names {own.producer} among the versions that misread it"
    if why:
        # TensorFlow 2 restores its models from objects and functions; only servers look at the version of the graph as such.
        severity = Severity.WARNING if graph.has_objects else Severity.ERROR
        message = f"{why}: TensorFlow {tensorflow}, whose version is {own.producer}, refuses it."
        yield kinds.NEWER_OPERATION.at(file, message, severity=severity)


def without_kernel(graphs: tuple[MetaGraph, ...], file: str, tensorflow: str | None) -> Iterator[Finding]:
    """CPR623, for the newest release where none is given."""
    release = tensorflow or operations.releases()[-1]
    for graph in served(graphs):
        gone = [op for op in sorted(_reached(graph)) if operations.kernels_gone(op, release)]
        if gone:
            spelt = [_until(op) for op in gone]
            yield kinds.NO_KERNEL.at(file, f"TensorFlow {release} knows {listed(spelt)} and cannot run {them(gone)} on a CPU.")


def _until(op: str) -> str:
    last = operations.last_kernel(op)
    return op if last is None else f"{op} (could until {last})"


def _custom(graph: MetaGraph, file: str) -> Iterator[Finding]:
    """CPR622. The name of a function may stand in place of an operation's."""
    by_package: dict[str | None, list[str]] = {}
    for op in graph.ops:
        if operations.introduced(op) is None and op not in graph.functions:
            by_package.setdefault(operations.package_of(op), []).append(op)
    for package, ops in by_package.items():
        message = f"No TensorFlow has {listed(ops)} of its own"
        if package is None:
            yield kinds.CUSTOM_OPERATION.at(file, f"{message}.")
        elif package.startswith(_CONTRIB):
            remedy = f"Import {package} of a TensorFlow before 2.0 before the model is loaded, or export the model without it."
            yield kinds.CUSTOM_OPERATION.at(file, f"{message}; {package} does, until TensorFlow 1.15.", remedy)
        else:
            remedy = f"Declare {package} as a requirement and import it before the model is loaded, or export without it."
            yield kinds.CUSTOM_OPERATION.at(file, f"{message}; {package} does.", remedy)


def _dangerous(graph: MetaGraph, file: str) -> Iterator[Finding]:
    """CPR624: a warning for what a request or the loading runs, a note for what lies in the graph."""
    reached = _reached(graph)
    for severity in (Severity.WARNING, Severity.NOTE):
        by_reason: dict[str, list[str]] = {}
        for op in graph.ops:
            reason = operations.dangerous(op)
            if reason is not None and (op in reached) == (severity is Severity.WARNING):
                if severity is Severity.NOTE and op in _OF_SAVER:
                    continue
                by_reason.setdefault(reason, []).append(op)
        for reason, ops in by_reason.items():
            when = "" if severity is Severity.WARNING else " No signature runs it."
            yield kinds.DANGEROUS_OPERATION.at(file, f"{listed(ops)}: {reason}.{when}", severity=severity)


def _reached(graph: MetaGraph) -> Collection[str]:
    """What a request or the loading runs; everything where that is not known."""
    found = requested(graph)
    return graph.ops.keys() - _OF_SAVER if found is None else found | graph.load_ops.keys()
