"""TensorFlow for the modules that write models: imported on use, and without its remarks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cpr.errors import MissingExtra


def tensorflow() -> Any:
    """The module; ``MissingExtra`` where it is not installed."""
    try:
        import tensorflow as tf
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        raise MissingExtra("tensorflow", "Exporting a model") from None
    return tf


def saved_model_message() -> Any:
    """An empty ``SavedModel`` of protobuf."""
    tensorflow()
    from tensorflow.core.protobuf import saved_model_pb2

    return saved_model_pb2.SavedModel()


def variable_message() -> Any:
    """The class ``VariableDef`` of protobuf."""
    tensorflow()
    from tensorflow.core.framework import variable_pb2

    return variable_pb2.VariableDef


def copied(message: Any) -> Any:
    """A message that stays as it is when the one that held it changes."""
    return type(message).FromString(message.SerializeToString())


def parsed_text(text: str, message: Any) -> Any:
    """``message`` filled from protobuf's text form; ``ValueError`` where it is not of that type."""
    from google.protobuf import text_format

    try:
        return text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise ValueError(str(error)) from None


def checkpoint_state(folder: Path) -> str | None:
    """The path of the last checkpoint of a training, as it noted it; it may be another machine's."""
    state = tensorflow().train.get_checkpoint_state(str(folder))
    return None if state is None else str(state.model_checkpoint_path)


def scalars(files: Iterable[Path], tag: str) -> tuple[dict[int, float], set[str]]:
    """The values of a scalar in event files, by step, the last one written of each; and the tags of all scalars there.

    ``tag`` may be the last part of the written one (``loss`` for ``validation/loss``, ``epoch_loss``). A file that is cut short
    counts as far as it goes.
    """
    with quiet() as tf:
        values: dict[int, float] = {}
        tags: set[str] = set()
        for file in files:
            try:
                for event in tf.compat.v1.train.summary_iterator(str(file)):
                    for value in event.summary.value:
                        number = _scalar(tf, value)
                        if number is not None:
                            tags.add(value.tag)
                            if value.tag == tag or value.tag.endswith((f"/{tag}", f"epoch_{tag}")):
                                values[event.step] = number
            except tf.errors.DataLossError:
                continue
        return values, tags


def _scalar(tf: Any, value: Any) -> float | None:
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if value.HasField("tensor") and not value.tensor.tensor_shape.dim and tf.as_dtype(value.tensor.dtype).is_floating:
        return float(tf.make_ndarray(value.tensor))
    return None


@contextmanager
def quiet() -> Iterator[Any]:
    """TensorFlow, whose loggers say errors alone as long as this lasts."""
    tf = tensorflow()
    loggers = (tf.get_logger(), logging.getLogger("absl"))

    def grave(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    for logger in loggers:
        logger.addFilter(grave)
    try:
        yield tf
    finally:
        for logger in loggers:
            logger.removeFilter(grave)
