"""Vertex AI's container protocol: as ``rows``, but the other arguments of a request lie in an object ``parameters``."""

from __future__ import annotations

from typing import Any

from cpr.errors import RequestError
from cpr.protocols import rows


def parse(body: bytes) -> dict[str, Any]:
    """The request in a body, the keys of ``parameters`` laid beside ``instances``; ``RequestError`` as in ``rows.parse``.

    Keys beside ``parameters`` are kept, because AI Platform sends its arguments there to the same kind of container.
    """
    request = rows.parse(body)
    parameters = request.pop("parameters", None)
    if parameters is None:
        return request
    if not isinstance(parameters, dict):
        raise RequestError("The parameters are not an object.", 'Send {"parameters": {"name": value}}.', "parameters")
    twice = request.keys() & parameters.keys()
    if twice:
        raise RequestError(
            f"The request has the key {min(twice)!r} twice, once in its parameters.", "Send each argument once.", "parameters"
        )
    return {**request, **parameters}
