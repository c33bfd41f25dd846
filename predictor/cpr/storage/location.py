"""Where a bundle lies: the text a user gives, read into scheme, bucket and path.

``%`` stands for itself everywhere, as in gcloud and the AWS command line: object names are not percent-encoded here.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from cpr.errors import StorageError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(//)?(.*)", re.DOTALL)  # one letter is a Windows drive
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# The characters that gcloud allows in a bucket name; other servers that speak the protocol of S3 allow the same.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]*[a-z0-9]")
_IPV4 = re.compile(r"\d+\.\d+\.\d+\.\d+")
_ALIASES = {"gcs": "gs", "google": "gs", "gsutil": "gs", "s3a": "s3", "s3n": "s3", "aws": "s3"}
_WEB = re.compile(r"https?://(?:storage\.(?:cloud\.google|googleapis)\.com/([^/]+)|([^/]+)\.storage\.googleapis\.com)(.*)")
_WEB_S3 = re.compile(r"https?://(?:s3[.-][^/]*amazonaws\.com/([^/]+)|([^/]+)\.s3[.-][^/]*amazonaws\.com)(.*)")

BUCKET_SCHEMES = ("gs", "s3")


@dataclass(frozen=True, slots=True)
class Location:
    """``scheme`` is ``gs``, ``s3``, ``file``, or empty for a plain folder.

    For a bucket, ``path`` is the prefix without slashes at its ends; for a folder ``bucket`` is empty and ``path`` is absolute.
    """

    scheme: str
    bucket: str
    path: str

    def __str__(self) -> str:
        if not self.scheme:
            return self.path
        if self.scheme == "file":
            return f"file://{self.path}"
        return f"{self.scheme}://{self.bucket}" + (f"/{self.path}" if self.path else "")

    @classmethod
    def parse(cls, text: str) -> Location:
        """Read a URI or a folder. ``StorageError`` says what is wrong with it and what was probably meant."""
        if not text or _CONTROL.search(text):
            raise StorageError(
                f"{text!r} names no place." if not text else f"{text!r} holds a control character.",
                "Name a folder, or a URI such as gs://bucket/prefix.",
                text or None,
            )
        found = _SCHEME.fullmatch(text)
        if found is None:
            return cls("", "", str(Path(text).resolve()))
        scheme, slashes, rest = found[1].lower(), found[2], found[3]
        if scheme not in (*BUCKET_SCHEMES, "file"):
            raise _unknown(text, scheme, rest)
        if slashes is None:
            meant = f"{scheme}:///{rest.lstrip('/')}" if scheme == "file" else f"{scheme}://{rest.lstrip('/')}"
            raise StorageError(f"{text} lacks its two slashes.", f"Did you mean {meant}?", text)
        return _file(text, rest) if scheme == "file" else _bucket(text, scheme, rest)


def is_uri(text: str) -> bool:
    """True where the text has a scheme (``gs://…``); false for a folder, which ``./`` before an odd name makes certain."""
    return _SCHEME.fullmatch(text) is not None


def _file(text: str, rest: str) -> Location:
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost") or not slash:
        raise StorageError(
            f"{text} names a folder on another machine, {host!r}." if slash else f"{text} is not an absolute path.",
            f"Write three slashes for this one: file:///{rest}.",
            text,
        )
    _refuse_query(text, path)
    if ".." in path.split("/"):
        raise _dots(text)
    return Location("file", "", str(Path("/" + path)))


def _bucket(text: str, scheme: str, rest: str) -> Location:
    bucket, _, path = rest.partition("/")
    _refuse_query(text, rest)
    reason = _bucket_fault(scheme, bucket)
    if reason:
        meant = bucket.lower() if bucket != bucket.lower() else ""
        good = bool(meant) and not _bucket_fault(scheme, meant)
        raise StorageError(
            f"{bucket!r} cannot be a bucket's name: {reason}." if bucket else f"{text} names no bucket.",
            f"Did you mean {scheme}://{meant}{'/' if path else ''}{path}?"
            if good
            else f"Write {scheme}://BUCKET/PREFIX with the name of an existing bucket.",
            text,
        )
    path = path.removesuffix("/")
    parts = path.split("/") if path else []
    if ".." in parts or "." in parts:
        raise _dots(text)
    if "" in parts:
        tidy = "/".join(part for part in parts if part)
        raise StorageError(f"{text} has an empty part between two slashes.", f"Write {scheme}://{bucket}/{tidy} instead.", text)
    try:
        path.encode()
    except UnicodeEncodeError:
        raise StorageError(f"{text!r} is not valid Unicode.", "Choose another prefix.", text) from None
    return Location(scheme, bucket, path)


def _bucket_fault(scheme: str, bucket: str) -> str:
    if not _BUCKET.fullmatch(bucket) or len(bucket) < 3:
        return "at least 3 of a-z, 0-9, '.', '_' and '-', with a letter or digit at both ends"
    if _IPV4.fullmatch(bucket):
        return "it looks like an IP address"
    dotted = scheme == "gs" and "." in bucket
    if len(bucket) > (222 if dotted else 63) or any(len(part) > 63 for part in bucket.split(".")):
        return "it is too long (63 characters; in gs:// 222 with dots, 63 between them)"
    if ".." in bucket:
        return "it has two dots in a row"
    if scheme == "gs" and bucket.startswith("goog"):
        return "names with 'goog' in front are reserved"
    return ""


def _refuse_query(text: str, rest: str) -> None:
    for mark, what in (("?", "a query"), ("#", "a fragment or generation number")):
        if mark in rest:
            raise StorageError(
                f"{text} has {what} ({mark}); a place to publish has none.", f"Leave out everything from {mark} on.", text
            )


def _dots(text: str) -> StorageError:
    return StorageError(f"{text} holds a '.' or '..' part.", "Write the path without it; a bucket has no parent folder.", text)


def _unknown(text: str, scheme: str, rest: str) -> StorageError:
    for pattern, right in ((_WEB, "gs"), (_WEB_S3, "s3")):
        web = pattern.fullmatch(text)
        if web:
            return StorageError(
                f"{scheme}:// is not a scheme to publish to.", f"Did you mean {right}://{web[1] or web[2]}{web[3]}?", text
            )
    near = [_ALIASES[scheme]] if scheme in _ALIASES else difflib.get_close_matches(scheme, ("gs", "s3", "file"), 1, 0.5)
    known = "Known are gs://, s3://, file:// and plain folders (./ in front of a folder whose name holds a colon)."
    if near:
        slash = "///" if near[0] == "file" else "//"
        return StorageError(f"{scheme}:// is not a known scheme.", f"Did you mean {near[0]}:{slash}{rest.lstrip('/')}?", text)
    return StorageError(f"{scheme}:// is not a known scheme.", known, text)
