"""A SavedModel in memory: loaded once, then run by rows, by arrays, or by the names of its tensors.

What a routine does around its model is not part of it; ``cpr.runtime.load`` loads a routine.
"""

from __future__ import annotations

import difflib
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from cpr.errors import CprError, ModelError, RequestError
from cpr.interface.choosing import choose_signature
from cpr.interface.locate import GRAPH_NAMES, find_saved_model, is_saved_model, search
from cpr.manifest import MANIFEST_NAME
from cpr.project import is_project
from cpr.report import Severity
from cpr.saved_model import kinds
from cpr.storage import is_uri

if TYPE_CHECKING:
    from cpr.explaining.values import Attribution
    from cpr.interface._session import SessionModel
    from cpr.interface._signature import Signature
    from cpr.interface._tensorflow import Model
    from cpr.interface.columns import Tensor

_DEADLINE, _NOT_FOUND, _FAILED_PRECONDITION, _UNIMPLEMENTED = 4, 5, 9, 12
"""Codes of TensorFlow's errors (``tensorflow/tsl/protobuf/error_codes.proto``) that no other values would avoid."""

_LONGEST = 60
"""Seconds that a row of zeros may take: as long as the platform waited for an answer."""

_OF_FILES = (
    kinds.GRAPH_UNREADABLE,
    kinds.LFS_POINTER,
    kinds.WEIGHTS_MISSING,
    kinds.WEIGHTS_CUT,
    kinds.INDEX_UNREADABLE,
    kinds.ASSET_MISSING,
    kinds.OTHER_FORM,
    kinds.WEIGHTS_ALTERED,
    kinds.FOREIGN_WEIGHTS,
)
_OF_OPERATIONS = (kinds.NEWER_OPERATION, kinds.CUSTOM_OPERATION)


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """Whether a signature runs. ``ok`` is ``None`` where that could not be found out; ``cause`` says why, or what failed."""

    signature: str
    ok: bool | None
    cause: str = ""


