"""CPR701 to CPR708: pickles and HDF5 files among the artifacts, by what they say and without loading them."""

from __future__ import annotations

from collections.abc import Iterator

from cpr.checks.pickle_names import loads_pickles, unknown_modules
from cpr.checks.pickle_versions import library_faults
from cpr.checks.registry import Family, Fault, Subject
from cpr.content.catalogue import danger, newest_protocol
from cpr.content.files import FoundPickle
from cpr.content.hdf5 import kind_of
from cpr.report import Severity

FAMILY = Family()

_DOCS = "the documentation of Python's pickle module"


def _some(items: list[str], most: int = 4) -> str:
    rest = len(items) - most
    return ", ".join(items[:most]) + (f" and {rest} more" if rest > 0 else "")


@FAMILY.check(
    "CPR701",
    "A pickle cannot be read",
    cause="The file is cut, or holds what no unpickler takes: an upload or a copy that was broken off, a text file with the "
    "name of a pickle, or a pointer of Git LFS in its place.",
    remedy="Write the file anew, or name it under `exclude` in routine.yaml where nothing reads it.",
    source=_DOCS,
    prevents="pickle data was truncated",
)
def unreadable(subject: Subject) -> Iterator[Fault]:
    for found in subject.pickles:
        if found.problem and (found.recognised or found.compression):
            sure = loads_pickles(subject) and found.recognised and (found.cut or not found.facts.arrays)
            yield Fault(found.path, f"It is no whole pickle: {found.problem}.", severity=None if sure else Severity.WARNING)
        elif found.problem:
            yield Fault(found.path, f"It is named as a pickle and is none: {found.problem}.", severity=Severity.WARNING)
        elif found.unread:
            message = f"The pickle was not looked through to its end: {found.unread}."
            yield Fault(found.path, message, "Nothing need be done; what follows there was not checked.", Severity.NOTE)


@FAMILY.check(
    "CPR702",
    "A pickle has a protocol that the target's Python does not read",
    cause="Each Python reads the pickle protocols that it knows: up to 2 before 3.0, up to 4 before 3.8, and 5 from there on.",
    remedy="Write it with an older protocol: `pickle.dump(obj, file, protocol=4)` or `joblib.dump(obj, path, protocol=4)`; for "
    "Python 2.7, 2.",
    source="PEP 3154, PEP 574; Google's prediction library in gcloud 528.0.0, prediction_utils.py",
)
def newer_protocol(subject: Subject) -> Iterator[Fault]:
    newest = None if subject.python is None else newest_protocol(subject.python)
    for found in subject.pickles:
        if newest is not None and found.facts.protocol > newest and not (found.problem and not found.recognised):
            message = f"It is written with protocol {found.facts.protocol}; Python {subject.python} reads up to {newest}."
            backport = any(b"pickle5" in content for content in subject.sources.values())
            sure = loads_pickles(subject) and not backport
            remedy = f"Write it with protocol {newest}: `protocol={newest}` in the call that dumps it."
            if found.path.endswith(".joblib") and newest < 5:
                remedy += " joblib writes arrays of objects with the newest of all; dump lists in their place."
            yield Fault(found.path, message, remedy, None if sure else Severity.WARNING)


@FAMILY.check(
    "CPR703",
    "A file of joblib is named as a plain pickle",
    severity=Severity.WARNING,
    cause="joblib lays arrays between the opcodes, or compresses the whole: pickle.load stumbles over that, and joblib.load "
    "does not. The reverse does no harm, for joblib.load reads a plain pickle as well.",
    remedy="Load it with joblib.load and name it .joblib, or write it with pickle.dump.",
    source="https://cloud.google.com/ai-platform/prediction/docs/troubleshooting",
)
def joblib_named_pickle(subject: Subject) -> Iterator[Fault]:
    if any(b"joblib" in content or b"read_pickle" in content for content in subject.sources.values()):
        return
    for found in subject.pickles:
        if found.is_joblib and found.path.endswith((".pkl", ".pickle")) and not found.problem and loads_pickles(subject):
            what = f"compressed with {found.compression}" if found.compression else "with arrays laid between its opcodes"
            if found.compression and not found.facts.arrays and _unpacks(subject):
                continue
            yield Fault(found.path, f"It is a file of joblib, {what}, and nothing in the package mentions joblib.")


