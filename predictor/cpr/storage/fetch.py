"""Fetch a published bundle: verified, a file at a time whole or not at all, the manifest last; a later run goes on."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from cpr.bundle import Bundle
from cpr.errors import OutputError
from cpr.manifest import MANIFEST_NAME, VALIDATION_NAME
from cpr.report import Report
from cpr.storage.landing import Landing, alone, beside_of, survey
from cpr.storage.published import Source, find_manifest, open_source, read_published, read_version
from cpr.storage.receive import Progress, Receiver, unwritable

__all__ = ["Fetch", "fetch_bundle", "find_manifest", "read_published", "read_version"]


@dataclass(frozen=True, slots=True)
class Fetch:
    """A fetch that was looked at and has not begun: where from, and what is there already."""

    source: Source
    landing: Landing
    report: Report | None

    @classmethod
    def plan(cls, source: Source, folder: Path | str) -> Fetch:
        """Hash what is in ``folder``. ``OutputError`` where it holds anything but this bundle or a part of it."""
        landing = survey(Path(folder), source.manifest)
        return cls(source, landing, None if landing.whole or landing.has_record else source.report())

    @property
    def sizes(self) -> Mapping[str, int]:
        """The bytes still to come, by path."""
        return {entry.path: entry.size - self.landing.begun.get(entry.path, 0) for entry in self.landing.missing}

    def run(self, progress: Progress | None = None) -> Bundle:
        """Fetch what is missing.

        A file is compared with the manifest's SHA-256 before it gets its name; one that is damaged comes once more.
        ``ChecksumError`` where it is again, ``StorageError`` where it cannot be had, ``OutputError`` where the folder cannot be
        written. What has arrived stays for the next run.
        """
        root = self.landing.root
        with alone(root):
            self._refuse_too_large()
            self._receive(progress or _silent)
            try:
                if self.report is not None:
                    _write(root / VALIDATION_NAME, self.report.to_text())
                if not self.landing.whole:
                    _write(root / MANIFEST_NAME, self.source.manifest.to_json())
            except OSError as error:
                raise unwritable(error, root) from error
        return Bundle.open(root)

    def _refuse_too_large(self) -> None:
        needed, free = sum(self.sizes.values()), shutil.disk_usage(self.landing.root).free
        if needed > free:
            raise OutputError(
                f"{self.landing.root} has room for {free:,} bytes, and {needed:,} are to come.",
                "Free some space there, or name another folder.",
                str(self.landing.root),
            )

    def _receive(self, progress: Progress) -> None:
        source, root, stop = self.source, self.landing.root, Event()
        receiver = Receiver(source.storage, source.prefix, progress, stop)
        with ThreadPoolExecutor(source.storage.parallel) as pool:
            try:
                for entry in self.landing.missing:
                    if receiver.is_large(entry):
                        receiver.file(entry, root, pool)
                small = [entry for entry in self.landing.missing if not receiver.is_large(entry)]
                for done in as_completed([pool.submit(receiver.file, entry, root) for entry in small]):
                    done.result()
            except BaseException:
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise


def fetch_bundle(uri: str, folder: Path | str, *, endpoint: str | None = None, progress: Progress | None = None) -> Bundle:
    """Copy the bundle published at ``uri`` into ``folder``; see :func:`cpr.steps.download.download`."""
    return Fetch.plan(open_source(uri, endpoint=endpoint), folder).run(progress)


def _write(path: Path, text: str) -> None:
    beside = beside_of(path)
    try:
        beside.write_text(text, encoding="ascii", newline="")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _silent(path: str, count: int) -> None:
    pass
