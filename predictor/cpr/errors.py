"""The errors that cpr raises on purpose. Two more stand where they belong: ``ValidationFailed``, which holds a report, in
``cpr.steps.validate``, and those with a meaning in HTTP alone in ``cpr.web``.

::

    CprError
    |-- UsageError          the command line asks for something that does not exist
    |-- ProjectError        the routine folder or its routine.yaml
    |-- BuildError          a routine folder that cannot be made into a bundle
    |-- BundleError         a bundle that is missing, altered or of a newer format
    |-- ModelError          a SavedModel that is missing, broken, or lacks a signature
    |-- PredictorError      the author's own code failed; holds their traceback as text
    |-- RequestError        a prediction request that does not fit the protocol or the model
    |   `-- RequestTooLarge
    |-- RemoteError         a prediction server answered with an error
    |-- StorageError        a bucket or folder refused, or does not exist
    |   |-- VersionExists   other content is already published under this version
    |   `-- ChecksumError   what the store holds is not what was sent
    |-- OutputError         a file or folder cannot be written
    |-- ServingError        an address that cannot be served on
    |-- TargetError         an unknown target, machine or runtime, or a config refused by its schema
    |-- RequirementsError   requirements that cannot be locked or installed
    |   |-- NoSolution      no versions of them fit together
    |   |-- NoWheel         a package has no wheel for the target; names them all
    |   `-- IndexUnreachable  the package index does not answer
    `-- MissingExtra        an optional dependency is not installed

This module runs on Python 3.7: it travels with every routine that imports cpr.
"""

from typing import Optional, Sequence


class CprError(Exception):
    """A problem with a cause and a remedy.

    ``message`` says what is wrong, ``remedy`` what to do about it, and ``where`` names the file, key or object it is about
    (``None`` where that says nothing). ``str(error)`` is the message alone.
    """

    def __init__(self, message: str, remedy: str, where: Optional[str] = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.where = where


class UsageError(CprError):
    """The command line asks for something that does not exist."""


class ProjectError(CprError):
    """The routine folder or its routine.yaml."""


class BuildError(CprError):
    """A routine folder that cannot be made into a bundle."""


class BundleError(CprError):
    """A bundle that is missing, altered or of a newer format."""


class ModelError(CprError):
    """A SavedModel that is missing, broken, or lacks a signature."""


class PredictorError(CprError):
    """The author's own code failed.

    ``traceback`` holds their traceback as text, without any frame of cpr; empty where there is none.
    """

    def __init__(self, message: str, remedy: str, where: Optional[str] = None, traceback: str = "") -> None:
        super().__init__(message, remedy, where)
        self.traceback = traceback


class RequestError(CprError):
    """A prediction request that does not fit the protocol or the model."""


class RequestTooLarge(RequestError):
    """A request body above the limit."""


class RemoteError(CprError):
    """A prediction server answered with an error."""


class StorageError(CprError):
    """A bucket or folder refused, or does not exist."""


class VersionExists(StorageError):
    """Other content is already published under this version."""


class ChecksumError(StorageError):
    """What the store holds is not what was sent."""


class OutputError(CprError):
    """A file or folder cannot be written."""


class ServingError(CprError):
    """An address that cannot be served on."""


class TargetError(CprError):
    """An unknown target, machine or runtime, or a config refused by its schema."""


class RequirementsError(CprError):
    """Requirements that cannot be locked or installed."""


class NoSolution(RequirementsError):
    """No versions of the requirements fit together on the target."""


class NoWheel(RequirementsError):
    """Packages have no wheel for the target's Python and platform.

    ``packages`` names them all; ``absent`` those that have no source distribution either, so that nothing could be compiled.
    """

    def __init__(self, packages: Sequence[str], absent: Sequence[str], message: str, remedy: str) -> None:
        super().__init__(message, remedy, "requirements")
        self.packages = tuple(packages)
        self.absent = tuple(absent)


class IndexUnreachable(RequirementsError):
    """The package index does not answer."""


class MissingExtra(CprError):
    """An optional dependency is not installed."""

    def __init__(self, extra: str, needed_for: str) -> None:
        super().__init__(
            "{} needs packages that are not installed.".format(needed_for),
            "pip install 'cpr-kit[{}]'".format(extra),
        )
        self.extra = extra
