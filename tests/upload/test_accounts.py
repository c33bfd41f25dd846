"""With whose credentials an upload asks, how it signs, and what it says where they do not work."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.buckets import Place
from support.door import Answer, Call, door, service_account, write_certificate
from support.sigv4 import is_signed
from support.uploads import published
from upload.conftest import MakeValidated

from cpr.errors import StorageError
from cpr.steps.upload import upload

ODD = {
    "with space.txt": b"1",
    "percent%20and%.bin": b"2",
    "hash#1.bin": b"3",
    "query?x=1&y=2.bin": b"4",
    "größe-数-🦊.bin": b"5",
    "plus+semi;comma,(a)[b]*'!.bin": b"6",
    "a=b~c@d$f.bin": b"7",
}


NORTH = "eu-north-1"
TOLD = {"x-amz-bucket-region": NORTH}


def refusal(status: int, code: str, more: str = "", headers: Mapping[str, str] | None = None) -> Answer:
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>No.</Message>{more}</Error>"
    return status, {"Content-Type": "application/xml", **(headers or {})}, body.encode()


@pytest.mark.parametrize(
    ("answer", "message", "remedy"),
    [
        (refusal(301, "PermanentRedirect", headers=TOLD), NORTH, f"AWS_REGION={NORTH}"),
        (refusal(400, "AuthorizationHeaderMalformed", f"<Region>{NORTH}</Region>"), NORTH, f"AWS_REGION={NORTH}"),
        (refusal(307, "TemporaryRedirect"), "is in another region", "AWS_REGION=REGION"),
        (refusal(403, "RequestTimeTooSkewed"), "refused the request for its time", "Set this machine's clock"),
        (refusal(400, "ExpiredToken"), "refused the credentials: 400 ExpiredToken", "aws configure"),
        (refusal(403, "SignatureDoesNotMatch"), "refused the credentials", "AWS_SECRET_ACCESS_KEY"),
        (refusal(403, "AccessDenied"), "may not do this in", "s3:PutObject"),
        (refusal(404, "NoSuchBucket"), "does not exist", "aws s3 mb"),
    ],
)  # fmt: skip
def test_refusals_of_s3(answer: Answer, message: str, remedy: str, s3_place: Place, make: MakeValidated) -> None:
    with door(lambda call: answer) as front:
        with pytest.raises(StorageError, match=message) as caught:
            upload(make(), s3_place.uri, endpoint=front.url)
        assert len(front.calls) == 1
    assert remedy in caught.value.remedy


def test_every_request_to_s3_is_signed(s3_place: Place, make: MakeValidated) -> None:
    """Names as odd as files may be, copies from names as odd, and lists of them."""
    unsigned: list[str] = []

    def guard(call: Call) -> Answer:
        if not is_signed(call.method, call.target, call.headers, call.body, "secret"):
            unsigned.append(f"{call.method} {call.target}")
        return None

    with door(guard, s3_place.port) as front:
        upload(make("1.2.0", files=ODD), s3_place.uri, endpoint=front.url)
        done = upload(make("1.3.0", files=ODD), s3_place.uri, endpoint=front.url)
    assert done.copied >= len(ODD)
    assert len(front.calls) > 2 * len(ODD)
    assert unsigned == []
    assert published(f"{s3_place.uri}/tiny/1.3.0") is not None


def test_a_profile_with_its_own_server_and_region(
    s3_place: Place, make: MakeValidated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with door(lambda call: None, s3_place.port) as front:
        for key in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(key)
        (tmp_path / "config").write_text(f"[profile lab]\nregion = eu-north-1\nendpoint_url = {front.url}\n")
        (tmp_path / "keys").write_text(
            "[lab]\naws_access_key_id = labkey\naws_secret_access_key = labsecret\naws_session_token = labtoken\n"
        )
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
        monkeypatch.setenv("AWS_PROFILE", "lab")
        upload(make(), s3_place.uri)
        assert front.calls
        for call in front.calls:
            assert re.search(r"Credential=labkey/\d{8}/eu-north-1/s3/", call.headers["authorization"])
            assert call.headers["x-amz-security-token"] == "labtoken"
            assert is_signed(call.method, call.target, call.headers, call.body, "labsecret")
        monkeypatch.setenv("AWS_PROFILE", "nobody's")
        with pytest.raises(StorageError, match="configuration does not work"):
            upload(make(), s3_place.uri)


class Tokens:
    """A token endpoint, and a door that lets through whoever brings the newest token."""

    def __init__(self) -> None:
        self.given = 0
        self.valid = 1
        self.status = 200

    def give(self, call: Call) -> Answer:
        asked = urllib.parse.parse_qs(call.body.decode())
        assert asked["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        if self.status != 200:
            return (
                self.status,
                {"Content-Type": "application/json"},
                b'{"error": "invalid_grant", "error_description": "Gone."}',
            )
        self.given += 1
        answer = {"access_token": f"token-{self.given}", "expires_in": 3600, "token_type": "Bearer"}
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    def look(self, call: Call) -> Answer:
        if call.headers.get("authorization") == f"Bearer token-{self.valid}":
            return None
        return 401, {"Content-Type": "application/json"}, b'{"error": {"code": 401, "message": "Invalid Credentials"}}'


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tokens]:
    """A service account's key in the environment, whose tokens come from this machine."""
    tokens = Tokens()
    with door(tokens.give) as endpoint:
        (tmp_path / "key.json").write_text(json.dumps(service_account(f"{endpoint.url}/token")))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(write_certificate(tmp_path / "tls.pem")))
        yield tokens


def test_a_service_account(tokens: Tokens, gs_place: Place, make: MakeValidated, tmp_path: Path) -> None:
    """One token for many requests, another once it is refused, and an error once that is refused as well."""
    with door(tokens.look, gs_place.port, tmp_path / "tls.pem") as front:
        upload(make(), gs_place.uri, endpoint=front.url)
        assert tokens.given == 1
        assert published(gs_place.uri) is not None

        tokens.valid = 3  # the next run gets token 2, which is refused
        assert upload(make(), gs_place.uri, endpoint=front.url).uploaded == 0
        assert tokens.given == 3

        tokens.valid = 9
        before = len(front.calls)
        with pytest.raises(StorageError, match="refused the credentials: 401 Invalid Credentials"):
            upload(make(), gs_place.uri, endpoint=front.url)
        assert len(front.calls) == before + 2


def test_an_account_that_is_no_more(tokens: Tokens, gs_place: Place, make: MakeValidated, tmp_path: Path) -> None:
    tokens.status = 400
    with door(tokens.look, gs_place.port, tmp_path / "tls.pem") as front:
        with pytest.raises(StorageError, match=r"no usable credentials.*invalid_grant") as caught:
            upload(make(), gs_place.uri, endpoint=front.url)
        assert front.calls == []
    assert "gcloud auth application-default login" in caught.value.remedy


def test_a_server_that_nobody_vouches_for(
    tokens: Tokens, gs_place: Place, make: MakeValidated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(write_certificate(tmp_path / "another.pem")))
    with door(tokens.look, gs_place.port, tmp_path / "tls.pem") as front:
        with pytest.raises(StorageError, match=r"cannot be reached.*certificate"):
            upload(make(), gs_place.uri, endpoint=front.url)
        assert front.calls == []


def test_no_token_goes_in_the_clear(tokens: Tokens, gs_place: Place, make: MakeValidated) -> None:
    with door(lambda call: None, gs_place.port) as front:
        upload(make(), gs_place.uri, endpoint=front.url)
        assert front.calls
        assert not [call for call in front.calls if "authorization" in call.headers]
    assert tokens.given == 0
