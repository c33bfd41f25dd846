"""One client's upload of a bundle to the sink: ``clients.py NAME BUNDLE PORT`` prints seconds, those of the processor, peak
KiB.

What is timed is the transfer alone: the client made, the files sent, the answers read. Imports come before it. cpr publishes
the whole bundle, the others send the files below ``model/``. A client that is not installed ends the process with status 3.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import queue
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

MISSING = 3
BUCKET = "bench"
_MIB = 1 << 20
_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be sent: a bundle's folder, the files of its model, the port of the sink."""

    bundle: Path
    files: Sequence[Path]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def name(self, file: Path) -> str:
        return f"sent/{file.relative_to(self.bundle).as_posix()}"


Transfer: TypeAlias = Callable[[], object]
Prepare: TypeAlias = Callable[[Job], Transfer]
"""Imports what the client needs, and returns what is timed."""


def cpr_to(scheme: str) -> Prepare:
    def prepare(job: Job) -> Transfer:
        from cpr.bundle import Bundle, ValidatedBundle
        from cpr.steps.upload import upload
        from cpr.storage import open_storage

        bundle = Bundle.open(job.bundle)
        report = bundle.report()
        assert report is not None
        open_storage(f"{scheme}://{BUCKET}/warm", endpoint=job.url)  # imports what speaks the scheme
        return lambda: upload(ValidatedBundle(bundle, report), f"{scheme}://{BUCKET}/sent", endpoint=job.url)

    return prepare


def google_client(job: Job) -> Any:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    return storage.Client(project="bench", credentials=AnonymousCredentials(), client_options={"api_endpoint": job.url})


def google_loop(job: Job) -> Transfer:
    import google.cloud.storage  # noqa: F401

    def transfer() -> None:
        bucket = google_client(job).bucket(BUCKET)
        for file in job.files:
            bucket.blob(job.name(file)).upload_from_filename(str(file))

    return transfer


def google_manager(job: Job) -> Transfer:
    from google.cloud.storage import transfer_manager

    def transfer() -> None:
        bucket = google_client(job).bucket(BUCKET)
        if len(job.files) == 1:
            blob = bucket.blob(job.name(job.files[0]))
            transfer_manager.upload_chunks_concurrently(
                str(job.files[0]), blob, chunk_size=32 * _MIB, max_workers=_WORKERS, worker_type=transfer_manager.THREAD
            )
            return
        names = [str(file.relative_to(job.bundle)) for file in job.files]
        results = transfer_manager.upload_many_from_filenames(
            bucket,
            names,
            source_directory=str(job.bundle),
            blob_name_prefix="sent/",
            max_workers=_WORKERS,
            worker_type=transfer_manager.THREAD,
        )
        for result in results:
            if isinstance(result, Exception):
                raise result

    return transfer


def boto_transfer(job: Job) -> Transfer:
    import boto3
    from boto3.s3.transfer import TransferConfig, create_transfer_manager

    def transfer() -> None:
        client = boto3.client("s3", endpoint_url=job.url)
        with create_transfer_manager(client, TransferConfig(max_concurrency=_WORKERS)) as manager:
            for future in [manager.upload(str(file), BUCKET, job.name(file)) for file in job.files]:
                future.result()

    return transfer


def obstore_gs(at_a_time: int) -> Prepare:
    def prepare(job: Job) -> Transfer:
        import obstore
        from obstore.store import GCSStore

        def make() -> Any:
            key = {"gcs_base_url": job.url, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
            return GCSStore(BUCKET, service_account_key=json.dumps(key), client_options={"allow_http": True})

        return _obstore(obstore, make, job, at_a_time)

    return prepare


def obstore_s3(at_a_time: int) -> Prepare:
    def prepare(job: Job) -> Transfer:
        import obstore
        from obstore.store import S3Store

        def make() -> Any:
            return S3Store(BUCKET, endpoint=job.url, client_options={"allow_http": True})

        return _obstore(obstore, make, job, at_a_time)

    return prepare


def _obstore(obstore: Any, make: Callable[[], Any], job: Job, at_a_time: int) -> Transfer:
    async def send_all() -> None:
        store, turn = make(), asyncio.Semaphore(at_a_time)

        async def send(file: Path) -> None:
            async with turn:
                await obstore.put_async(store, job.name(file), file)

        await asyncio.gather(*map(send, job.files))

    return lambda: asyncio.run(send_all())


def bare_sockets(connections: int) -> Prepare:
    """The least that Python can do: one request for each file, its content from the kernel to the kernel, nothing summed up."""

    def prepare(job: Job) -> Transfer:
        def transfer() -> None:
            waiting: queue.SimpleQueue[Path] = queue.SimpleQueue()
            for file in job.files:
                waiting.put(file)
            threads = [
                threading.Thread(target=_send_bare, args=(job, waiting)) for _ in range(min(connections, len(job.files)))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        return transfer

    return prepare


def _send_bare(job: Job, waiting: queue.SimpleQueue[Path]) -> None:
    with socket.create_connection(("127.0.0.1", job.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                file = waiting.get_nowait()
            except queue.Empty:
                return
            target = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(job.name(file), safe='')}"
            size = file.stat().st_size
            connection.sendall(f"POST {target} HTTP/1.1\r\nHost: sink\r\nContent-Length: {size}\r\n\r\n".encode())
            with open(file, "rb") as content:
                connection.sendfile(content)
            if not connection.recv(65536).startswith(b"HTTP/1.1 200"):
                raise SystemExit("the sink refused a bare upload")


def hash_alone(job: Job) -> Transfer:
    def transfer() -> None:
        buffer = memoryview(bytearray(_MIB))
        for path in job.files:
            sha256 = hashlib.sha256()
            with open(path, "rb", buffering=0) as file:
                while count := file.readinto(buffer):
                    sha256.update(buffer[:count])

    return transfer


CLIENTS: Mapping[str, Prepare] = {
    "cpr, gs": cpr_to("gs"),
    "cpr, s3": cpr_to("s3"),
    "google-cloud-storage, loop": google_loop,
    "transfer_manager, 8 threads": google_manager,
    "boto3 transfer, 8 threads": boto_transfer,
    "obstore, gs, 16 at a time": obstore_gs(16),
    "obstore, gs, 64 at a time": obstore_gs(64),
    "obstore, s3, 16 at a time": obstore_s3(16),
    "bare sockets, 8": bare_sockets(8),
    "bare sockets, 64": bare_sockets(64),
    "SHA-256 of the content, unsent": hash_alone,
}


def main() -> None:
    name, bundle, port = sys.argv[1:]
    job = Job(Path(bundle), sorted(path for path in (Path(bundle) / "model").rglob("*") if path.is_file()), int(port))
    try:
        transfer = CLIENTS[name](job)
    except ModuleNotFoundError as error:
        sys.stderr.write(f"{error.name} is not installed\n")
        sys.stderr.flush()
        os._exit(MISSING)
    wall, own = time.perf_counter(), time.process_time()
    transfer()
    wall, own = time.perf_counter() - wall, time.process_time() - own
    print(json.dumps([wall, own, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]), flush=True)


if __name__ == "__main__":
    main()
