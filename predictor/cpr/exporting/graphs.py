"""A graph of TensorFlow 1 becomes a SavedModel: cut to what serving needs, its weights restored, its batch freed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cpr.errors import CprError, ModelError, UsageError
from cpr.exporting import batching
from cpr.exporting._tensorflow import quiet
from cpr.exporting.graph_constants import thaw, told
from cpr.exporting.graph_ends import Ends, ends
from cpr.exporting.graph_files import read_meta_graph
from cpr.exporting.graph_rewiring import as_it_is, rewired
from cpr.exporting.graph_session import GraphSession
from cpr.exporting.graph_tables import place_files
from cpr.exporting.graph_weights import Value, Weights, refuse_variables
from cpr.exporting.recognising import INDEX, META
from cpr.exporting.wanted import Made, Wanted
from cpr.interface._failures import cause
from cpr.saved_model.reader import DEFAULT_SIGNATURE

_GRAPH_NAMES = ("graph.pbtxt", "graph.pb")
"""Where a training leaves its graph, beside the ``.meta`` of each checkpoint: ``tf.estimator``, ``tf.io.write_graph``."""


def from_checkpoint(prefix: Path, folder: Path, wanted: Wanted) -> Made:
    """From the files of a checkpoint: its ``.meta``, or the one graph in text beside it."""
    meta = prefix.with_name(prefix.name + META)
    beside = [prefix.parent / name for name in _GRAPH_NAMES if (prefix.parent / name).is_file()]
    if not meta.is_file() and not beside:
        raise ModelError(
            f"The checkpoint {prefix} has weights alone, and no {meta.name} with the graph beside it.",
            "Name the graph and the weights, `cpr export GRAPH.pb DST --checkpoint PREFIX`; or, where the code of the model is "
            "at hand, restore it in Python and call cpr.export(model, DST).",
            str(prefix),
        )
    return _make(meta if meta.is_file() else beside[0], prefix, folder, wanted)


def from_file(path: Path, folder: Path, wanted: Wanted) -> Made:
    """From a file with a graph: a frozen one, or with the weights that ``wanted.checkpoint`` names."""
    prefix = None if wanted.checkpoint is None else find_checkpoint(wanted.checkpoint, path.parent)
    return _make(path, prefix, folder, wanted)


def find_checkpoint(named: str, beside: Path) -> Path:
    """The prefix of a checkpoint by its name here, or beside another file."""
    name = named.removesuffix(INDEX).removesuffix(META)
    for prefix in (Path(name), beside / name):
        if prefix.with_name(prefix.name + INDEX).is_file():
            return prefix
    there = sorted(path.name.removesuffix(INDEX) for path in beside.glob(f"*{INDEX}"))
    remedy = f"In {beside} are: {', '.join(there)}." if there else "Name the files' common beginning, as model.ckpt-1000."
    raise UsageError(f"There is no checkpoint {named}.", remedy, "--checkpoint")


def _make(path: Path, prefix: Path | None, folder: Path, wanted: Wanted) -> Made:
    meta = read_meta_graph(path)
    chosen = ends(meta.graph_def, wanted, trained=prefix is not None)
    with quiet() as tf, _told(path):
        thawed = thaw(tf, meta.graph_def)
        needed = {node.name for node in as_it_is(meta.graph_def, chosen).graph.node}
        assets = place_files(tf, meta.graph_def, needed, path.parent)
        original = as_it_is(meta.graph_def, chosen)
        if prefix is None:
            refuse_variables(original.graph, thawed)
            weights = thawed.__getitem__
        else:
            weights = Weights(tf, original.graph, meta, prefix, thawed).value
        source = GraphSession(tf, original, weights, chosen.constants)
        final, notes, rows = _freed(tf, meta.graph_def, chosen, weights, source, wanted.keep_batch)
        final.write(folder, wanted.signature or DEFAULT_SIGNATURE, assets)
    ask = source if rows is None else batching.in_chunks(source, rows)
    return Made((*chosen.notes, *told(thawed), *notes), lambda _, arrays: ask(arrays))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turns what TensorFlow says of a damaged file or an operation that it lacks into an error for the user."""
    try:
        yield
    except CprError:
        raise
    except Exception as error:  # of TensorFlow's: ValueError, OpError, IndexError, by what is amiss
        text = str(error)
        lacks = "not registered" in text or "No Op registered" in text or "No OpKernel" in text
        remedy = (
            "An operation of another library needs that library wherever the model runs; export the graph without it."
            if lacks
            else "Copy the files again from where they came, graph and weights together."
        )
        raise ModelError(f"TensorFlow cannot run the graph: {cause(error)}", remedy, str(path)) from error


def _freed(
    tf: Any, graph: Any, ends: Ends, weights: Value, source: GraphSession, keep: bool
) -> tuple[GraphSession, list[str], int | None]:
    """The graph to write, what to tell of its batch, and the number of rows that the source is fixed to where it is not."""
    shapes = {key: _shape(tensor) for key, tensor in source.inputs.items()}
    dtypes = {key: tensor.dtype for key, tensor in source.inputs.items()}
    dtypes |= {name: source.tensor(name).dtype for name in ends.constants}
    rows, why = (None, "") if keep else batching.fixed_rows(shapes)
    if rows is not None:
        try:
            free = {key: batching.freed(shape) for key, shape in shapes.items()}
            trial = GraphSession(tf, rewired(tf, graph, ends, free, dtypes), weights)
        except ValueError as error:
            why = f"the shapes in the graph do not allow another: {cause(error)}"
        else:
            inputs = {key: (dtypes[key].base_dtype.name, shape) for key, shape in free.items()}
            outputs = {key: _shape(tensor) for key, tensor in trial.outputs.items()}
            why = batching.refused(trial, source, inputs, outputs, rows)
            if not why:
                return trial, [f"batch: free, was fixed to {rows}"], rows
    final = GraphSession(tf, rewired(tf, graph, ends, shapes, dtypes), weights)
    return final, [f"{batching.STAYS}{why}"] if why else [], None


def _shape(tensor: Any) -> tuple[int | None, ...] | None:
    return None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
