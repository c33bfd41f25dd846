"""CPR661: the fingerprint of a model and its warm-up requests."""

from __future__ import annotations

from collections.abc import Iterator

from cpr.errors import ModelError
from cpr.report import Finding
from cpr.saved_model import kinds
from cpr.saved_model.extras import FINGERPRINT_NAME, WARMUP_NAME, Warmup
from cpr.saved_model.findings.served import served
from cpr.saved_model.reader import MetaGraph

_MOST_REQUESTS = 1000
"""``kMaxNumRecords`` of ``saved_model_warmup_util.h``."""


def unreadable(name: str, error: ModelError) -> Finding:
    """One of the two files, refused by its reader."""
    remedy = "Export the model again." if name == FINGERPRINT_NAME else "Write the warm-up requests again, or delete the file."
    return kinds.EXTRAS.at(name, error.message, remedy)


def findings(graphs: tuple[MetaGraph, ...], warmup: Warmup | None) -> Iterator[Finding]:
    """Warm-up requests for signatures that no graph has."""
    if warmup is None or not graphs:
        return
    if warmup.records > _MOST_REQUESTS:
        yield kinds.EXTRAS.at(
            WARMUP_NAME,
            f"There are {warmup.records:,} warm-up requests, and TensorFlow Serving refuses a model with more than "
            f"{_MOST_REQUESTS:,}.",
            "Keep a few typical ones.",
        )
    known = {key for graph in served(graphs) for key in graph.callable_signatures}
    unknown = [key for key in warmup.signatures if key and key not in known]
    if unknown:
        yield kinds.EXTRAS.at(
            WARMUP_NAME,
            f"The warm-up requests call {', '.join(unknown)}, and the model has {', '.join(sorted(known)) or 'no signature'}.",
            "Write the warm-up requests again for the signatures that there are.",
        )
