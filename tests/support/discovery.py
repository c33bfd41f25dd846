"""Google's discovery documents, as google-api-python-client ships them, read as strict JSON Schemas.

The client itself sends anything. Here a key that the document does not know, or that only the service writes, is refused, and
so is a missing one whose description begins with "Required.".
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import googleapiclient.discovery_cache
from jsonschema import Draft202012Validator

_DOCUMENTS = Path(googleapiclient.discovery_cache.__file__).parent / "documents"


@cache
def validator(api: str, schema: str, optional: tuple[str, ...] = ()) -> Draft202012Validator:
    """A validator for one message of an API (``ml.v1``, ``aiplatform.v1``).

    ``optional`` names fields of the message that the document calls required although another field lifts that.
    """
    definitions: dict[str, Any] = {}
    _define(api, schema, definitions)
    top = definitions[schema]
    definitions[schema] = {**top, "required": [name for name in top["required"] if name not in optional]}
    document = {"$ref": f"#/$defs/{schema}", "$defs": definitions}
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


def problems(checker: Draft202012Validator, document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in checker.iter_errors(document)]


@cache
def _schemas(api: str) -> dict[str, Any]:
    document = json.loads((_DOCUMENTS / f"{api}.json").read_text(encoding="utf-8"))
    return document["schemas"]


def _define(api: str, name: str, definitions: dict[str, Any]) -> None:
    """Add a message and all that it is made of; the whole document would take seconds to check."""
    if name not in definitions:
        definitions[name] = _strict(_schemas(api)[name])
        for other in re.findall(r'"#/\$defs/([^"]+)"', json.dumps(definitions[name])):
            _define(api, other, definitions)


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    kind = schema.get("type")
    if kind == "array":
        return {"type": "array", "items": _strict(schema["items"])}
    if kind == "object" and "additionalProperties" in schema:
        return {"type": "object", "additionalProperties": _strict(schema["additionalProperties"])}
    if kind == "object":
        fields = {name: body for name, body in schema.get("properties", {}).items() if not _output_only(body)}
        return {
            "type": "object",
            "properties": {name: _strict(body) for name, body in fields.items()},
            "required": [name for name, body in fields.items() if body.get("description", "").startswith("Required.")],
            "additionalProperties": False,
        }
    if "enum" in schema:
        return {"type": "string", "enum": schema["enum"]}
    if kind == "string" and schema.get("format") in ("int64", "uint64"):
        return {"type": "string", "pattern": "^-?[0-9]+$"}
    return {} if kind == "any" else {"type": kind}


def _output_only(schema: dict[str, Any]) -> bool:
    return bool(schema.get("readOnly")) or "Output only." in schema.get("description", "")
