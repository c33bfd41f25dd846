"""Credentials in text: each kind is found and masked, and what only looks like one is not.

The tokens are drawn here: a repository that holds what looks like a key is refused where repositories are kept.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import random
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr.content.credentials import find_credentials

DRAW = random.Random(20261127)
UPPER = string.ascii_uppercase
ALNUM = string.ascii_letters + string.digits


def drawn(count: int, alphabet: str = ALNUM) -> str:
    return "".join(DRAW.choice(alphabet) for _ in range(count))


def pem(kind: str = "RSA ") -> str:
    lines = "\n".join(drawn(64, ALNUM + "+/") for _ in range(12))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----\n"


def jwt(claims: dict[str, str]) -> str:
    parts = [{"alg": "HS256", "typ": "JWT"}, claims]
    head = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return f"{head}.{drawn(43)}"


SURE = {
    "RSA": pem(),
    "PKCS 8": pem(""),
    "OpenSSH": pem("OPENSSH "),
    "in Python": "KEY = " + repr(pem("EC ")),
    "service account": json.dumps({"type": "service_account", "private_key": pem(""), "client_email": "a@b.iam"}),
    "AWS": f"aws_access_key_id = AKIA{drawn(16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}\naws_secret_access_key = {drawn(40)}\n",
    "GitHub": f"TOKEN = 'ghp_{drawn(36)}'",
    "GitHub, fine": f"github_pat_{drawn(22)}_{drawn(59)}",
    "GitLab": f'"glpat-{drawn(20)}"',
    "Slack": f"xoxb-{drawn(12, string.digits)}-{drawn(12, string.digits)}-{drawn(24)}",
    "Slack webhook": f"https://hooks.slack.com/services/T{drawn(9, UPPER)}/B{drawn(9, UPPER)}/{drawn(24)}",
    "Stripe": f"sk_live_{drawn(24)}",
    "Google": f"https://maps.googleapis.com/maps/api/geocode/json?key=AIza{drawn(35)}&address=x",
    "OpenAI": f"sk-{drawn(20)}T3BlbkFJ{drawn(20)}",
    "OpenAI project": f"sk-proj-{drawn(48)}T3BlbkFJ{drawn(48)}",
    "Hugging Face": f"hf_{drawn(34, string.ascii_letters)}",
    "npm": f"npm_{drawn(36)}",
    "PyPI": f"password = pypi-AgEIcHlwaS5vcmc{drawn(80)}",
    "SendGrid": f"SG.{drawn(22)}.{drawn(43)}",
    "Azure": f"AccountKey={drawn(86)}==",
}
DOUBTFUL = {
    "JWT": f"Authorization: Bearer {jwt({'sub': 'u-58213'})}",
    "netrc": "machine registry.acme.io login bob password hunter2Xz\n",
    "npmrc": f"//registry.acme.io/:_authToken={drawn(36)}\n",
    "address": "postgresql://svc:Xk29qLw0@db.acme.io:5432/prod",
    "assignment": f'DB_PASSWORD = "{drawn(20)}9a"',
    "JSON": f'{{"api_key": "{drawn(32)}7b"}}',
    "notebook": json.dumps({"cells": [{"source": [f'token = "{drawn(32)}4c"\n']}]}),
    "hex": f"secret_key='{drawn(40, '0123456789abcdef')}'",
}
FINE = {
    "documented AWS": "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\nAWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS id alone": f"AKIA{drawn(16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')} is the id",
    "stand-ins": "password = 'changeme-changeme'\ntoken='xxxxxxxxxxxxxxxxxxxx'\napi_key: '<your-api-key-here>'\n",
    "variables": "secret='${MY_SECRET_VALUE1}'\npassword: '{{ db_password_2 }}'\ntoken = '%(service_token_1)s'\n",
    "environment": "token = os.environ['SERVICE_TOKEN_2']\npassword = getpass.getpass()\nsecret = config.get('secret_name_v2')",
    "hash in a lock file": f'numpy==1.21 --hash=sha256:{drawn(64, "0123456789abcdef")}\n"sha512-{drawn(86)}=="',
    "image of a notebook": json.dumps({"image/png": base64.b64encode(DRAW.randbytes(60_000)).decode()}),
    "UUID": "token = '123e4567-e89b-42d3-a456-426614174000'\nsecret_id='7d444840-9dc0-11d1-b245-5ffdce74fad2'",
    "public key": "-----BEGIN PUBLIC KEY-----\n" + drawn(200) + "\n-----END PUBLIC KEY-----",
    "certificate": "-----BEGIN CERTIFICATE-----\n" + drawn(400) + "\n-----END CERTIFICATE-----",
    "header of a key": "if text.startswith('-----BEGIN PRIVATE KEY-----'):\n    return '-----BEGIN RSA PRIVATE KEY-----\\n...'",
    "tokenizer": '{"unk_token": "[UNK]", "token_pattern": "(?u)\\\\b\\\\w\\\\w+\\\\b", "tokenizer_class": "BertTokenizer2"}',
    "address of a manual": "postgres://user:password@localhost:5432/db redis://:secret@example.com https://a:b@c.example.org/x",
    "address without": "https://acme.io:8080/path@1.2 git+ssh://git@github.com/a/b.git",
    "JWT of the manuals": jwt({"sub": "1234567890", "name": "John Doe"}),
    "stand-in tokens": f"ghp_{'x' * 36} sk_live_{'0' * 24} AIza{'X' * 35} hf_{'a' * 34} ghp_{'1234567890abcdef' * 2}1234",
    "test key": f"sk_test_{drawn(24)}",
    "names": "hf_hub_download_and_extract_all_the_files npm_config_registry_and_some_other_long_name_here glpat-",
    "emulator of Azure": "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
}


@pytest.mark.parametrize("kind", SURE)
def test_what_opens_something(kind: str) -> None:
    text = SURE[kind]
    (leak,) = find_credentials(b"# first\n# second\n" + text.encode())
    assert leak.sure and leak.line == 3
    assert not any(text[at : at + 12] in leak.masked for at in range(len(text) - 12) if "PRIVATE" not in leak.masked)


@pytest.mark.parametrize("kind", DOUBTFUL)
def test_what_may_open_something(kind: str) -> None:
    (leak,) = find_credentials(b"\n" + DOUBTFUL[kind].encode())
    assert not leak.sure and leak.line == 2
    assert len(leak.masked.split("…")[0]) <= 4


@pytest.mark.parametrize("kind", FINE)
def test_what_opens_nothing(kind: str) -> None:
    assert find_credentials(FINE[kind].encode()) == []


def test_kinds_are_told_apart() -> None:
    kinds = {name: find_credentials(SURE[name].encode())[0].kind for name in ("service account", "RSA", "AWS")}
    assert kinds == {
        "service account": "the key of a Google service account",
        "RSA": "a private key",
        "AWS": "an AWS access key with its secret",
    }


@given(st.binary(max_size=2000) | st.text(max_size=2000).map(str.encode))
def test_any_bytes_are_looked_through(data: bytes) -> None:
    for leak in find_credentials(data + b"password = 'a1" + data + b"' eyJ" + data):
        assert leak.line >= 1


def test_one_long_line_is_no_burden() -> None:
    assert find_credentials(b"token=" * 100_000) == []
    assert find_credentials(b'"token": "' + b"a1" * 300_000) == []
    assert find_credentials(b"-----BEGIN PRIVATE KEY-----" * 20_000) == []


PACKAGES = ("numpy", "sklearn", "google", "pip", "setuptools", "hypothesis", "yaml", "jsonschema", "mypy", "_pytest")


def test_text_that_is_at_hand_has_no_false_alarm(repository: Path) -> None:
    """The source of large packages, and of this repository: about 40 MB. Not an error, and of warnings none either."""
    folders = [repository / name for name in ("predictor", "docs", "deploy", "templates", "sample_models")]
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        folders += [Path(place) for place in spec.submodule_search_locations or ()]
    found, size = {}, 0
    for path in (path for folder in folders for path in folder.rglob("*")):
        if path.suffix in (".py", ".pyi", ".md", ".txt", ".json", ".yaml", ".ipynb") and path.is_file():
            data = path.read_bytes()[: 1 << 20]
            size += len(data)
            found.update({f"{path}:{leak.line}": leak for leak in find_credentials(data)})
    assert size > 20 << 20
    assert [place for place, leak in found.items() if leak.sure] == []
    assert len(found) <= 1, found
