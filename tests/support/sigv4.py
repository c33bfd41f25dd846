"""AWS Signature Version 4 checked from its description, by nothing that signs:
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping


def is_signed(method: str, target: str, headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Whether a request, its headers in lower case, was signed with ``secret``, and its content is what was signed."""
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=[^/]+/(\d{8})/([^/]+)/s3/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
        headers.get("authorization", ""),
    )
    if not found:
        return False
    day, region, names, signature = found.groups()
    content = headers["x-amz-content-sha256"]
    if content != "UNSIGNED-PAYLOAD" and content != hashlib.sha256(body).hexdigest():
        return False
    path, _, query = target.partition("?")
    pairs = sorted((part if "=" in part else f"{part}=") for part in query.split("&")) if query else []
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in names.split(";")]
    request = "\n".join([method, path, "&".join(pairs), *lines, "", names, content])
    scope = f"{day}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for word in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    return hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), signature)
