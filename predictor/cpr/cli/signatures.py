"""Signatures spelt as one would call them: ``serving_default(x: float32[?, 4]) → scores: float32[?, 3]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cpr.cli.names import printable
from cpr.saved_model.findings.words import shape_text

_PREDICT = "tensorflow/serving/predict"


def signature_lines(key: str, signature: Mapping[str, Any], width: int, indent: str = "  ") -> Iterator[str]:
    """One line where that fits, else one for each input and output. The method is named where it is not the usual one."""
    inputs, outputs = (
        [f"{name}: {type_text(info)}" for name, info in signature[side].items()] for side in ("inputs", "outputs")
    )
    method = signature["method_name"]
    unusual = "" if method == _PREDICT else f"  [{method or 'no method name'}]"
    line = printable(f"{key}({', '.join(inputs)}) → {', '.join(outputs) or 'nothing'}{unusual}")
    if len(indent + line) <= width or len(inputs) + len(outputs) < 2:
        yield indent + line
        return
    yield f"{indent}{printable(key)}("
    for position, each in enumerate(inputs):
        yield f"{indent}    {printable(each)}{',' if position < len(inputs) - 1 else ''}"
    yield f"{indent}) →{printable(unusual)}"
    for position, each in enumerate(outputs):
        yield f"{indent}    {printable(each)}{',' if position < len(outputs) - 1 else ''}"


def type_text(info: Mapping[str, Any]) -> str:
    """``float32[?, 4]``; ``ragged(int32[?], int64[?])`` for what is made of several tensors. Printable."""
    if "kind" in info:  # maybe the name of somebody's class
        return f"{printable(info['kind'])}({', '.join(type_text(component) for component in info['components'])})"
    return f"{info['dtype'] or 'untyped'}{shape_text(info['shape'])}"
