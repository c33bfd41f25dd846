"""The table of stores. Each is one module, imported when a URI with its scheme is opened; another one is another row."""

from __future__ import annotations

import importlib
import re
import warnings

from cpr.errors import MissingExtra, StorageError
from cpr.storage.base import Storage
from cpr.storage.location import BUCKET_SCHEMES, Location

SCHEMES = {
    "": ("cpr.storage.local:LocalStorage", ""),
    "file": ("cpr.storage.local:LocalStorage", ""),
    "gs": ("cpr.storage.gs:GoogleStorage", "gcs"),
    "s3": ("cpr.storage.s3:S3Storage", "s3"),
}
"""Scheme to the class that serves it, and the extra that installs what it needs."""

_ENDPOINT = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")


def open_storage(uri: str, *, endpoint: str | None = None) -> tuple[Storage, str]:
    """The store that ``uri`` lies in, and the prefix of all names below it (empty, or with a slash at its end).

    ``endpoint`` is the base URL of another server that speaks the store's protocol, for ``gs://`` and ``s3://``. Nothing is
    sent yet. ``StorageError`` for a malformed URI, ``MissingExtra`` where the store's client library is not installed.
    """
    location = Location.parse(uri)
    if endpoint is not None:
        _check_endpoint(endpoint, location)
    home, extra = SCHEMES[location.scheme]
    module, _, name = home.partition(":")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of the Pythons that a client library will drop some day
            kind = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if not extra or (error.name or "").startswith("cpr"):
            raise
        raise MissingExtra(extra, f"{location.scheme}://") from None
    storage: Storage = kind(location, endpoint)
    in_bucket = location.scheme in BUCKET_SCHEMES and location.path
    return storage, f"{location.path}/" if in_bucket else ""


def _check_endpoint(endpoint: str, location: Location) -> None:
    if location.scheme not in BUCKET_SCHEMES:
        raise StorageError("An endpoint is for gs:// and s3:// alone.", "Leave out the endpoint.", str(location))
    if not _ENDPOINT.fullmatch(endpoint):
        raise StorageError(
            f"The endpoint {endpoint!r} is not a URL.",
            "Write it as https://HOST[:PORT], such as https://storage.googleapis.com for s3:// with HMAC keys of GCS.",
            endpoint,
        )
