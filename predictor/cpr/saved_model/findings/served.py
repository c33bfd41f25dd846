"""What servers load of a model, and what rules say of each signature in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from cpr.report import Finding, Severity
from cpr.saved_model import kinds
from cpr.saved_model.graph import Call
from cpr.saved_model.reader import MetaGraph, Signature


def served(graphs: tuple[MetaGraph, ...]) -> tuple[MetaGraph, ...]:
    """The graphs that a server could load: that with the one tag ``serve``; else those that have it among others; else all."""
    alone = tuple(graph for graph in graphs if set(graph.tags) == {"serve"})
    return alone or tuple(graph for graph in graphs if "serve" in graph.tags) or graphs


def requested(graph: MetaGraph) -> set[str] | None:
    """The operations that requests run; ``None`` where there is a signature of which that is not known."""
    if graph.callable_signatures.keys() - graph.calls.keys():
        return None
    return {op for call in graph.calls.values() for op in call.ops}


class Said(NamedTuple):
    """A finding about a signature, before it is known which ones it is about; the text is a part of a sentence."""

    kind: kinds.Kind
    text: str
    remedy: str | None = None
    severity: Severity | None = None


def by_signature(
    graphs: tuple[MetaGraph, ...], file: str, rules: Callable[[str, Signature, Call | None], Iterable[Said]]
) -> Iterator[Finding]:
    """What the rules say of each signature that a server could call; what they say of several is one finding."""
    for graph in served(graphs):
        about: dict[Said, list[str]] = {}
        for key, signature in graph.callable_signatures.items():
            for said in rules(key, signature, graph.calls.get(key)):
                about.setdefault(said, []).append(key)
        for said, keys in about.items():
            yield said.kind.at(file, f"{', '.join(keys)}: {said.text}.", said.remedy, said.severity)
