"""Look at a SavedModel, a bundle or a folder, here or in a bucket, and compare two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cpr.errors import ModelError, UsageError
from cpr.saved_model import kinds
from cpr.saved_model.checkpoint import INDEX_NAME
from cpr.saved_model.extras import FINGERPRINT_NAME, WARMUP_NAME
from cpr.saved_model.findings.place import MANIFEST_NAME
from cpr.saved_model.objects import KERAS_METADATA
from cpr.saved_model.reader import PB_NAME, PBTXT_NAME
from cpr.saved_model.survey import Survey, survey, survey_tree
from cpr.saved_model.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

    from cpr.report import Finding
    from cpr.saved_model.comparison import Comparison
    from cpr.storage.listing import Listing

Progress = Callable[[str], None]
"""Called with a sentence when something takes its time."""

MOST_FETCHED = 512 << 20
"""The most bytes that are fetched from a bucket to read a folder of it: a quarter of what protobuf allows a graph to have."""

_MOST_ASSETS = 64 << 20
_MOST_POINTERS = 200
_POINTER_SIZES = range(100, 1024)
"""A Git LFS pointer spells out a hash of 64 digits, and has less than 1024 bytes by its specification."""

_OF_MODEL = (PB_NAME, PBTXT_NAME, INDEX_NAME, FINGERPRINT_NAME, KERAS_METADATA, WARMUP_NAME)

_SHOWN = 8
"""Names of a long list that a message has."""


def inspect(
    place: Path | str,
    *,
    verify: bool = False,
    tensorflow: str | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> Survey:
    """What the folder ``place`` holds, or the folder of a bucket (``gs://…``, ``s3://…``), and what is wrong with it.

    Where versions of a published routine lie below a URI, its newest one is meant.
    TensorFlow is not imported, and from a bucket no weights are fetched. ``verify`` recomputes the checksum of every tensor;
    weights in a bucket are not read for that. ``tensorflow`` is the release that should load the models (``2.11``).
    ``endpoint`` is another server that speaks the store's protocol. ``ModelError`` where there is nothing to look at,
    ``StorageError`` where a bucket refuses, ``UsageError`` for an unknown release.
    """
    release = None if tensorflow is None else _release(tensorflow)
    folder = _local(place, progress)
    if folder is not None:
        if endpoint is not None:
            raise _no_bucket(str(place))
        return survey(folder, verify=verify, tensorflow=release)
    if verify:
        raise UsageError(
            "The weights in a bucket are not fetched, so their checksums cannot be recomputed.",
            f"Copy them first, `{_copy(str(place))}`, and verify the copy.",
            str(place),
        )
    with _surveyed(str(place), endpoint, progress, tensorflow=release) as found:
        return found


def compare(a: Path | str, b: Path | str, *, endpoint: str | None = None, progress: Progress | None = None) -> Comparison:
    """What differs between two models; each may be a folder or the folder of a bucket.

    ``ModelError`` where one of them holds no model that can be read.
    """
    from cpr.saved_model.comparison import compare_surveys

    if endpoint is not None and None not in (_local(a), _local(b)):
        raise _no_bucket(str(a))
    with _opened(a, endpoint, progress) as first, _opened(b, endpoint, progress) as second:
        return compare_surveys(first, second)


@contextmanager
def _opened(place: Path | str, endpoint: str | None, progress: Progress | None) -> Iterator[Survey]:
    folder = _local(place, progress)
    if folder is not None:
        yield survey(folder)
    else:
        with _surveyed(str(place), endpoint, progress, assets=True) as found:
            yield found


def _no_bucket(place: str) -> UsageError:
    return UsageError("An endpoint is for gs:// and s3:// alone.", "Leave out the endpoint.", place)


def _local(place: Path | str, progress: Progress | None = None) -> Path | str | None:
    """The path of a folder on this machine; ``None`` for a bucket's. A routine's ``file://`` means its newest version."""
    if not isinstance(place, str) or ":" not in place:
        return place
    from cpr.storage.location import Location, is_uri  # where they are not needed their imports would be the most of the time

    if not is_uri(place):
        return place
    location = Location.parse(place)
    if location.bucket:
        return None
    from cpr.storage import open_storage
    from cpr.storage.versions import newest

    storage, prefix = open_storage(place)
    version = None if storage.stat(MANIFEST_NAME) is not None else newest(storage, prefix)
    if version is None:
        return location.path
    _tell(progress, version, storage.uri(version))
    return f"{location.path}/{version}"


@contextmanager
def _surveyed(
    uri: str, endpoint: str | None, progress: Progress | None, *, tensorflow: str | None = None, assets: bool = False
) -> Iterator[Survey]:
    """What a bucket's folder holds; the files that were fetched for it are there as long as the context lasts."""
    import tempfile
    from pathlib import Path

    from cpr.storage.listing import list_folder

    listing = _of_newest(list_folder(_folder_uri(uri), endpoint=endpoint), progress)
    if not listing.files and not listing.strange:
        raise _nothing(listing)
    wanted = _needed(listing.files, assets)
    size = sum(listing.files[path] for path in wanted)
    if size > MOST_FETCHED:
        raise _too_large(listing, wanted)
    if progress is not None:
        total = sum(listing.files.values())
        progress(f"Fetching {len(wanted)} of {len(listing.files)} files of {listing.uri} ({size:,} of {total:,} bytes)")
    with tempfile.TemporaryDirectory(prefix="cpr-inspect-", ignore_cleanup_errors=True) as temporary:
        root = Path(temporary) / "bucket"
        root.mkdir()
        listing.fetch(wanted, root)
        found = survey_tree(Tree(root, listing.files, listing.uri), tensorflow=tensorflow)
        yield found._replace(findings=(*found.findings, *_strange(listing)))


def _of_newest(listing: Listing, progress: Progress | None) -> Listing:
    """Where the versions of a published routine lie below: the newest one's."""
    from cpr.storage.versions import newest_first

    versions = newest_first(listing.folders_with(MANIFEST_NAME))
    if MANIFEST_NAME in listing.files or not versions:
        return listing
    found = listing.inside(versions[0])
    _tell(progress, versions[0], found.uri)
    return found


def _tell(progress: Progress | None, version: str, uri: str) -> None:
    if progress is not None:
        progress(f"The newest version there is {version}: {uri}")


def _folder_uri(uri: str) -> str:
    """The folder's own address, where that of the graph file in it was given."""
    head, _, name = uri.rpartition("/")
    return head if name in (PB_NAME, PBTXT_NAME) else uri


def _needed(files: Mapping[str, int], assets: bool) -> list[str]:
    """What the reader opens: never weights, but for files so small that they may be Git LFS pointers in their place."""
    models = {path.rpartition("/")[0] for path in files if path.rpartition("/")[2] in (PB_NAME, PBTXT_NAME)}
    opened = [f"{folder}/{name}".lstrip("/") for folder in sorted(models) for name in _OF_MODEL]
    read = [path for path in files if _part_of(path, models, ("variables", "assets"))]
    pointers = [path for path in read if files[path] in _POINTER_SIZES][:_MOST_POINTERS]
    compared = _within([path for path in read if _part_of(path, models, ("assets",))], files) if assets else ()
    return list(dict.fromkeys(path for path in (MANIFEST_NAME, *opened, *pointers, *compared) if path in files))


def _part_of(path: str, models: set[str], folders: tuple[str, ...]) -> bool:
    """Whether the file lies in one of these folders of a model."""
    parts = path.split("/")
    return any(part in folders and "/".join(parts[:at]) in models for at, part in enumerate(parts[:-1]))


def _within(paths: list[str], files: Mapping[str, int]) -> Iterator[str]:
    """The smallest files, as many as may be fetched for their content to be compared."""
    left = _MOST_ASSETS
    for path in sorted(paths, key=lambda path: files[path]):
        left -= files[path]
        if left < 0:
            return
        yield path


def _release(tensorflow: str) -> str:
    """``2.11`` for ``2.11``, ``2.11.1`` and ``2.11.0rc1``; ``UsageError`` for one that the tables do not know."""
    from cpr.saved_model.operations import releases

    known = releases()
    short = ".".join(tensorflow.split(".")[:2])
    if short not in known:
        raise UsageError(
            f"TensorFlow {tensorflow} is not a release whose operations are known.",
            f"Known are {', '.join(known)}.",
            "--tensorflow",
        )
    return short


def _strange(listing: Listing) -> Iterator[Finding]:
    """CPR616: objects that are left out, because their names are no paths."""
    if not listing.strange:
        return
    count, shown = len(listing.strange), ", ".join(map(repr, listing.strange[:_SHOWN]))
    more = ", …" if count > _SHOWN else ""
    has = "1 object has a name" if count == 1 else f"{count} objects have names"
    yield kinds.STRANGE_NAMES.at(".", f"{has} that no folder can hold, left out here and by copies: {shown}{more}.")


def _nothing(listing: Listing) -> ModelError:
    """Says what lies beside the name that is not there: mostly it was spelt differently."""
    import difflib

    storage, name = listing.storage, listing.prefix.rstrip("/")
    if name and storage.stat(name) is not None:
        return ModelError(
            f"{listing.uri} is an object, not a SavedModel's folder.",
            "Name the folder that holds saved_model.pb, or a bundle.",
            listing.uri,
        )
    remedy = "Check its spelling; there is nothing in the bucket at all." if name else "Put a model there first."
    while name:
        name, _, last = name.rpartition("/")
        prefix = f"{name}/" if name else ""
        beside = storage.folders(prefix)
        near = difflib.get_close_matches(last, beside, n=1)
        if near:
            remedy = f"Did you mean {storage.uri(prefix + near[0])}?"
        elif beside:
            more = ", …" if len(beside) > _SHOWN else ""
            remedy = f"{storage.uri(name)} holds the folders {', '.join(beside[:_SHOWN])}{more}."
        if beside:
            break
    return ModelError(f"There is nothing at {listing.uri}.", remedy, listing.uri)


def _too_large(listing: Listing, wanted: list[str]) -> ModelError:
    largest = max(wanted, key=lambda path: listing.files[path])
    return ModelError(
        f"To read {listing.uri}, {sum(listing.files[path] for path in wanted):,} bytes would have to be fetched; "
        f"{MOST_FETCHED:,} are the most. The largest file is {largest} with {listing.files[largest]:,}.",
        f"Name a folder further down, or copy it first: `{_copy(listing.uri)}`.",
        listing.uri,
    )


def _copy(uri: str) -> str:
    """The command that copies a bucket's folder to this machine."""
    import shlex

    tool = "aws s3 cp --recursive" if uri.startswith("s3://") else "gcloud storage cp -r"
    return f"{tool} {shlex.quote(uri)} FOLDER"
