"""Objects written in parts over the XML protocol of S3, which GCS speaks, too (https://cloud.google.com/storage/docs/xml-api)."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote
from xml.etree import ElementTree

from cpr.errors import ChecksumError
from cpr.storage.base import Stored, part_count
from cpr.storage.wire import Answer, Body

Ask: TypeAlias = Callable[[str, str, Mapping[str, str], Body], Answer]
"""Method, query (without ``?``), headers, body: an answer whose status is below 300, or one that :func:`tells_of_parts`."""

_MD5 = re.compile(r"[0-9a-f]{32}")
_GONE = 404
_NOT_OURS = (400, 403, _GONE, 405, 501)
"""To a question about an upload: its name is none, we may not look at it, or the server takes no parts any more."""
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Dialect:
    """In what the servers differ.

    ``begin`` are the headers that open an upload, ``part`` those of a part with its content and CRC32C; ``check`` compares the
    answer to a part with that CRC32C, or with those headers, and gives false where they differ.
    """

    begin: Mapping[str, str]
    part: Callable[[bytes, int], Mapping[str, str]]
    check: Callable[[Answer, int, Mapping[str, str]], bool]


class Multipart:
    """One upload. The token of a part is the ETag that the server gave it."""

    in_order = False

    def __init__(
        self, ask: Ask, dialect: Dialect, stat: Callable[[], Stored | None], uri: str, size: int, part: int, session: str
    ) -> None:
        self._ask, self._dialect, self._stat = ask, dialect, stat
        self._uri, self._size, self._part = uri, size, part
        self.session = session

    @classmethod
    def begin(cls, ask: Ask, dialect: Dialect, stat: Callable[[], Stored | None], uri: str, size: int, part: int) -> Multipart:
        """``ValueError`` where the answer is none of this protocol."""
        session = text_of(parse(ask("POST", "uploads=", dialect.begin, b"").body), "UploadId")
        if not session:
            raise ValueError("the answer names no upload")
        return cls(ask, dialect, stat, uri, size, part, session)

    def held(self) -> Mapping[int, str]:
        try:
            return dict(self._listed())
        except ValueError:  # no list of parts: none is kept
            return {}

    def stale(self) -> bool:
        """Whether the server no longer knows the upload, or does not let us go on with it."""
        return self._ask("GET", f"{self._query}&max-parts=1", {}, None).status in _NOT_OURS

    def send(self, number: int, content: bytes, crc32c: int) -> str:
        query = f"partNumber={number + 1}&{self._query}"
        headers = self._dialect.part(content, crc32c)
        answer = self._ask("PUT", query, headers, content)
        if answer.status == _GONE:
            raise SessionLost
        if not self._dialect.check(answer, crc32c, headers):
            raise ChecksumError(
                f"{self._uri} was damaged on its way: the checksum of part {number + 1} differs.",
                "Run it again; suspect a proxy or the network.",
                self._uri,
            )
        return answer.header("ETag")

    def finish(self, tokens: Mapping[int, str]) -> Stored | None:
        parts = "".join(
            f"<Part><PartNumber>{number + 1}</PartNumber><ETag>{_escaped(token)}</ETag></Part>"
            for number, token in sorted(tokens.items())
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        for _ in range(_TRIES):
            answer = self._ask("POST", self._query, {"Content-Type": "application/xml"}, body)
            # An error may come with status 200, and a repeated request finds no upload any more: what is stored decides.
            if b"<Error>" not in answer.body or answer.status == _GONE:
                return self._stat()
        raise SessionLost

    def proof(self, tokens: Mapping[int, str]) -> Mapping[str, str]:
        digests = [token.strip('"').lower() for _, token in sorted(tokens.items())]
        if not all(_MD5.fullmatch(digest) for digest in digests):
            return {}
        whole = hashlib.md5(b"".join(map(bytes.fromhex, digests)), usedforsecurity=False).hexdigest()
        return {"etag": f"{whole}-{len(digests)}"}

    def abort(self) -> None:
        self._ask("DELETE", self._query, {}, None)

    @property
    def _query(self) -> str:
        return f"uploadId={quote(self.session, safe='')}"

    def _listed(self) -> Iterator[tuple[int, str]]:
        last = part_count(self._size, self._part) - 1
        marker = ""
        while True:
            answer = self._ask("GET", self._query + (f"&part-number-marker={marker}" if marker else ""), {}, None)
            if answer.status in _NOT_OURS:
                return
            document = parse(answer.body)
            for part in document.iterfind("{*}Part"):
                number = int(text_of(part, "PartNumber")) - 1
                size = self._part if number < last else self._size - last * self._part
                if 0 <= number <= last and int(text_of(part, "Size")) == size:
                    yield number, text_of(part, "ETag")
            following = text_of(document, "NextPartNumberMarker")
            if text_of(document, "IsTruncated") != "true" or following == marker:
                return
            marker = following


def tells_of_parts(method: str, query: str, answer: Answer) -> bool:
    """Whether an answer that is no good one says something about an upload in parts, and not about bucket and credentials."""
    return "uploadId=" in query and answer.status in (_NOT_OURS if method == "GET" else (_GONE,))


class SessionLost(Exception):
    """The server has forgotten the upload in the middle of it."""


def parse(body: bytes) -> ElementTree.Element:
    """A document of the server. ``ValueError`` where it is none; entities are refused, as these documents have none."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise ValueError("the answer has a document type")
    try:
        return ElementTree.fromstring(body)  # noqa: S314 - without a document type there is nothing to expand
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the latter two: of its encoding
        raise ValueError(f"the answer is not XML: {error}") from None


def text_of(element: ElementTree.Element, name: str) -> str:
    return element.findtext(f"{{*}}{name}") or ""


def md5_matches(answer: Answer, crc32c: int, headers: Mapping[str, str]) -> bool:
    """Whether the ETag is the MD5 that was sent beside the content; one that is no MD5 says nothing."""
    etag = answer.header("ETag").strip('"').lower()
    return not _MD5.fullmatch(etag) or etag == base64.b64decode(headers["Content-MD5"]).hex()


def content_md5(content: bytes, crc32c: int = 0) -> Mapping[str, str]:
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    return {"Content-MD5": base64.b64encode(digest).decode()}


def crc32c_header(content: bytes, crc32c: int) -> Mapping[str, str]:
    return {"x-amz-checksum-crc32c": base64.b64encode(crc32c.to_bytes(4, "big")).decode()}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