class LoadedModel:
    """A SavedModel, ready to run. Close it, or use it in a ``with`` statement, to let go of its memory early.

    ``path`` is its folder, ``tags`` are those of its MetaGraph. ``loader`` says how it was loaded: ``object``
    (``tf.saved_model.load``) or ``session`` (a graph in a session, as TensorFlow 1 has it), and ``reason`` why it is a session
    where that was left to this package. ``signatures`` are those that can be called, by name, each with its ``inputs`` and
    ``outputs``. Several threads may run it at once.
    """

    def __init__(self, path: Path, model: Model) -> None:
        self.path = path
        self.tags: tuple[str, ...] = model.tags
        self.loader: str = model.loader
        self.reason: str = model.reason
        self.signatures: Mapping[str, Signature] = model.signatures
        self._model = model
        self._second: SessionModel | None = None
        self._closed = False
        self._lock = threading.Lock()

    def __enter__(self) -> LoadedModel:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the sessions. A second call does nothing; a model loaded as objects still runs, until nobody refers to it."""
        with self._lock:
            self._closed = True
            self._model.close()
            if self._second is not None:
                self._second.close()

    @property
    def module(self) -> Any:
        """The restored root object: its functions, its variables, its ``signatures``. ``ModelError`` where there are none."""
        root = getattr(self._model, "module", None)
        if root is None:
            why = f" ({self.reason})" if self.reason else ""
            raise ModelError(
                f"The model is a graph in a session, so it has no Python objects{why}.",
                "Call its signatures, run its tensors by name with run(feeds, fetches), or take its session.",
                str(self.path),
            )
        return root

    @property
    def session(self) -> Any:
        """The ``tf.compat.v1.Session`` that ``run`` uses, with its ``graph``; its variables are not those of ``module``."""
        return self._in_session().session

    def signature(self, name: str | None = None) -> Signature:
        """The signature of a name, else the only one, else ``serving_default``. ``RequestError`` where there is none."""
        return self.signatures[choose_signature(self.signatures, name)]

    def predict(self, instances: Sequence[Any], signature_name: str | None = None) -> list[Any]:
        """One row for each instance, as the platform answers ``{"instances": […]}``.

        An instance is a bare value where the signature has one input, otherwise ``{input name: value}``; bytes are
        ``{"b64": text}``. A row is bare where the signature has one output; bytes come as ``{"b64": text}`` from an output
        whose name ends in ``_bytes``. ``RequestError`` for instances that do not fit, ``ModelError`` for what cannot be sent.
        """
        from cpr.interface import rows

        if not isinstance(instances, (list, tuple)):
            kind = type(instances).__name__
            raise RequestError(f"The instances are a {kind}, not a list.", "Pass a list of rows, or arrays to call().")
        signature = self.signature(signature_name)
        if not instances:
            return []
        tensors = rows.to_tensors(list(instances), signature.inputs, len(instances))
        return rows.to_rows(signature.run(tensors), len(instances))

    def explain(self, instances: Sequence[Any], signature_name: str | None = None, **choices: Any) -> list[list[Attribution]]:
        """What each input adds to the row of each instance: its explained outputs, one of them unless ``top_k`` asks for more.

        ``choices`` are those of :mod:`cpr.explaining.asked`: ``method``, ``steps``, ``output``, ``baselines`` and so on.
        ``RequestError`` where the method cannot explain the signature, and for instances that do not fit.
        """
        from cpr.explaining.asked import parsed
        from cpr.explaining.attributing import attribute
        from cpr.interface import rows

        signature = self.signature(signature_name)
        tensors = rows.to_tensors(list(instances), signature.inputs, len(instances)) if len(instances) else {}
        return attribute(signature, tensors, parsed(choices), self.path)

    def call(self, inputs: Mapping[str, Any], signature: str | None = None) -> dict[str, Any]:
        """Output arrays by name for input arrays by name, whole, with their batch dimension.

        An input is an array, or nested lists; it must fit its type without loss (``cpr.interface.columns`` has the rules).
        Strings go in as text or bytes, and come out as bytes in an array of dtype object.
        """
        chosen = self.signature(signature)
        if not isinstance(inputs, Mapping):
            raise RequestError("The inputs are no mapping of names to arrays.", f"Pass {_sketch(chosen.inputs)}.")
        _check_names(inputs, chosen)
        return chosen.run({tensor.name: _fitted(inputs[tensor.name], tensor, "input") for tensor in chosen.inputs})

    def run(self, feeds: Mapping[str, Any], fetches: Any) -> Any:
        """The values of tensors of the graph, by name as in a session of TensorFlow 1: ``run({"x:0": [1.0]}, ["y:0"])``.

        ``fetches`` is one name, a list or a mapping of names, and the values come in the same form. The first call on a model
        that was loaded as objects loads it once more, into a session. ``RequestError`` for a name that the graph does not have.
        """
        model = self._in_session()
        graph = model.session.graph
        names = [fetches] if isinstance(fetches, str) else list(fetches.values() if isinstance(fetches, Mapping) else fetches)
        tensors = [_element(graph, name, self.signatures) for name in names]
        fed = {_element(graph, name, self.signatures, feed=True): value for name, value in feeds.items()}
        values = model.run(tensors, {tensor: _fitted(value, _spec(tensor), "tensor") for tensor, value in fed.items()})
        if isinstance(fetches, str):
            return values[0]
        return dict(zip(fetches, values, strict=True)) if isinstance(fetches, Mapping) else values

    def check(self) -> tuple[SignatureCheck, ...]:
        """Run every signature on zeros: a model may load and still not run.

        Unknown dimensions are 1, texts are empty. Values that a graph refuses prove nothing, so only what no other values
        would avoid counts as failed: an operation without a kernel here, variables or tables that nobody has filled, a
        placeholder that the signature does not feed, an input queue whose next element never comes. What TensorFlow 1 wrote
        is run in a session, as servers run it: loading it as objects fills tables that its export forgot.
        """
        in_session = getattr(self._model, "is_tf1", False)
        signatures = self._in_session().signatures if in_session else self.signatures
        return tuple(_checked(signature) for signature in signatures.values())

    def _in_session(self) -> SessionModel:
        from cpr.interface._session import SessionModel, closed

        if isinstance(self._model, SessionModel):
            return self._model
        with self._lock:
            if self._closed:
                raise closed(str(self.path))
            if self._second is None:
                second = _load(self.path, self.tags, "session")
                assert isinstance(second, SessionModel)
                self._second = second
            return self._second


def load_model(path: Path | str, tags: Iterable[str] | str | None = None, loader: str = "auto") -> LoadedModel:
    """Load the SavedModel in a folder: at its root, or the only one below. Any TensorFlow may have written it, 1 or 2.

    ``tags`` name the MetaGraph (default: the only one, else the one with the tag ``serve`` alone). ``loader`` is ``object``,
    ``session``, or ``auto``: objects where they can be restored, else the session. ``ModelError`` says what is wrong with the
    files first, and only then what TensorFlow says.
    """
    folder = _folder(path)
    return LoadedModel(folder, _load(folder, tags, loader))


def saved_model_folder(path: Path | str) -> Path:
    """The folder of the SavedModel that a path means: itself, or the only one below. ``ModelError`` where there is none."""
    return _folder(path)


def true_cause(folder: Path, error: ModelError) -> ModelError:
    """What the folder of the SavedModel that TensorFlow failed to load tells of the cause, or ``error`` itself.

    The files come first, then operations that this TensorFlow does not have.
    """
    if error.__cause__ is None:  # not TensorFlow's words: a choice that cannot be made
        return error
    from cpr.saved_model.survey import survey

    version = str(getattr(sys.modules.get("tensorflow"), "__version__", ""))
    try:
        findings = survey(folder, tensorflow=version or None).findings
    except CprError:
        return error
    of_files, of_operations = ({kind.id for kind in some} for some in (_OF_FILES, _OF_OPERATIONS))
    broken = [finding for finding in findings if finding.severity is Severity.ERROR and finding.check in of_files]
    lacking = [finding for finding in findings if finding.check in of_operations and "no operation" in error.message]
    for finding in broken + lacking:
        place = "" if finding.where == "." else f"{finding.where}: "
        return ModelError(f"The SavedModel {folder} cannot be loaded. {place}{finding.message}", finding.remedy, str(folder))
    return error


def _load(folder: Path, tags: Iterable[str] | str | None, loader: str) -> Model:
    from cpr.interface import _tensorflow

    try:
        return _tensorflow.load(str(folder), tags, loader)
    except ModelError as error:
        found = true_cause(folder, error)
        if found is error:
            raise
        raise found from error.__cause__


def _folder(path: Path | str) -> Path:
    if is_uri(str(path)):
        raise ModelError(f"{path} is not on this machine.", "Copy the folder here first, and name the copy.", str(path))
    place = Path(path)
    if place.name in GRAPH_NAMES and place.is_file():
        place = place.parent
    if place.is_file():
        raise ModelError(
            f"{place} is a file, not a SavedModel's folder.",
            "Name the folder that holds saved_model.pb. A Keras file becomes one by keras.models.load_model(file).export(dir).",
            str(place),
        )
    kind = "bundle" if (place / MANIFEST_NAME).is_file() else "routine" if is_project(place) else None
    if kind is not None:
        raise ModelError(
            f"{place} is a {kind}: Python code may stand around its model.",
            f"Name {place / 'model'}, or the folder in it that holds saved_model.pb, to run the model alone.",
            str(place),
        )
    found = search(place) if place.is_dir() and not is_saved_model(place) else []
    if len(found) > 1:
        listed = ", ".join(found)
        raise ModelError(
            f"There are {len(found)} SavedModels in {place}: {listed}.", f"Name one: {place / found[-1]}.", str(place)
        )
    return Path(find_saved_model(str(place))).absolute()


# Names


def _check_names(given: Iterable[Any], signature: Signature) -> None:
    names = [tensor.name for tensor in signature.inputs]
    listed = ", ".join(_spelt(tensor) for tensor in signature.inputs) or "none"
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(str(name), names, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            what = f"The signature {signature.name!r} has no input {name!r}; its inputs are: {listed}."
            raise RequestError(what, f"{hint}Name the inputs as the signature does.")
    for name in names:
        if name not in given:
            what = f"The input {name!r} of the signature {signature.name!r} is missing; its inputs are: {listed}."
            raise RequestError(what, "Pass a value for each.")


def _spelt(tensor: Tensor) -> str:
    from cpr.interface.columns import spell

    return f"{tensor.name} ({tensor.dtype}{'' if tensor.shape is None else ' ' + spell(tensor.shape)})"


def _sketch(inputs: Sequence[Tensor]) -> str:
    return "{" + ", ".join(f"{tensor.name!r}: …" for tensor in inputs) + "}"


def _element(graph: Any, name: Any, signatures: Mapping[str, Signature], feed: bool = False) -> Any:
    """The tensor of a name; to be fetched, also an operation that has none."""
    try:
        element = graph.as_graph_element(str(name))
    except (KeyError, ValueError):
        raise _unknown(graph, str(name), signatures) from None
    outputs = [tensor.name for tensor in getattr(element, "outputs", [])]
    if outputs or (feed and not hasattr(element, "dtype")):
        own = f"its tensors are {', '.join(outputs)}" if outputs else "it has no tensor"
        raise RequestError(f"{name!r} is an operation; {own}.", "Name a tensor: operation:number.")
    return element


def _unknown(graph: Any, name: str, signatures: Mapping[str, Signature]) -> RequestError:
    names = [tensor.name for operation in graph.get_operations() for tensor in operation.outputs]
    bare = name.partition(":")[0]
    near = [each for each in names if each.partition(":")[0].endswith((f"_{bare}", f"/{bare}")) or each == f"{bare}:0"][:3]
    near += [each for each in difflib.get_close_matches(name, names, n=3, cutoff=0.5) if each not in near]
    remedy = (
        f"Near it are: {', '.join(near)}." if near else f"The graph has, among {len(names)} others: {', '.join(names[:3])}."
    )
    if signatures:
        remedy += " call() takes the names of a signature instead."
    return RequestError(f"The graph has no tensor {name!r}.", remedy)


# Values


def _spec(tensor: Any) -> Tensor:
    from cpr.interface._signature import shape_of
    from cpr.interface.columns import Tensor

    return Tensor(tensor.name, tensor.dtype.base_dtype.name, shape_of(tensor.shape))


def _fitted(value: Any, tensor: Tensor, role: str) -> Any:
    from cpr.interface.columns import Misfit, spell, whole

    try:
        return whole(value, tensor)
    except Misfit as misfit:
        wanted = tensor.dtype if tensor.shape is None else f"{tensor.dtype} {spell(tensor.shape)}"
        raise RequestError(f"The {role} {tensor.name!r}: {misfit}.", f"Pass {wanted}.") from None


def _checked(signature: Signature) -> SignatureCheck:
    feeds = {tensor.name: _zeros(tensor) for tensor in signature.inputs}
    for tensor in (*signature.inputs, *signature.outputs):
        if _is_composite(tensor) or feeds.get(tensor.name, 0) is None:
            return SignatureCheck(signature.name, None, f"not tried: {tensor.name!r} is of type {tensor.dtype}")
    try:
        signature.run(feeds, _LONGEST * 1000)
    except (ModelError, RequestError) as error:
        if getattr(error.__cause__, "error_code", None) == _DEADLINE:
            cause = f"no answer within {_LONGEST} seconds, as where it waits for an input queue that only the training fills"
            return SignatureCheck(signature.name, False, cause)
        if _proves(error, signature):
            return SignatureCheck(signature.name, False, error.message)
        return SignatureCheck(signature.name, None, f"not proved: it does not take zeros. {error.message}")
    return SignatureCheck(signature.name, True)


def _zeros(tensor: Tensor) -> Any:
    """``None`` where there is no such array."""
    import numpy as np

    shape = (1,) if tensor.shape is None else tuple(1 if size is None else size for size in tensor.shape)
    if tensor.dtype == "string":
        return np.full(shape, b"", object)
    try:
        return np.zeros(shape, np.float32 if tensor.dtype == "bfloat16" else tensor.dtype)
    except TypeError:
        return None


def _is_composite(tensor: Tensor) -> bool:
    return tensor.dtype[:1].isupper()  # named after a class of Python, where a type of TensorFlow's is in small letters


def _proves(error: ModelError | RequestError, signature: Signature) -> bool:
    """Whether the model itself is at fault, and not the zeros."""
    from cpr.interface._failures import is_own_fault

    if error.__cause__ is None:
        return False
    if is_own_fault(error.__cause__):
        return True
    code = getattr(error.__cause__, "error_code", None)
    if code == _NOT_FOUND and any(tensor.dtype == "string" for tensor in signature.inputs):
        return "No such file" not in str(error.__cause__)  # an empty text names no file
    return code in (_NOT_FOUND, _FAILED_PRECONDITION, _UNIMPLEMENTED)
