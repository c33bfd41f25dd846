"""TensorFlow, and nothing else: the module that imports it when a model is loaded. Gradients have one of their own.

TensorFlow 1.15 and 2.x; run with 1.15, 2.9, 2.11, 2.15 and 2.21. SavedModels written by any of them load, if the operations in
them are there.
"""

import logging
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple, Union

from cpr.errors import MissingExtra, ModelError
from cpr.interface._failures import cause, load_error
from cpr.interface._objects import ObjectModel
from cpr.interface._session import SessionModel
from cpr.interface.choosing import Tags, choose_tags
from cpr.interface.graph_file import AGAIN, GRAPH_NAME, read_tags, unready_file

Model = Union[ObjectModel, SessionModel]
"""A loaded SavedModel: ``signatures`` by name, ``loader`` (``object`` or ``session``) and why it was this one, ``close()``."""

_LOADERS: Dict[str, Any] = {"object": ObjectModel, "session": SessionModel}


def load(path: str, tags: Optional[Iterable[str]] = None, loader: str = "auto") -> Model:
    """Load the SavedModel at ``path``; ``tags`` pick the MetaGraph where there are several.

    ``loader`` is ``object``, ``session`` or ``auto``: the first, and where it fails, the second. Python objects that cannot be
    restored are no obstacle to running the graph: a Keras model with an optimizer that this TensorFlow does not know, a
    signature of TensorFlow 1 that leaves out a placeholder. Without eager execution there is only the session.

    Raises :class:`~cpr.errors.ModelError` where TensorFlow cannot, :class:`~cpr.errors.MissingExtra` where it is
    not installed.
    """
    unready = unready_file(path)
    if unready is not None:
        raise unready
    tf = tensorflow("Loading the SavedModel {}".format(path))
    kinds = _kinds(tf, path, loader)
    chosen = choose_tags(_tags(path), tags, path)
    errors: List[Exception] = []
    for kind in kinds:
        try:
            with _quiet(tf):
                model: Model = _LOADERS[kind](tf, path, chosen)
        except Exception as error:  # a damaged or foreign model makes TensorFlow raise nearly anything
            traceback.clear_frames(error.__traceback__)  # what was half restored need not wait for the other loader
            errors.append(error)
            if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
                break
        else:
            model.reason = cause(errors[0]) if errors else ""
            return model
    raise load_error(tf.__version__, path, errors) from errors[0]


def tensorflow(needed_for: str) -> Any:
    """The module; :class:`~cpr.errors.MissingExtra` where it is not installed."""
    try:
        import tensorflow as tf
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        raise MissingExtra("tensorflow", needed_for) from None
    return tf


@contextmanager
def _quiet(tf: Any) -> Iterator[None]:
    """Leave out TensorFlow's remarks, one for every reference variable of TensorFlow 1 and every input whose name Python would
    not take; what goes wrong is raised."""
    loggers = (tf.get_logger(), logging.getLogger("absl"))

    def grave(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    for logger in loggers:  # a filter of its own: several threads may load at once, and the level stays its owner's
        logger.addFilter(grave)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(grave)


def _kinds(tf: Any, path: str, loader: str) -> Tuple[str, ...]:
    objects = tf.executing_eagerly() and not tf.__version__.startswith("1.")
    if loader == "auto":
        return ("object", "session") if objects else ("session",)
    if loader not in _LOADERS:
        raise ModelError("There is no loader {!r}.".format(loader), "Choose one: auto, object or session.", path)
    if loader == "object" and not objects:
        raise ModelError(
            "The object loader needs TensorFlow 2 and eager execution; this is {}.".format(tf.__version__),
            "Take the session loader, or leave the choice to `auto`.",
            path,
        )
    return (loader,)


def _tags(path: str) -> List[Tags]:
    if (Path(path) / GRAPH_NAME).is_file():
        return read_tags(path)
    # The text form is rare, and TensorFlow's own parser the only one at hand.
    from tensorflow.python.saved_model.loader_impl import parse_saved_model

    try:
        return [tuple(graph.meta_info_def.tags) for graph in parse_saved_model(path).meta_graphs]
    except Exception as error:  # of TensorFlow's, the file system's and protobuf's, by version
        raise ModelError(
            "The SavedModel {} cannot be read: {}".format(path, str(error).strip().partition("\n")[0]),
            AGAIN,
            path,
        ) from error
