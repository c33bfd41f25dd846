"""Credentials in text: keys, tokens and passwords that open something, told from what only looks like them.

Each kind is looked for where one of its anchors stands, so that text without any costs a few searches. What is found is shown
by its kind, its line and its first characters: never whole.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_BEFORE = rb"(?<![A-Za-z0-9+/_-])"
_AFTER = rb"(?![A-Za-z0-9+/_-])"


@dataclass(frozen=True, slots=True)
class Leak:
    """``kind`` in words; its line, from 1; ``masked``: its first characters and length; ``sure``: its form leaves no doubt."""

    kind: str
    line: int
    masked: str
    sure: bool


@dataclass(frozen=True, slots=True)
class _Kind:
    """``pattern`` has the secret as its last group; it is searched from ``before`` bytes before an anchor on, and
    begins at the anchor where that is 0."""

    name: str
    anchors: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    sure: bool = True
    before: int = 1
    window: int = 300
    real: Callable[[re.Match[bytes]], bool] = lambda match: True
    shown: int = 4


def _token(text: bytes) -> re.Pattern[bytes]:
    return re.compile((rb"(?://|\b)" if text.startswith(b"hooks") else _BEFORE) + rb"(" + text + rb")" + _AFTER)


def entropy(text: bytes) -> float:
    """Bits per byte."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values()) if text else 0.0


_STANDINS = re.compile(
    rb"""(?ix) x{4} | \*{3} | \.{3} | 0{6} | 1{6} | example | sample | dummy | fake | placeholder | change[_-]?me
    | redacted | your[_-] | insert | replace | my[_-]?(?:secret|token|password|key) | test | 123456 | abcdef | foo | bar
    | secret | passw | token | deadbeef | lorem | mock | invalid | none | null"""
)


def _random(secret: bytes) -> bool:
    """Whether it looks drawn at random, and stands for no other."""
    return entropy(secret) >= 3.0 and not _STANDINS.search(secret[4:] if secret[:4].isalpha() else secret)


def _random_token(match: re.Match[bytes]) -> bool:
    body = re.sub(rb"^(?:[a-z]{2,6}[_-])+(?:live_)?", b"", match[match.lastindex or 0])
    return entropy(body) >= 3.2 and not re.search(
        rb"(?i)example|x{5}|0{8}|1234567|abcdef|placeholder|dummy|fake|redacted", body
    )


def _is_body(match: re.Match[bytes]) -> bool:
    """A key has a body of base64 that is not dots, and not one letter again and again."""
    body = re.sub(rb"\\[nr]|[^A-Za-z0-9+/=]", b"", match[1])
    return len(body) >= 100 and entropy(body[:400]) > 4.0


def _is_pair(match: re.Match[bytes]) -> bool:
    return b"EXAMPLE" not in match[0].upper() and entropy(match[1]) >= 3.0 and entropy(match[2]) >= 4.0


def _is_jwt(match: re.Match[bytes]) -> bool:
    header, payload, signature = match[1].split(b".")
    try:
        told = json.loads(base64.urlsafe_b64decode(header + b"=" * (-len(header) % 4)))
        claims = base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))
    except ValueError:
        return False
    known = b"1234567890" in claims or b"example" in claims.lower() or b"John" in claims
    return isinstance(told, dict) and told.get("alg") not in (None, "none") and not known and entropy(signature) > 3.5


_PLAIN = re.compile(
    rb"(?i)^(?:p|pw|pwd|pass|passwd|password|secret|user|username|root|admin|guest|token|key|\W+|[a-z]{1,8}\d{0,3})$"
)
_LOCAL = re.compile(
    rb"(?i)^(?:localhost|127\.|0\.0\.0\.0|10\.|192\.168\.|\[|host|server|proxy|(?:[\w.-]+\.)?(?:example|test|invalid)\b)"
)


def _is_url(match: re.Match[bytes]) -> bool:
    host, secret = match[2], match[1]
    return not (_PLAIN.match(secret) or _LOCAL.match(host) or _STANDINS.search(secret)) and len(set(secret)) > 4


