"""An ``explanationSpec`` on its way into the config of a container on Vertex AI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from cpr.errors import TargetError
from cpr.explaining.rules import VERTEX, check, service

METADATA_FILE = "explanation-metadata.json"
"""What gcloud takes apart from the method, beside the script that calls it."""

_REMEDY = "Write one with `cpr explain BUNDLE -o DIR`, for the bundle."


class Deployed(NamedTuple):
    """Values of the templates, further files, and what is to be told."""

    values: Mapping[str, Any]
    files: Mapping[str, bytes]
    notes: tuple[str, ...] = ()


def deployed(target: str, spec: Mapping[str, Any] | None) -> Deployed:
    """What a config needs to carry a spec; ``TargetError`` for a target or a method that explains no container."""
    if spec is None:
        return Deployed({"explanation_spec": None, "explanation_paths": None}, {})
    if target != VERTEX:
        raise TargetError(
            f"{target} explains no container.", "Leave --explanation out, or take --target vertex-ai.", "--explanation"
        )
    check(VERTEX, spec, _REMEDY)
    (method,) = (service(VERTEX).methods[name] for name in service(VERTEX).container_methods)
    if method.key not in spec["parameters"]:
        raise TargetError(
            f"The spec is not for a container: Vertex AI explains one by {method.name} alone.", _REMEDY, "--explanation"
        )
    if any("inputTensorName" in each for each in spec["metadata"]["inputs"].values()):
        raise TargetError("The spec names tensors of a SavedModel, and a container hides them.", _REMEDY, "--explanation")
    values = {"explanation_spec": dict(spec), "explanation_paths": spec["parameters"][method.key][method.parameter]}
    files = {METADATA_FILE: (json.dumps(spec["metadata"], indent=2) + "\n").encode()}
    notes = [service(VERTEX).ends]
    if "topK" in spec["parameters"]:
        notes.append("gcloud has no option for topK: upload-model.json has it, and deploy.sh leaves it out.")
    return Deployed(values, files, tuple(notes))
