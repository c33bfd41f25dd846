"""Signatures as the JSON of ``cpr inspect`` has them. A shape of ``None``: an unknown rank; ``None`` in it: an unknown size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cpr.saved_model.reader import Signature, TensorInfo


def signature_document(signature: Signature) -> dict[str, Any]:
    """``method_name``, and ``inputs`` and ``outputs`` by name."""
    return {
        "method_name": signature.method_name,
        "inputs": {name: tensor_document(info) for name, info in signature.inputs.items()},
        "outputs": {name: tensor_document(info) for name, info in signature.outputs.items()},
    }


def tensor_document(info: TensorInfo) -> dict[str, Any]:
    """``tensor`` (its name in the graph), or ``kind`` and ``components`` of what is made of several; ``dtype``, ``shape``."""
    rest = {"dtype": info.dtype, "shape": None if info.shape is None else list(info.shape)}
    if info.kind is None:
        return {"tensor": info.name, **rest}
    return {"kind": info.kind, "components": [tensor_document(component) for component in info.components], **rest}
