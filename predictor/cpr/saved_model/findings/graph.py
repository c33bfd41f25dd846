"""CPR603, CPR608 to CPR610 and CPR612: saved_model.pb, and what it names."""

from __future__ import annotations

from collections.abc import Iterator

from cpr.errors import ModelError
from cpr.report import Finding
from cpr.saved_model import kinds
from cpr.saved_model.findings.served import served
from cpr.saved_model.reader import PB_NAME, PBTXT_NAME, MetaGraph
from cpr.saved_model.tree import Tree

_HEAD = 4096
_TEXT_FIELDS = (b"saved_model_schema_version", b"meta_graphs")


def graph_file(tree: Tree) -> str:
    """The file that loaders read: the binary form where both are there."""
    return PB_NAME if tree.has(PB_NAME) else PBTXT_NAME


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
