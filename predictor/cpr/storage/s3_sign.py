"""Whose account an S3 bucket is asked with, and where it is: botocore's configuration, credentials and signatures."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import botocore.session
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.exceptions import NoCredentialsError

from cpr.storage.service import Sign
from cpr.storage.wire import Body, Wire

_AMAZON = (".amazonaws.com", ".amazonaws.com.cn")
_UNSIGNED = "UNSIGNED-PAYLOAD"
_LABEL = re.compile(r"[a-z0-9-]+")


class Account:
    """The profile of the environment (``AWS_PROFILE``), with what it says about region, endpoint and credentials.

    ``amazon`` tells whether it is Amazon's own S3 that is asked. Errors are botocore's.
    """

    def __init__(self, endpoint: str | None) -> None:
        session = botocore.session.Session()
        scoped = session.get_scoped_config()
        self.region = str(session.get_config_variable("region") or "us-east-1")
        self._url = endpoint or _configured(session) or _amazons(session, self.region)
        self.amazon = (urlsplit(self._url).hostname or "").endswith(_AMAZON)
        self.ca_file = session.get_config_variable("ca_bundle") or None
        self._by_path = (scoped.get("s3") or {}).get("addressing_style") == "path"
        self._credentials = session.get_credentials()

    def address(self, bucket: str) -> tuple[str, str]:
        """The server's URL for a bucket, and the path before the names of its objects.

        In the host on Amazon's servers; in the path on others, and where dots would spoil the certificate's name.
        """
        parts = urlsplit(self._url)
        if self.amazon and not self._by_path and _LABEL.fullmatch(bucket) and not parts.netloc.startswith(f"{bucket}."):
            return f"{parts.scheme}://{bucket}.{parts.netloc}{parts.path}", ""
        return self._url, f"/{bucket}"

    def signer(self, wire: Wire) -> Sign:
        """What adds a signature. The content's SHA-256 is part of it where the caller has set ``x-amz-content-sha256``."""
        scheme = urlsplit(self._url).scheme
        credentials, region = self._credentials, self.region

        def sign(method: str, target: str, headers: dict[str, str], body: Body) -> None:
            if credentials is None:
                raise NoCredentialsError
            request = AWSRequest(method, f"{scheme}://{wire.netloc}{target}", headers=headers)
            _Signer(credentials.get_frozen_credentials(), "s3", region).add_auth(request)
            headers.clear()
            headers.update(request.headers.items())

        return sign

    def renew(self) -> bool:
        return False  # botocore renews what expires, before it does


class _Signer(S3SigV4Auth):  # type: ignore[misc]
    """Signs the SHA-256 that is known already, and none where it is not: then a checksum of the content goes beside it."""

    def payload(self, request: AWSRequest) -> str:
        return str(self._known)

    def _modify_request_before_signing(self, request: AWSRequest) -> None:
        self._known = request.headers.get("x-amz-content-sha256", _UNSIGNED)
        super()._modify_request_before_signing(request)


def _configured(session: botocore.session.Session) -> str | None:
    provider = ConfiguredEndpointProvider(
        full_config=session.full_config, scoped_config=session.get_scoped_config(), client_name="s3"
    )
    found: str | None = provider.provide()
    return found


def _amazons(session: botocore.session.Session, region: str) -> str:
    found = session.get_component("endpoint_resolver").construct_endpoint("s3", region)
    return f"https://{found['hostname'] if found else f's3.{region}.amazonaws.com'}"
