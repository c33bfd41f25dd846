"""Fill the templates of a deploy target.

A document (YAML, JSON) is parsed first and filled leaf by leaf, so no value can change its structure. In other text a value
says how it is written down: ``@name@`` as it is, ``@name:sh@`` quoted for a shell, ``@name:json@`` as JSON.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

_PLACE = re.compile(r"@([a-z_]+)(?::(sh|json))?@")


def fill_document(document: Any, values: Mapping[str, Any]) -> Any:
    """A parsed document with its places filled.

    A leaf that is one place alone takes the value with its type. What becomes ``None`` is left out of its mapping or list.
    """
    if isinstance(document, dict):
        filled = ((key, fill_document(value, values)) for key, value in document.items())
        return {key: value for key, value in filled if value is not None}
    if isinstance(document, list):
        items = (fill_document(item, values) for item in document)
        return [item for item in items if item is not None]
    if isinstance(document, str):
        whole = _PLACE.fullmatch(document)
        return values[whole[1]] if whole else fill_text(document, values)
    return document


def fill_text(text: str, values: Mapping[str, Any]) -> str:
    """Text with its places filled; ``None`` is written as nothing."""
    return _PLACE.sub(lambda place: _written(values[place[1]], place[2]), text)


def _written(value: Any, how: str | None) -> str:
    if how == "json":
        return json.dumps(value)
    text = "" if value is None else str(value)
    return shlex.quote(text) if how == "sh" else text
