"""The two documents: ``explanation_metadata.json`` for AI Platform, and the ``explanationSpec`` for Vertex AI.

A SavedModel of TensorFlow 2 is explained through its signature, whose keys are the names of the tensors; one of TensorFlow 1
through its graph. So the Explainable AI SDK has it (``metadata/tf/v2/saved_model_metadata_builder.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cpr.explaining.features import IMAGE, NUMERIC, Feature
from cpr.explaining.rules import AI_PLATFORM, VERTEX, check
from cpr.saved_model import TensorInfo


def metadata(
    features: Sequence[Feature], output: str, tensor: TensorInfo, labels: Sequence[str], tensorflow2: bool
) -> dict[str, Any]:
    """AI Platform's: inputs and the one output that is explained."""
    document = {
        "inputs": {each.name: _input(each, tensorflow2) for each in features},
        "outputs": {
            output: {
                "output_tensor_name": output if tensorflow2 else tensor.name,
                **({"index_name_mapping": list(labels)} if labels else {}),
            }
        },
        "framework": "tensorflow2" if tensorflow2 else "tensorflow",
    }
    check(AI_PLATFORM, document)
    return document


def spec(
    features: Sequence[Feature],
    output: str,
    tensor: TensorInfo,
    labels: Sequence[str],
    tensorflow2: bool,
    attribution: Mapping[str, Any],
    top_k: int,
) -> dict[str, Any]:
    """Vertex AI's, for a prebuilt image of TensorFlow."""
    described = {"outputTensorName": output if tensorflow2 else tensor.name}
    return _spec(
        {each.name: _vertex_input(each, tensorflow2) for each in features},
        {output: {**described, **({"indexDisplayNameMapping": list(labels)} if labels else {})}},
        attribution,
        top_k,
    )


def container_spec(
    baselines: Mapping[str, Any], output: str, labels: Sequence[str], attribution: Mapping[str, Any], top_k: int
) -> dict[str, Any]:
    """Vertex AI's, for a container: baselines by key of the instances alone, since there are no tensors to name."""
    inputs = {name: {} if value is None else {"inputBaselines": [value]} for name, value in baselines.items()}
    return _spec(inputs, {output: {"indexDisplayNameMapping": list(labels)} if labels else {}}, attribution, top_k)


def _spec(inputs: Mapping[str, Any], outputs: Mapping[str, Any], attribution: Mapping[str, Any], top_k: int) -> dict[str, Any]:
    document = {
        "parameters": {**attribution, **({"topK": top_k} if top_k != 1 else {})},
        "metadata": {"inputs": dict(inputs), "outputs": dict(outputs)},
    }
    check(VERTEX, document)
    return document


def _input(feature: Feature, tensorflow2: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "input_tensor_name": feature.name if tensorflow2 else feature.tensor.name,
        "encoding": feature.encoding,
        "modality": feature.modality,
        "input_baselines": [feature.baseline],
    }
    if feature.names:
        found["index_feature_mapping"] = list(feature.names)
    if feature.domain is not None:
        found["domain"] = {"min": feature.domain[0], "max": feature.domain[1]}
    if feature.group is not None:
        found["group_name"] = feature.group
    if feature.modality == IMAGE:
        found["visualization"] = {"type": "pixels", "polarity": "positive"}
    return found


def _vertex_input(feature: Feature, tensorflow2: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "inputTensorName": feature.name if tensorflow2 else feature.tensor.name,
        "encoding": feature.encoding.upper(),
        "inputBaselines": [feature.baseline],
    }
    if feature.modality in (NUMERIC, IMAGE):  # Vertex AI knows no other
        found["modality"] = feature.modality
    if feature.names:
        found["indexFeatureMapping"] = list(feature.names)
    if feature.domain is not None:
        found["featureValueDomain"] = {"minValue": feature.domain[0], "maxValue": feature.domain[1]}
    if feature.group is not None:
        found["groupName"] = feature.group
    if feature.modality == IMAGE:
        found["visualization"] = {"type": "PIXELS", "polarity": "POSITIVE"}
    return found
