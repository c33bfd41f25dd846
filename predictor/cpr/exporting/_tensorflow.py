"""TensorFlow for the modules that write models: imported on use, and without its remarks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
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