_UUID = re.compile(rb"(?i)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def _is_assigned(match: re.Match[bytes]) -> bool:
    """A value that nobody would write for words, a path, a name, a pattern or a format."""
    secret = match[1]
    kinds = sum(bool(re.search(kind, secret)) for kind in (rb"[a-z]", rb"[A-Z]", rb"\d", rb"[^A-Za-z0-9]"))
    if _UUID.fullmatch(secret) or _STANDINS.search(secret) or re.search(rb"[<>{}()$%\[\]\\|^*?:;,/]|://", secret.rstrip(b"=")):
        return False
    if re.fullmatch(rb"[A-Za-z_][\w-]*(?:[.-][A-Za-z_][\w-]*)+|[A-Z_]+|[a-z_.-]+|[A-Za-z]+|[\d.]+", secret):
        return False
    if re.fullmatch(rb"[0-9a-f]+", secret):
        return len(secret) >= 24 and entropy(secret) >= 3.0
    return kinds >= 2 and bool(re.search(rb"\d", secret)) and entropy(secret) >= 3.5


_WORDS = (b"passw", b"pwd", b"secret", b"token", b"apikey", b"api_key", b"api-key", b"access_key", b"accesskey")

_KINDS = (
    _Kind(
        "a private key",
        (b"PRIVATE KEY",),
        re.compile(
            rb"-----BEGIN (?:(?:RSA|EC|DSA|OPENSSH|PGP) )?PRIVATE KEY(?: BLOCK)?-----"
            rb"((?:\\[nr]|[\sA-Za-z0-9+/=\"',:()-]){100,4000})"
        ),
        before=40,
        window=4200,
        real=_is_body,
        shown=0,
    ),
    _Kind(
        "an AWS access key with its secret",
        (b"AKIA", b"ASIA"),
        re.compile(
            _BEFORE
            + rb"((?:AKIA|ASIA)[A-Z2-7]{16})(?![A-Za-z0-9])[\s\S]{1,200}?"
            + _BEFORE
            + rb"([A-Za-z0-9+/]{40})(?![A-Za-z0-9+/=])"
        ),
        real=_is_pair,
    ),
    *(
        _Kind(name, anchors, _token(text), real=_random_token, before=120, window=320)
        for name, anchors, text in (
            ("a GitHub token", (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"), rb"gh[pousr]_[A-Za-z0-9]{36}"),
            ("a GitHub token", (b"github_pat_",), rb"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
            ("a GitLab token", (b"glpat-",), rb"glpat-[A-Za-z0-9_-]{20}"),
            ("a Slack token", (b"xox",), rb"xox[abeoprs]-\d{9,13}-\d{9,13}-[A-Za-z0-9-]{20,80}"),
            (
                "a Slack webhook",
                (b"services/T",),
                rb"hooks\.slack\.com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{24}",
            ),
            ("a Stripe key", (b"_live_",), rb"[sr]k_live_[A-Za-z0-9]{24,99}"),
            ("a Google API key", (b"AIza",), rb"AIza[A-Za-z0-9_-]{35}"),
            ("a Google client secret", (b"GOCSPX-",), rb"GOCSPX-[A-Za-z0-9_-]{28}"),
            ("an OpenAI key", (b"T3BlbkFJ",), rb"sk-[A-Za-z0-9_-]{20,100}T3BlbkFJ[A-Za-z0-9_-]{20,100}"),
            ("an Anthropic key", (b"sk-ant-",), rb"sk-ant-[a-z0-9]+-[A-Za-z0-9_-]{80,110}"),
            ("a Hugging Face token", (b"hf_",), rb"hf_[A-Za-z]{34}"),
            ("an npm token", (b"npm_",), rb"npm_[A-Za-z0-9]{36}"),
            ("a PyPI token", (b"pypi-AgE",), rb"pypi-AgE[A-Za-z0-9_-]{60,300}"),
            ("a SendGrid key", (b"SG.",), rb"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
        )
    ),
    _Kind(
        "an Azure storage key",
        (b"AccountKey=",),
        re.compile(rb"AccountKey=([A-Za-z0-9+/]{86}==)"),
        # The key of the local emulator is printed in every manual of it.
        real=lambda match: not match[1].startswith(b"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq"),
    ),
    _Kind(
        "a JSON web token",
        (b"eyJ",),
        re.compile(_BEFORE + rb"(eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{20,1000})" + _AFTER),
        sure=False,
        window=7200,
        real=_is_jwt,
    ),
    _Kind(
        "a password of .netrc",
        (b"machine ",),
        re.compile(rb"(?m)^[ \t]*machine\s+\S+\s+login\s+\S+\s+password\s+(\S{4,200})"),
        sure=False,
        before=20,
        real=lambda match: not _STANDINS.search(match[1]) and not re.search(rb"[<>{}$%]", match[1]),
        shown=1,
    ),
    _Kind(
        "an npm registry token",
        (b"_authToken",),
        re.compile(rb"_authToken\s*=\s*([A-Za-z0-9+/=_.-]{16,300})"),
        sure=False,
        real=lambda match: _random(match[1]),
        shown=2,
    ),
    _Kind(
        "a password in an address",
        (b"://",),
        re.compile(rb"://[^\s/:@'\"<>{}$%\\]{1,60}:([^\s/:@'\"<>{}$%\\]{4,100})@([A-Za-z0-9.\[-][^\s/'\":,]*)"),
        sure=False,
        real=_is_url,
        shown=1,
    ),
    _Kind(
        "a password or token in plain text",
        _WORDS,
        re.compile(
            rb"(?i)(?:passw(?:or)?d|pwd|secret|token|api[_-]?key|access[_-]?key)(?:[_-]?(?:key|id|value))?\b"
            rb"(?:\\?[\"'])?\s{0,4}(?:=|:(?!=))\s{0,4}\\?[\"']([^\s\"'\\]{16,200})\\?[\"']"
        ),
        sure=False,
        before=0,
        window=320,
        real=_is_assigned,
        shown=2,
    ),
)


def find_credentials(data: bytes, *, most: int = 20) -> list[Leak]:
    """The credentials in a text, in order of line, at most so many."""
    lower = data.lower()
    found: dict[int, Leak] = {}
    for kind in _KINDS:
        folded = kind.anchors is _WORDS
        for anchor in kind.anchors:
            for match in _matches(kind, lower if folded else data, data, anchor):
                at, end = match.span(match.lastindex or 0)
                found.setdefault(at, _leak(kind, data, match, at, end))  # the first kinds are the surest
                if len(found) >= most:
                    return [found[at] for at in sorted(found)]
    return [found[at] for at in sorted(found)]


def _matches(kind: _Kind, searched: bytes, data: bytes, anchor: bytes) -> Iterator[re.Match[bytes]]:
    at, end = searched.find(anchor), 0
    while at >= 0:
        if at >= end:
            look = kind.pattern.search if kind.before else kind.pattern.match
            match = look(data, max(at - kind.before, end), at + kind.window)
            if match is not None and match.start() <= at:
                end = match.end()
                if kind.real(match):
                    yield match
        at = searched.find(anchor, at + len(anchor))


def _leak(kind: _Kind, data: bytes, match: re.Match[bytes], at: int, end: int) -> Leak:
    name = kind.name
    if kind.name == "a private key" and b"service_account" in data[max(0, at - 4000) : end + 4000]:
        name = "the key of a Google service account"
    if kind.name.startswith("an AWS"):
        at, end = match.span(1)
    secret = data[at:end].decode("latin-1")
    masked = f"{secret[: kind.shown]}… ({len(secret)} characters)" if kind.shown else "-----BEGIN … PRIVATE KEY-----"
    return Leak(name, data.count(b"\n", 0, match.start()) + 1, masked, kind.sure)
