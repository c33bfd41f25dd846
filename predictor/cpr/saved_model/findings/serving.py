"""CPR641 to CPR644: a training graph where a serving graph belongs, seen in what a request runs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from cpr.report import Finding, Severity
from cpr.saved_model import kinds
from cpr.saved_model.findings.served import Said, by_signature, requested, served
from cpr.saved_model.findings.words import listed
from cpr.saved_model.graph import Call
from cpr.saved_model.operations import training
from cpr.saved_model.reader import MetaGraph, Signature

_READS = (("reader", "reads files of the training"), ("queue", "waits for what only the training puts there"))
_ITERATORS = frozenset(("Iterator", "IteratorV2", "OneShotIterator"))
_WRITES = frozenset(("Assign", "AssignAdd", "AssignSub", "AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"))
"""How Keras 3's optimizers change variables, among others."""

_TRAIN = "train"


def findings(graphs: tuple[MetaGraph, ...], file: str) -> Iterator[Finding]:
    """For the graphs that a server could load; ``file`` is the place of them."""
    for graph in served(graphs):
        yield from by_signature((graph,), file, partial(_rules, "MakeIterator" in graph.load_ops))
        yield from _unused(graph, file)
        yield from _unfed(graph, file)


def _rules(made: bool, key: str, _: Signature, call: Call | None) -> Iterator[Said]:
    """``made``: what the model runs when it is loaded makes an iterator."""
    if call is None:
        return
    for kind, what in _READS:
        reads = [op for op in call.ops if training(op) == kind]
        if reads:
            yield Said(kinds.TRAINING_INPUT, f"a request runs {listed(reads)} and so {what}")
    iterators = [op for op in call.ops if op in _ITERATORS]
    if "OneShotIterator" in iterators:
        yield Said(kinds.TRAINING_INPUT, "a request takes the next element of a data set within the graph (OneShotIterator)")
    elif iterators and not made and "MakeIterator" not in call.ops:
        yield Said(kinds.TRAINING_INPUT, f"a request takes the next element of an iterator that nothing makes ({iterators[0]})")
    if call.dropout:
        yield Said(kinds.TRAINING_MODE, f"dropout is on ({listed(call.dropout)}), so the same request gets other answers")
    if call.training_norms:
        yield Said(
            kinds.TRAINING_MODE,
            f"batch normalisation uses the statistics of the request ({listed(call.training_norms)}), so an answer depends on "
            "the other rows",
        )
    yield from _learns(key, call)


def _learns(key: str, call: Call) -> Iterator[Said]:
    # A signature of this name is there to be trained with, on a device for example.
    severity = Severity.NOTE if _TRAIN in key.lower() else None
    updates = [op for op in call.ops if training(op) == "optimizer"]
    if updates:
        yield Said(kinds.TRAINS, f"a request runs {listed(updates)} and so changes the model", severity=severity)
    gradients = [op for op in call.ops if training(op) == "gradient"]
    writes = [op for op in call.ops if op in _WRITES]
    if gradients and writes and not updates:
        text = (
            f"a request computes gradients ({listed(gradients)}) and writes to variables ({listed(writes)}), as training does"
        )
        yield Said(kinds.TRAINS, text, severity=severity)
    losses = [op for op in call.ops if training(op) == "loss"]
    if losses and not updates:
        yield Said(kinds.TRAINS, f"a request computes a loss ({listed(losses)})", severity=Severity.NOTE)


def _unused(graph: MetaGraph, file: str) -> Iterator[Finding]:
    """Operations of the training that no signature reaches; nothing is said where that is not known."""
    reached = requested(graph)
    if reached is None:
        return
    idle = [op for op in graph.ops if op not in reached and training(op) in ("optimizer", "loss")]
    if idle:
        count = sum(graph.ops[op] for op in idle)
        yield kinds.TRAINS.at(
            file,
            f"The operations of a training lie in the graph ({listed(idle)}, {count:,} in all), and no signature runs them.",
            severity=Severity.NOTE,
        )


def _unfed(graph: MetaGraph, file: str) -> Iterator[Finding]:
    """An error where no signature is left that a request could use."""
    lacking = {key: call.unfed for key, call in graph.calls.items() if call.unfed}
    severity = Severity.ERROR if lacking.keys() == graph.callable_signatures.keys() else Severity.WARNING
    for unfed in dict.fromkeys(lacking.values()):
        keys = [key for key, names in lacking.items() if names == unfed]
        yield kinds.UNFED.at(
            file,
            f"{', '.join(keys)}: every request fails, because it needs {listed(unfed)}, which the signature does not feed.",
            severity=severity,
        )
