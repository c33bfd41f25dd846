"""The session loader: a graph of its own in a session, as TensorFlow 1 and AI Platform's own server run every SavedModel.

It knows nothing of Python objects, so it also loads models whose objects cannot be restored.
"""

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from cpr.errors import ModelError
from cpr.interface._failures import run_error
from cpr.interface._signature import HOOKS, Signature, dense, not_dense, shape_of
from cpr.interface.columns import Tensor


class SessionSignature(Signature):
    """A signature as tensors of the graph: ``feeds`` by input name, ``fetches`` by output name."""

    def __init__(self, tf: Any, name: str, session: Any, sides: Tuple[Dict[str, Any], Dict[str, Any]]) -> None:
        self._feeds, self._fetches = sides
        super().__init__(tf, name, _tensors(self._feeds), _tensors(self._fetches))
        self._session = session

    def _run(self, arrays: Mapping[str, Any], longest: int) -> Dict[str, Any]:
        names = sorted(self._fetches)
        for name in names:
            if isinstance(self._fetches[name], str):
                raise not_dense(name, self._fetches[name])
        feeds = {tensor: arrays[name] for name, tensor in self._feeds.items()}
        options = self._tf.compat.v1.RunOptions(timeout_in_ms=longest) if longest else None
        values = _run(self._session, [self._fetches[name] for name in names], feeds, options)
        return {name: dense(value) for name, value in zip(names, values)}


class SessionModel:
    """A SavedModel in a session. Its graph is finished: no thread can change it. ``session`` is a ``tf.compat.v1.Session``."""

    loader = "session"
    reason = ""
    """Why it was not the object loader, where that was tried first."""

    def __init__(self, tf: Any, path: str, tags: Sequence[str]) -> None:
        self._tf = tf
        self.tags = tuple(tags)
        v1 = tf.compat.v1
        graph = v1.Graph()
        # A model that names a device which is not here runs on one that is, as with the object loader.
        self.session = v1.Session(graph=graph, config=v1.ConfigProto(allow_soft_placement=True))
        try:
            load = v1.saved_model.loader.load
            load = getattr(load, "__wrapped__", load)  # which leaves out the advice to use the other loader
            meta_graph = load(self.session, list(tags), path)
            graph.finalize()
        except BaseException:
            self.session.close()
            raise
        self.signatures = _signatures(tf, self.session, meta_graph)

    def run(self, fetches: Sequence[Any], feeds: Mapping[Any, Any]) -> List[Any]:
        """The values of tensors of the graph, and ``None`` for each operation; ``feeds`` maps tensors to arrays.

        Errors as those of a signature.
        """
        try:
            values = _run(self.session, fetches, feeds)
        except self._tf.errors.OpError as error:
            raise run_error(self._tf, "the tensors asked for", error) from error
        return [None if value is None else dense(value) for value in values]

    def close(self) -> None:
        """Let go of the variables and tables. What runs afterwards is refused."""
        self.session.close()


def _run(session: Any, fetches: Sequence[Any], feeds: Mapping[Any, Any], options: Any = None) -> List[Any]:
    try:
        fed = {tensor: _fitting(array, tensor) for tensor, array in feeds.items()}
        values: List[Any] = session.run(fetches, fed, options)
        return values
    except RuntimeError as error:
        if "closed Session" not in str(error):
            raise
        raise closed() from None


def closed(path: str = "") -> ModelError:
    """The error of a model that runs no more."""
    return ModelError("The model was closed.", "Load it again, or close it after its last use.", path)


def _signatures(tf: Any, session: Any, meta_graph: Any) -> Dict[str, Signature]:
    """Those whose tensors are in the graph: the platform, too, leaves out the others."""
    expand = not meta_graph.HasField("object_graph_def")
    signatures: Dict[str, Signature] = {}
    for name in sorted(meta_graph.signature_def):
        definition = meta_graph.signature_def[name]
        if name in HOOKS:
            continue
        try:
            sides = (_side(session.graph, definition.inputs, expand), _side(session.graph, definition.outputs, False))
        except (KeyError, ValueError):
            continue
        signatures[name] = SessionSignature(tf, name, session, sides)
    return signatures


def _side(graph: Any, infos: Mapping[str, Any], expand: bool) -> Dict[str, Any]:
    """The tensors of all inputs, or of all outputs, by name. Text in place of one that is made of several: its kind.

    With ``expand`` the parts of such a one are inputs of their own, under the names that the object loader gives them.
    """
    tensors: Dict[str, Any] = {}
    for name, info in infos.items():
        parts = _parts(info)
        if parts and expand:
            tensors.update(("{}_{}".format(name, part), graph.get_tensor_by_name(place)) for part, place in parts)
        else:
            tensors[name] = _kind(info) if parts else graph.get_tensor_by_name(info.name)
    return tensors


def _parts(info: Any) -> List[Tuple[str, str]]:
    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        sparse = info.coo_sparse
        return [
            ("indices", sparse.indices_tensor_name),
            ("values", sparse.values_tensor_name),
            ("dense_shape", sparse.dense_shape_tensor_name),
        ]
    if encoding == "composite_tensor":
        return [("component_{}".format(index), part.name) for index, part in enumerate(info.composite_tensor.components)]
    return []


def _kind(info: Any) -> str:
    if info.WhichOneof("encoding") == "coo_sparse":
        return "SparseTensor"
    spec = info.composite_tensor.type_spec
    words = spec.DESCRIPTOR.enum_types_by_name["TypeSpecClass"].values_by_number[spec.type_spec_class].name.split("_")
    return "".join(word.title() for word in words if word != "SPEC")


def _tensors(side: Mapping[str, Any]) -> List[Tensor]:
    return [_tensor(name, side[name]) for name in sorted(side)]


def _tensor(name: str, tensor: Any) -> Tensor:
    if isinstance(tensor, str):
        return Tensor(name, tensor, None)
    return Tensor(name, tensor.dtype.base_dtype.name, shape_of(tensor.shape))


def _fitting(array: Any, tensor: Any) -> Any:
    """``array`` in the type of the tensor: bfloat16 comes as float32, because NumPy itself does not know it."""
    if tensor.dtype.base_dtype.name == "bfloat16":
        return array.astype(tensor.dtype.as_numpy_dtype)
    return array