def _unpacks(subject: Subject) -> bool:
    return any(word in content for content in subject.sources.values() for word in (b"gzip", b"bz2", b"lzma", b"zlib"))


@FAMILY.check(
    "CPR704",
    "A pickle names a module that is not there",
    cause="A pickle holds no code: it names each class by module, which must be importable where it is loaded. What was "
    "defined in a training script or a notebook is named in `__main__`, and there that is the service's own program.",
    remedy="Define the class in a module of the package, import it from there in the training code, and write the pickle anew.",
    source=f"{_DOCS}; https://stackoverflow.com/questions/59917440",
)
def missing_modules(subject: Subject) -> Iterator[Fault]:
    for found in subject.pickles:
        yield from unknown_modules(subject, found)


@FAMILY.check(
    "CPR705",
    "A pickle was written with other versions of its libraries than it is loaded with",
    severity=Severity.WARNING,
    cause="Libraries rename modules and change what their objects hold; only the version that wrote a pickle surely reads it.",
    remedy="Train with the version that the target has, or declare the one that was trained with under `requirements`, pinned.",
    source="https://github.com/GoogleCloudPlatform/cloudml-samples/issues/419; "
    "https://scikit-learn.org/stable/model_persistence.html",
)
def library_versions(subject: Subject) -> Iterator[Fault]:
    for found in subject.pickles:
        yield from library_faults(subject, found)


@FAMILY.check(
    "CPR707",
    "A pickle runs more than it makes",
    cause="Loading a pickle calls what it names. A model needs no shell, no eval, no sockets; one that names them was made to "
    "do harm, or by mistake.",
    remedy="Do not load it. Find out who wrote it, and write the artifact anew from a source that you trust.",
    source=f"{_DOCS}: never unpickle data that could have come from an untrusted source",
)
def dangerous(subject: Subject) -> Iterator[Fault]:
    for found in subject.pickles:
        yield from _dangers(found)


def _dangers(found: FoundPickle) -> Iterator[Fault]:
    facts = found.facts
    called = [str(name) for name in facts.called if danger(str(name)) == "runs"]
    called += [f"{owner}.{name}" for owner, name in facts.reached if danger(f"{owner}.{name}") == "runs"]
    if called:
        yield Fault(found.path, f"Loading it calls {_some(called)}.")
    named = [str(name) for name in facts.names if danger(str(name)) and str(name) not in called]
    if named:
        yield Fault(found.path, f"It names {_some(named)}, which no model needs.", severity=Severity.WARNING)
    hidden = [name for owner, name in facts.reached if f"{owner}.{name}" not in called]
    if hidden:
        message = f"Loading it looks up {_some(hidden)} with getattr, and calls what it finds."
        yield Fault(found.path, message, severity=Severity.WARNING)


@FAMILY.check(
    "CPR708",
    "An HDF5 file is not Keras's",
    severity=Severity.WARNING,
    cause="PyTables and pandas read their tables through a library that the service's file system does not suit, and that no "
    "runtime is known to have.",
    remedy="Write the table as a .npz, a .csv or a pickle, or declare `tables` under `requirements` and try it on the target.",
    source="a public routine's README",
    prevents="Unexpected error when loading the model: Support for generic buffers has not been implemented",
)
def tables(subject: Subject) -> Iterator[Fault]:
    for entry in subject.bundle.manifest.model_files:
        if entry.path.lower().endswith((".h5", ".hdf5", ".hdf", ".h5py", ".hd5")):
            kind = kind_of(subject.bundle.path(entry.path))
            if kind == "tables":
                yield Fault(entry.path, "It is a table of PyTables or pandas.")
            elif kind == "other" and not any(b"h5py" in content for content in subject.sources.values()):
                message = "It is an HDF5 file without the marks of Keras, and nothing in the package mentions h5py."
                yield Fault(entry.path, message, severity=Severity.NOTE)
