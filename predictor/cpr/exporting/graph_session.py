"""A graph in a session with its weights: to ask it, and to write it as a SavedModel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpr.exporting.graph_rewiring import Served
from cpr.exporting.graph_weights import Value, attach, load
from cpr.exporting.wanted import PREDICT

_INIT = "export/init"


class GraphSession:
    """``inputs`` and ``outputs`` are its tensors, by the names of the signature. ``ValueError`` for shapes that clash."""

    def __init__(self, tf: Any, served: Served, weights: Value, feeds: Mapping[str, Any] | None = None) -> None:
        self._tf = tf
        self._served = served
        self._constants = dict(feeds or {})
        meta = tf.compat.v1.MetaGraphDef()
        meta.graph_def.CopyFrom(served.graph)
        slots = attach(tf, meta)
        self.graph = tf.Graph()
        with self.graph.as_default():
            tf.compat.v1.train.import_meta_graph(meta)
            initializers = [self.graph.get_operation_by_name(name) for name in served.initializers]
            self._init = tf.group(*initializers, name=_INIT) if initializers else None
        self.inputs = {key: self.graph.get_tensor_by_name(name) for key, name in served.inputs.items()}
        self.outputs = {key: self.graph.get_tensor_by_name(name) for key, name in served.outputs.items()}
        self._session = tf.compat.v1.Session(graph=self.graph, config=tf.compat.v1.ConfigProto(allow_soft_placement=True))
        load(self._session, slots, weights)
        if self._init is not None:
            self._session.run(self._init)

    def tensor(self, name: str) -> Any:
        """A tensor of the graph."""
        return self.graph.get_tensor_by_name(name)

    def __call__(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        feeds = {self.inputs[key]: array for key, array in arrays.items()}
        feeds |= {self.tensor(name): value for name, value in self._constants.items()}
        answered: dict[str, Any] = self._session.run(self.outputs, feeds)
        return answered

    def write(self, folder: Path, key: str, assets: tuple[str, ...]) -> None:
        """Write the SavedModel with the one signature ``key``."""
        tf = self._tf
        info = tf.compat.v1.saved_model.build_tensor_info
        builder = tf.compat.v1.saved_model.Builder(str(folder))
        with self.graph.as_default():
            signature = tf.compat.v1.saved_model.build_signature_def(
                {name: info(tensor) for name, tensor in self.inputs.items()},
                {name: info(tensor) for name, tensor in self.outputs.items()},
                PREDICT,
            )
            builder.add_meta_graph_and_variables(
                self._session,
                ["serve"],
                {key: signature},
                assets_collection=[self.tensor(name) for name in assets],
                main_op=self._init,
                strip_default_attrs=True,
            )
        builder.save()
