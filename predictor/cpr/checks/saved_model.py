"""CPR6xx: the SavedModels in the model directory, read without TensorFlow, and against the TensorFlow of the runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cpr.checks.registry import Family, Fault, Look, Subject
from cpr.manifest import MODEL_DIR
from cpr.report import Finding
from cpr.saved_model import kinds
from cpr.saved_model.findings import operations
from cpr.saved_model.kinds import KINDS, Kind
from cpr.saved_model.reader import MetaGraph

FAMILY = Family()

_OfRelease = Callable[[tuple[MetaGraph, ...], str, str], Iterator[Finding]]


def _reported(kind: Kind) -> Look:
    """What the reader found by itself."""

    def look(subject: Subject) -> Iterator[Fault]:
        for model in subject.models:
            for finding in model.findings:
                if finding.check == kind.id:
                    yield _fault(finding)

    return look


def _of_release(findings: _OfRelease) -> Look:
    """What depends on the release that will load the model: the runtime's, of which the reader was not told."""

    def look(subject: Subject) -> Iterator[Fault]:
        if subject.runtime is not None:
            for model in subject.models:
                for finding in findings(model.meta_graphs, model.where, subject.runtime.tensorflow):
                    yield _fault(finding)

    return look


def _fault(finding: Finding) -> Fault:
    return Fault(f"{MODEL_DIR}/{finding.where}", finding.message, finding.remedy, finding.severity)


# A container brings the TensorFlow of the proof.
_OF_RELEASE: dict[Kind, _OfRelease] = {
    kinds.NEWER_OPERATION: operations.unknown,
    kinds.NO_KERNEL: operations.without_kernel,
}


def _register(kind: Kind) -> None:
    FAMILY.check(
        kind.id,
        kind.title,
        severity=kind.severity,
        cause=kind.cause,
        remedy=kind.remedy,
        source=kind.source,
        prevents=kind.prevents,
        variant="routine" if kind in _OF_RELEASE else None,
    )(_of_release(_OF_RELEASE[kind]) if kind in _OF_RELEASE else _reported(kind))


for _kind in KINDS:
    _register(_kind)
