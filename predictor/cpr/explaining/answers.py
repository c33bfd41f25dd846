"""Explanations as the services answer them, in JSON.

AI Platform's form (``attributions_by_label``) is that of the tests of gcloud and of the Explainable AI SDK; Vertex AI's is
``ExplainResponse`` of its discovery document.
"""

from __future__ import annotations

import json
from typing import Any

from cpr.explaining.values import Attribution

Explained = list[list[Attribution]]


def ai_platform(explained: Explained) -> bytes:
    """The body of an answer of AI Platform; KServe v1 leaves the form open."""
    explanations = [{"attributions_by_label": [_by_label(each) for each in instance]} for instance in explained]
    return _body({"explanations": explanations})


def vertex(explained: Explained, predictions: list[Any]) -> bytes:
    """The body of an answer of Vertex AI, with the predictions that are explained."""
    explanations = [{"attributions": [_attribution(each) for each in instance]} for instance in explained]
    return _body({"explanations": explanations, "predictions": predictions})


def _by_label(each: Attribution) -> dict[str, Any]:
    return {
        "attributions": _listed(each),
        "baseline_score": each.baseline_score,
        "example_score": each.score,
        "approx_error": each.approx_error,
        "output_name": each.output,
        **({"label_index": each.index[0] if len(each.index) == 1 else list(each.index)} if each.index else {}),
    }


def _attribution(each: Attribution) -> dict[str, Any]:
    return {
        "baselineOutputValue": each.baseline_score,
        "instanceOutputValue": each.score,
        "featureAttributions": _listed(each),
        **({"outputIndex": list(each.index)} if each.index else {}),
        "approximationError": each.approx_error,
        "outputName": each.output,
    }


def _listed(each: Attribution) -> dict[str, Any]:
    return {name: array.tolist() for name, array in each.attributions.items()}


def _body(document: dict[str, Any]) -> bytes:
    return json.dumps(document, allow_nan=False).encode("ascii")
