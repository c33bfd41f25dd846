"""What goes wrong at S3, said for a person: what it is, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as boto

from cpr.errors import ChecksumError, StorageError
from cpr.storage.base import NOT_UNDERSTOOD
from cpr.storage.multipart import parse, text_of
from cpr.storage.service import Service, Unreachable
from cpr.storage.wire import Answer, BrokenWire, SinkFailed, excerpt

NO_BUCKET = {"NoSuchBucket"}
_DAMAGED = {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
_BAD_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AuthFailure"}
_BAD_CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}
_ELSEWHERE = {"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}


class S3Errors:
    """For a store with a bucket and a service: every failure becomes a ``StorageError`` with a remedy."""

    _bucket: str
    _region: str
    _service: Service

    def uri(self, name: str) -> str:
        return f"s3://{self._bucket}" + (f"/{name}" if name else "")

    def _good(self, answer: Answer, name: str) -> Answer:
        if answer.status >= 300:
            raise self._refusal(answer, name)
        return answer

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Turn what can go wrong on the way into one ``StorageError`` that says what to do."""
        uri, bucket = self.uri(name), f"s3://{self._bucket}"
        try:
            yield
        except (Unreachable, BrokenWire) as error:
            raise StorageError(
                f"{self._service.wire.netloc} cannot be reached: {excerpt(str(error))}.",
                "Check the network, any proxy, and AWS_ENDPOINT_URL or the endpoint if set; then run it again.",
                uri,
            ) from error
        except (boto.ProfileNotFound, boto.ConfigParseError, boto.InvalidRegionError, boto.NoRegionError) as error:
            raise StorageError(
                f"The AWS configuration does not work: {excerpt(str(error))}.", "Run `aws configure`.", uri
            ) from error
        except boto.BotoCoreError as error:
            raise StorageError(
                f"There are no usable credentials for {bucket}: {excerpt(str(error))}.",
                "Run `aws configure`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (for GCS: an HMAC key, made with "
                "`gcloud storage hmac create SERVICE_ACCOUNT`).",
                uri,
            ) from error
        except SinkFailed as failure:
            raise failure.error from failure

    @contextmanager
    def _understood(self, name: str) -> Iterator[None]:
        try:
            yield
        except NOT_UNDERSTOOD as error:
            raise StorageError(
                f"s3://{self._bucket} answered with something else than S3 does: {excerpt(str(error))}.",
                "Check AWS_ENDPOINT_URL or the endpoint if set, and any proxy.",
                self.uri(name),
            ) from error

    def _refusal(self, answer: Answer, name: str) -> StorageError:
        uri, bucket, code, detail = self.uri(name), f"s3://{self._bucket}", code_of(answer), _reason(answer)
        if code in NO_BUCKET or answer.status == 404:
            return StorageError(
                f"The bucket {bucket} does not exist.", f"Check its name, or create it: `aws s3 mb {bucket}`.", uri
            )
        if code in _DAMAGED:
            return ChecksumError(
                f"{uri} was damaged on its way: {detail}.", "Run it again; suspect a proxy or the network.", uri
            )
        if code in _BAD_CLOCK:
            return StorageError(
                f"{bucket} refused the request for its time: {detail}.", "Set this machine's clock, and run it again.", uri
            )
        region = answer.header("x-amz-bucket-region") or _region(answer)
        if code in _ELSEWHERE or answer.status in (301, 307) or (region and region != self._region and answer.status >= 400):
            place = f"in the region {region}" if region else "in another region"
            return StorageError(
                f"The bucket {bucket} is {place}, and {self._region} was asked.",
                f"Set AWS_REGION={region or 'REGION'}, or the profile's region, and run it again.",
                uri,
            )
        if code in _BAD_KEYS or answer.status == 401:
            return StorageError(
                f"{self._service.wire.netloc} refused the credentials: {detail}.",
                "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws configure`.",
                uri,
            )
        if answer.status == 403:
            return StorageError(
                f"These credentials may not do this in {bucket}: {detail}.",
                "Ask for s3:ListBucket on the bucket and s3:GetObject on its objects; to publish, s3:PutObject and "
                "s3:DeleteObject, too.",
                uri,
            )
        return StorageError(f"{bucket} answered with an error: {detail}.", "Run it again; what is there already is kept.", uri)


def code_of(answer: Answer) -> str:
    """The error's name; empty where the answer had no body (HEAD) or none that S3 would write."""
    try:
        return text_of(parse(answer.body), "Code")
    except ValueError:
        return ""


def _region(answer: Answer) -> str:
    try:
        return text_of(parse(answer.body), "Region")
    except ValueError:
        return ""


def _reason(answer: Answer) -> str:
    try:
        document = parse(answer.body)
        text = f"{text_of(document, 'Code')}: {text_of(document, 'Message')}"
    except ValueError:
        text = answer.body[:300].decode("utf-8", "replace")
    return excerpt(f"{answer.status} {text}")
