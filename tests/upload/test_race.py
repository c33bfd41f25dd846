"""Many publishers at once: one wins, and the others are told who and what."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.buckets import Place
from support.uploads import published
from upload.conftest import MakeValidated

from cpr.bundle import ValidatedBundle
from cpr.errors import CprError, VersionExists
from cpr.steps.upload import Upload, upload
from cpr.storage import open_storage
from cpr.storage.claim import CLAIM_NAME

PUBLISHERS = 16


def race(bundles: Sequence[ValidatedBundle], uri: str) -> list[Upload | CprError]:
    start = threading.Barrier(len(bundles))

    def publish(bundle: ValidatedBundle) -> Upload | CprError:
        start.wait()
        try:
            return upload(bundle, uri)
        except CprError as error:
            return error

    with ThreadPoolExecutor(len(bundles)) as pool:
        return list(pool.map(publish, bundles))


def test_publishers_of_different_content_have_one_winner(
    place: Place, make: MakeValidated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPR_PUBLISHER", "robot 7@ci")
    # Every bundle has a file that all share a name for, so that a loser's write would spoil the winner's.
    bundles = [make(factor=str(number), files={"shared.bin": bytes([number]) * 300_000}) for number in range(PUBLISHERS)]
    for number in range(2):
        uri = f"{place.uri}/round-{number}"
        results = race(bundles, uri)
        winners = [result for result in results if isinstance(result, Upload)]
        losers = [result for result in results if isinstance(result, CprError)]
        assert len(winners) == 1, results
        assert published(uri) == winners[0].manifest
        told(losers, winners[0], "robot 7@ci" if place.kind in ("gs", "s3") else "")


def told(losers: Sequence[CprError], winner: Upload, publisher: str) -> None:
    assert len(losers) == PUBLISHERS - 1
    for loser in losers:
        assert isinstance(loser, VersionExists), repr(loser)
        assert winner.digest in loser.message
        assert publisher in loser.message


def test_publishers_of_the_same_content_all_succeed(place: Place, make: MakeValidated) -> None:
    results = race([make() for _ in range(PUBLISHERS // 2)] * 2, place.uri)  # two each from the same folder
    assert all(isinstance(result, Upload) for result in results), results
    assert published(place.uri) is not None
    storage, prefix = open_storage(place.uri)
    assert not [name for name in storage.list(prefix) if name.endswith(CLAIM_NAME)]
