"""What other versions of a routine hold already: content that is copied inside the store need not be sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from packaging.version import InvalidVersion, Version

from cpr.errors import CprError
from cpr.manifest import MANIFEST_NAME, MAX_RECORD_BYTES, Manifest
from cpr.storage.base import Storage, read

_MOST_VERSIONS = 3
"""The newest ones: what they do not hold, older ones seldom do, and each costs a request."""


def earlier_content(storage: Storage, home: str, versions: Iterable[str]) -> Mapping[str, str]:
    """SHA-256 to the name of a published object with this content, from the newest of ``versions``, the folders below ``home``.

    A version that cannot be read is left out: it is asked for to save time, and for nothing else.
    """
    newest = sorted(versions, key=_order, reverse=True)[:_MOST_VERSIONS]
    with ThreadPoolExecutor(_MOST_VERSIONS) as pool:
        manifests = pool.map(lambda version: _manifest(storage, f"{home}{version}/"), newest)
        found: dict[str, str] = {}
        for version, manifest in zip(newest, manifests, strict=True):
            for entry in manifest.all_files if manifest else ():
                found.setdefault(entry.sha256, f"{home}{version}/{entry.path}")
    return found


def _manifest(storage: Storage, base: str) -> Manifest | None:
    try:
        text = read(storage, base + MANIFEST_NAME, MAX_RECORD_BYTES)
        return None if text is None else Manifest.from_json(text)
    except CprError:
        return None


def _order(version: str) -> tuple[bool, Version, str]:
    try:
        return True, Version(version), version
    except InvalidVersion:
        return False, Version("0"), version
