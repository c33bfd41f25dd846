"""Buckets and folders: where bundles are published, and fetched from.

``open_storage`` turns a URI into a store and a prefix; ``fetch_bundle`` and ``read_published`` are the reader's side.
"""

from cpr.storage.base import Fingerprint, Storage, Stored, fingerprint, holds, read
from cpr.storage.fetch import fetch_bundle
from cpr.storage.location import BUCKET_SCHEMES, Location, is_uri
from cpr.storage.published import read_published
from cpr.storage.schemes import SCHEMES, open_storage

__all__ = [
    "BUCKET_SCHEMES",
    "SCHEMES",
    "Fingerprint",
    "Location",
    "Storage",
    "Stored",
    "fetch_bundle",
    "fingerprint",
    "holds",
    "is_uri",
    "open_storage",
    "read",
    "read_published",
]
