"""What goes wrong at Google Cloud Storage, said for a person: what it is, and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from google.auth import exceptions as auth

from cpr.errors import StorageError
from cpr.storage.base import NOT_UNDERSTOOD
from cpr.storage.service import Service, Unreachable
from cpr.storage.wire import Answer, BrokenWire, SinkFailed, excerpt


class GoogleErrors:
    """For a store with a bucket and a service: every failure becomes a ``StorageError`` with a remedy."""

    _bucket: str
    _service: Service

    def uri(self, name: str) -> str:
        return f"gs://{self._bucket}" + (f"/{name}" if name else "")

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Turn what can go wrong on the way into one ``StorageError`` that says what to do."""
        uri, bucket = self.uri(name), f"gs://{self._bucket}"
        try:
            yield
        except (Unreachable, BrokenWire, auth.TransportError) as error:
            host = self._service.wire.netloc if hasattr(self, "_service") else "Google's sign-in"
            raise StorageError(
                f"{host} cannot be reached: {excerpt(str(error))}.",
                "Check the network, any proxy, and STORAGE_EMULATOR_HOST or the endpoint if set; then run it again.",
                uri,
            ) from error
        except auth.GoogleAuthError as error:
            detail = excerpt(str(error))
            clock = "reasonable timeframe" in detail
            raise StorageError(
                f"There are no usable credentials for {bucket}: {detail}.",
                "Set this machine's clock: it is wrong by minutes."
                if clock
                else "Run `gcloud auth application-default login`, or point GOOGLE_APPLICATION_CREDENTIALS at a key file.",
                uri,
            ) from error
        except SinkFailed as failure:
            raise failure.error from failure

    def _refusal(self, answer: Answer, name: str) -> StorageError:
        uri, bucket, detail = self.uri(name), f"gs://{self._bucket}", _reason(answer)
        if answer.status == 404:
            return StorageError(
                f"The bucket {bucket} does not exist.",
                f"Check its name, or create it: `gcloud storage buckets create {bucket}`.",
                uri,
            )
        if answer.status == 401:
            return StorageError(
                f"{bucket} refused the credentials: {detail}.", "Run `gcloud auth application-default login` again.", uri
            )
        if answer.status == 403:
            return StorageError(
                f"These credentials may not do this in {bucket}: {detail}.",
                f"Ask for roles/storage.objectUser (objectViewer, where you only read): `gcloud storage buckets "
                f"add-iam-policy-binding {bucket} --member=user:YOU --role=roles/storage.objectUser`.",
                uri,
            )
        return StorageError(f"{bucket} answered with an error: {detail}.", "Run it again; what is there already is kept.", uri)

    @contextmanager
    def _understood(self, name: str) -> Iterator[None]:
        try:
            yield
        except NOT_UNDERSTOOD as error:
            raise StorageError(
                f"gs://{self._bucket} answered with something else than the JSON of Google Cloud Storage.",
                "Check STORAGE_EMULATOR_HOST or the endpoint if set, and any proxy.",
                self.uri(name),
            ) from error

    def _good(self, answer: Answer, name: str) -> Answer:
        if answer.status >= 300:
            raise self._refusal(answer, name)
        return answer


def _reason(answer: Answer) -> str:
    """What the server said: Google's JSON, or else the start of its text; the status where it said nothing."""
    try:
        said = json.loads(answer.body)["error"]
        text = str(said["message"] if isinstance(said, dict) else said)
    except NOT_UNDERSTOOD:
        text = answer.body[:300].decode("utf-8", "replace")
    return excerpt(f"{answer.status} {text}")
