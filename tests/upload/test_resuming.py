"""An upload that broke off in the middle of a large file goes on inside it, or starts anew where it cannot."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.buckets import Place
from support.faults import ALWAYS, answer, cut, fault_proxy
from support.uploads import PART, journals, open_uploads, own, published
from upload.conftest import MakeValidated

from cpr.bundle import ValidatedBundle
from cpr.errors import BundleError, StorageError
from cpr.steps.abort import abort
from cpr.steps.upload import upload
from cpr.storage import open_storage
from cpr.storage.journal import Journal

LARGE = "model/large.bin"


class BreakOffError(Exception):
    pass


def break_off(place: Place, bundle: ValidatedBundle) -> None:
    """Let an upload fail in the middle of its large file: some of its parts are there."""
    seen = 0

    def stop(name: str, count: int) -> None:
        nonlocal seen
        seen += name == LARGE
        if seen == 2:
            raise BreakOffError

    with pytest.raises(BreakOffError):
        upload(bundle, place.uri, progress=stop)
    assert published(place.uri) is None


@pytest.fixture
def broken(way: Place, make: MakeValidated, noise: bytes) -> ValidatedBundle:
    """A bundle that was sent in part, and whose upload broke off."""
    bundle = make(files={"large.bin": noise, "small.bin": noise[:3000]})
    break_off(way, bundle)
    return bundle


def test_goes_on_inside_the_file_that_broke(way: Place, make: MakeValidated, noise: bytes, tmp_path: Path) -> None:
    bundle = make(files={"large.bin": noise})
    if way.kind in ("folder", "session"):
        break_off(way, bundle)
        assert [path.stat().st_mode & 0o777 for path in journals(tmp_path)] == [0o600]
        done = upload(bundle, way.uri)
    else:
        with fault_proxy(way.port, cut(1 << 20, path="partNumber=3", times=ALWAYS)) as proxy:
            with pytest.raises(StorageError, match="cannot be reached"):
                upload(bundle, way.uri, endpoint=proxy.endpoint)
            assert [path.stat().st_mode & 0o777 for path in journals(tmp_path)] == [0o600]
            tries = proxy.hits[0]
            proxy.relent()
            done = upload(bundle, way.uri, endpoint=proxy.endpoint)
        # The part that broke each time, and one that its fellow may have had under way.
        assert len(noise) <= proxy.sent("PUT", "partNumber=") <= len(noise) + (tries << 20) + PART
    assert PART <= done.bytes_resumed <= len(noise)
    assert done.bytes_sent + done.bytes_resumed >= len(noise)
    assert done.bytes_sent <= 2 * PART + 100_000
    assert published(way.uri) == bundle.bundle.manifest
    assert journals(tmp_path) == []


def forget(place: Place, journal: Path) -> None:
    """Every upload that is not complete, as stores do after a week."""
    if place.kind in ("gs", "session"):
        own(place, "DELETE", "/__uploads__")
    elif place.kind == "s3":
        storage, _ = open_storage(place.uri)
        for line in map(json.loads, filter(None, journal.read_text().splitlines())):
            if "session" in line and (parts := storage.parts(line["name"], 1, PART, line["session"])):
                parts.abort()
    else:
        for path in place.root.rglob(".*.part"):
            path.unlink()


def told(session: str) -> Callable[[Place, Path], None]:
    """The journal names another session."""

    def change(place: Place, journal: Path) -> None:
        lines = [json.loads(line) for line in journal.read_text().splitlines() if line]
        journal.write_text(
            "".join(json.dumps(line | {"session": session} if "session" in line else line) + "\n" for line in lines)
        )

    return change


@pytest.mark.parametrize("harm", [forget, told("nonsense")], ids=["forgotten", "nonsense"])
def test_a_session_that_is_good_for_nothing(
    harm: Callable[[Place, Path], None], way: Place, broken: ValidatedBundle, tmp_path: Path
) -> None:
    [journal] = journals(tmp_path)
    harm(way, journal)
    done = upload(broken, way.uri)
    assert done.bytes_resumed == 0
    assert published(way.uri) == broken.bundle.manifest
    assert journals(tmp_path) == []


ODD = [
    "",
    ".",
    "..",
    "ä ö\ud800\0\n",
    "http://[",
    "http://127.0.0.1:9/upload?upload_id=1",
    "../../../../etc/passwd",
    "x" * 5000,
]


@pytest.mark.parametrize("session", ODD, ids=range(len(ODD)))
def test_what_is_no_session_is_stale(session: str, way: Place) -> None:
    storage, prefix = open_storage(way.uri)
    assert storage.parts(f"{prefix}a/b", 3 * PART, PART, session) is None


def test_nothing_is_asked_of_another_host(
    make: MakeValidated, gs_port: int, gs_place: Place, tmp_path: Path, noise: bytes
) -> None:
    bundle = make(files={"large.bin": noise[: 9 << 20]})
    with fault_proxy(gs_port) as elsewhere:
        storage, prefix = open_storage(gs_place.uri)
        journal = Journal.beside(bundle.bundle.root, storage.uri(f"{prefix}tiny/1.2.0/"), bundle.bundle.manifest.content)
        session = f"http://127.0.0.1:{elsewhere.port}/upload/storage/v1/b/x/o?upload_id=1"
        journal.begin(f"{prefix}tiny/1.2.0/{LARGE}", session, storage.part_bytes)
        journal.close()
        assert upload(bundle, gs_place.uri).bytes_resumed == 0
        assert elsewhere.attempts == []


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
KEYS = ["session", "name", "part", "sent", "token", "crc32c", "whole", "checksums", "forget"]
LINE = st.binary(max_size=60) | st.dictionaries(st.sampled_from(KEYS), JUNK | st.just("a"), max_size=5).map(
    lambda line: json.dumps(line).encode()
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINE, max_size=6))
@example(lines=[b'{"session": "s", "name": "a", "part": Infinity}'])
@example(lines=[b'{"whole": "s", "name": "a", "checksums": []}'])
@example(lines=[b'{"sent": "1", "name": {}, "token": "", "crc32c": 1}'])
@example(lines=[b'{"part": ' + b"9" * 5000 + b"}"])
def test_a_garbled_journal_tells_what_can_be_read(lines: list[bytes], tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(b"\n".join([*lines, b'{"session": "mine", "name": "last", "part": 7}', b'{"sent": 0']))
    journal = Journal(tmp_path / "journal")
    assert journal.sessions["last"].id == "mine"
    assert all(isinstance(session.part, int) for session in journal.sessions.values())


def test_a_journal_of_depth(tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(b"[" * 100_000 + b'\n{"session": "mine", "name": "last", "part": 7}\n')
    assert Journal(tmp_path / "journal").sessions["last"].id == "mine"


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.floats(0, 1), junk=st.binary(min_size=1, max_size=30))
def test_uploads_whatever_the_journal_says(start: float, junk: bytes, make: MakeValidated, tmp_path: Path) -> None:
    bundle = make(files={"small.bin": b"x" * 3000})
    target = str(tmp_path / f"{bundle.bundle.root.name}-target")
    with pytest.raises(BreakOffError):
        upload(bundle, target, progress=raising)
    [journal] = journals(tmp_path)
    content = journal.read_bytes()
    at = int(start * len(content))
    journal.write_bytes(content[:at] + junk + content[at + len(junk) :])
    upload(bundle, target)
    assert published(target) == bundle.bundle.manifest


def raising(name: str, count: int) -> None:
    raise BreakOffError


def test_a_file_that_changed_between_the_runs(way: Place, broken: ValidatedBundle, tmp_path: Path) -> None:
    with open(broken.bundle.path(LARGE), "r+b") as file:
        file.seek(100)
        file.write(b"other")
    with pytest.raises(BundleError, match=r"altered: model/large\.bin"):
        upload(broken, way.uri)
    assert published(way.uri) is None
    nothing_under_way(way)


def test_an_altered_file_leaves_no_parts_of_another(way: Place, make: MakeValidated, noise: bytes, tmp_path: Path) -> None:
    bundle = make(files={"large.bin": noise, "later.bin": noise[: PART + 1]})
    with open(bundle.bundle.path("model/later.bin"), "r+b") as file:
        file.write(b"other")
    with pytest.raises(BundleError, match=r"altered: model/later\.bin"):
        upload(bundle, way.uri)
    storage, prefix = open_storage(way.uri)
    assert list(storage.list(prefix)) == []
    nothing_under_way(way)
    assert journals(tmp_path) == []


def nothing_under_way(place: Place) -> None:
    if place.kind in ("gs", "s3"):
        assert open_uploads(place) == []
    if place.kind == "folder":
        assert list(place.root.rglob("*.part")) == []


def test_abort_removes_objects_and_parts(way: Place, broken: ValidatedBundle, tmp_path: Path) -> None:
    if way.kind in ("gs", "s3"):
        assert [name.rpartition("/")[2] for name in open_uploads(way)] == ["large.bin"]
    abort(broken.bundle, way.uri)
    storage, prefix = open_storage(way.uri)
    assert list(storage.list(prefix)) == []
    nothing_under_way(way)
    assert journals(tmp_path) == []
    assert upload(broken, way.uri).bytes_resumed == 0


def test_abort_after_the_store_forgot(way: Place, broken: ValidatedBundle, tmp_path: Path) -> None:
    forget(way, journals(tmp_path)[0])
    abort(broken.bundle, way.uri)
    assert abort(broken.bundle, way.uri) == 0
    assert journals(tmp_path) == []


def test_abort_leaves_what_is_published(make: MakeValidated, gs_place: Place) -> None:
    bundle = make()
    upload(bundle, gs_place.uri)
    assert abort(bundle.bundle, gs_place.uri) == 0
    assert published(gs_place.uri) == bundle.bundle.manifest


def test_parts_that_we_may_not_list_are_sent_anew(make: MakeValidated, s3_place: Place, noise: bytes, impatient: None) -> None:
    """Listing parts takes a permission of its own, which many publishers do not have."""
    bundle = make(files={"large.bin": noise})
    with fault_proxy(
        s3_place.port,
        answer(403, method="PUT", path="partNumber=2", times=1),
        answer(403, method="GET", path="uploadId=", times=ALWAYS),
    ) as proxy:
        with pytest.raises(StorageError, match="may not do this"):
            upload(bundle, s3_place.uri, endpoint=proxy.endpoint)
        upload(bundle, s3_place.uri, endpoint=proxy.endpoint)
    assert proxy.hits[1] >= 1
    assert published(s3_place.uri) == bundle.bundle.manifest


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to every folder")
def test_the_journal_of_a_folder_that_cannot_be_written(
    make: MakeValidated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    bundle = make(files={"small.bin": b"x"})
    (tmp_path / "target").mkdir()
    tmp_path.joinpath("state").mkdir()
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(BreakOffError):
            upload(bundle, str(tmp_path / "target"), progress=raising)
        assert len(journals(tmp_path / "state" / "cpr")) == 1
        upload(bundle, str(tmp_path / "target"))
        assert journals(tmp_path / "state" / "cpr") == []
    finally:
        tmp_path.chmod(0o755)


def test_a_journal_that_can_be_kept_nowhere(make: MakeValidated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place is taken by a folder: that binds root, too. The upload is worth more than its record."""
    bundle = make(files={"small.bin": b"x"})
    storage, _ = open_storage(str(tmp_path / "target"))
    journal = Journal.beside(bundle.bundle.root, storage.uri("tiny/1.2.0/"), bundle.bundle.manifest.content)
    journal.begin("a", "b", 1)
    journal.close()
    [place] = journals(tmp_path)
    place.unlink()
    place.mkdir()
    assert upload(bundle, str(tmp_path / "target")).uploaded
    assert published(str(tmp_path / "target")) == bundle.bundle.manifest


def test_a_journal_left_after_publishing_goes(make: MakeValidated, tmp_path: Path) -> None:
    bundle = make()
    target = str(tmp_path / "target")
    upload(bundle, target)
    storage, _ = open_storage(target)
    journal = Journal.beside(bundle.bundle.root, storage.uri("tiny/1.2.0/"), bundle.bundle.manifest.content)
    journal.begin("a", "b", 1)
    journal.close()
    assert len(journals(tmp_path)) == 1
    upload(bundle, target)
    assert journals(tmp_path) == []
