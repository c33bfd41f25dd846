"""CPR603, CPR608 to CPR610 and CPR612: saved_model.pb, and what it names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from cpr.errors import ModelError
from cpr.report import Finding, Severity
from cpr.saved_model import kinds
from cpr.saved_model.graph import Call
from cpr.saved_model.reader import PB_NAME, PBTXT_NAME, MetaGraph, Signature
from cpr.saved_model.tree import Tree

_HEAD = 4096
_TEXT_FIELDS = (b"saved_model_schema_version", b"meta_graphs")


def graph_file(tree: Tree) -> str:
    """The file that loaders read: the binary form where both are there."""
    return PB_NAME if tree.has(PB_NAME) else PBTXT_NAME


def served(graphs: tuple[MetaGraph, ...]) -> tuple[MetaGraph, ...]:
    """The graphs that a server could load: that with the one tag ``serve``; else those that have it among others; else all."""
    alone = tuple(graph for graph in graphs if set(graph.tags) == {"serve"})
    return alone or tuple(graph for graph in graphs if "serve" in graph.tags) or graphs


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


def unreadable(tree: Tree, error: ModelError) -> Finding:
    """CPR603, or CPR612 where the file would be fine under the other name."""
    name = graph_file(tree)
    head = tree.head(name, _HEAD)
    if name == PB_NAME and _is_text(head):
        return kinds.OTHER_FORM.at(name, f"This is the text form, and {PB_NAME} is read as binary.", _rename(PBTXT_NAME))
    if name == PBTXT_NAME and _is_binary(head):
        return kinds.OTHER_FORM.at(name, f"This is the binary form, and {PBTXT_NAME} is read as text.", _rename(PB_NAME))
    return kinds.GRAPH_UNREADABLE.at(name, error.message, error.remedy)


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and any(field in head for field in _TEXT_FIELDS)


def _is_binary(head: bytes) -> bool:
    """The first field is the version, which is 1, and the second a graph; some writers leave the version out."""
    return head.startswith((b"\x08\x01\x12", b"\x12")) and b"\0" in head


def _rename(name: str) -> str:
    return f"Rename the file to {name}."


def findings(tree: Tree, graphs: tuple[MetaGraph, ...]) -> Iterator[Finding]:
    """CPR608 to CPR610."""
    if not any("serve" in graph.tags for graph in graphs):
        tags = "; ".join(", ".join(graph.tags) or "none" for graph in graphs)
        yield kinds.NO_SERVE_TAG.at(".", f"No graph has the tag `serve`, which servers ask for; the tags are: {tags}.")
    if not any(graph.callable_signatures for graph in served(graphs)):
        yield kinds.NO_SIGNATURE.at(".", _unsigned(graphs))
    for name in dict.fromkeys(name for graph in graphs for name in graph.assets):
        if not tree.has(f"assets/{name}"):
            yield kinds.ASSET_MISSING.at(f"assets/{name}", "The graph reads this asset, and it is not there.")


def _unsigned(graphs: tuple[MetaGraph, ...]) -> str:
    message = "The model has no signature, so no request can name what to run."
    elsewhere = [graph for graph in graphs if graph.callable_signatures]
    if elsewhere:
        tags = ", ".join(elsewhere[0].tags) or "without tags"
        return f"{message} Only the graph [{tags}], which servers do not load, has signatures."
    if any(graph.signatures for graph in served(graphs)):
        return f"{message} It has only the hook that initialises it, {', '.join(served(graphs)[0].signatures)}."
    return message
