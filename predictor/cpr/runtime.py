"""Load a routine as the service does, once, and run it: one request in, one list of predictions out.

What the service does is known from the prediction library that Google ships inside gcloud (``third_party/ml_sdk`` of SDK
528.0.0). The class is looked up with ``pydoc.locate``. It must have ``from_path`` and ``predict``, and
``inspect.getfullargspec`` must see two positional parameters on ``predict``. The object is made by ``from_path(model_dir)``,
never by the constructor. Every request calls ``predict(instances, **kwargs)``, where kwargs are the other keys of the request,
and ``signature_name`` and ``stats`` from the service.
"""

from __future__ import annotations

import inspect
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from cpr import archive, payload
from cpr.bundle import Bundle
from cpr.errors import CprError, ModelError, PredictorError, RequestError
from cpr.failures import author_error, import_error
from cpr.importing import Namespace
from cpr.manifest import ClassRef, Manifest
from cpr.models import LoadedModel as LoadedModel
from cpr.models import load_model as load_model
from cpr.models import true_cause
from cpr.protocols import rows

if TYPE_CHECKING:
    from cpr.explaining.values import Attribution

_SIGNATURE = "Write it as `def predict(self, instances, **kwargs)`."


class Stats(dict[str, int]):
    """What the service passes as ``stats``: microseconds by the name of a phase."""

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Measure the body of a ``with`` statement under a name."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self[name] = round((time.perf_counter() - start) * 1e6)


@dataclass(frozen=True, slots=True)
class _Call:
    """What ``predict`` takes: ``reserved`` cannot be sent, ``known`` are the keywords it names, ``any`` is its ``**kwargs``."""

    reserved: frozenset[str]
    known: frozenset[str]
    any: bool


class LoadedRoutine:
    """A routine in memory, ready for requests. Close it (or use it in a ``with`` statement) to remove its temporary files.

    ``manifest`` is ``None`` where there was only a model directory and no bundle. ``predict`` may be called from several
    threads if the routine's own ``predict`` may.
    """

    def __init__(
        self,
        predictor: Any,
        model_dir: Path,
        manifest: Manifest | None = None,
        namespace: Namespace | None = None,
        folder: Path | None = None,
    ) -> None:
        self.manifest = manifest
        self.model_dir = model_dir
        self._predictor = predictor
        self._namespace = namespace
        self._folder = folder
        self._call = _call(predictor)
        names = manifest.model_names if manifest else [path.name for path in model_dir.iterdir()]
        self._decodes = payload.decodes(names)
        self._finalizer = weakref.finalize(self, _dispose, namespace, folder)

    def __enter__(self) -> LoadedRoutine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Take the routine's modules out of the process and remove its temporary folder. A second call does nothing."""
        self._finalizer()

    def predict(self, body: Mapping[str, Any]) -> list[Any]:
        """The predictions for one request body, ``{"instances": […], …}``, as a list with one item per instance.

        ``RequestError`` for a body that does not fit, ``PredictorError`` where the routine fails or gives what cannot be sent.
        """
        return self._answer(body)[0]

    def predict_encoded(self, body: Mapping[str, Any]) -> str:
        """The same as JSON text, in ASCII."""
        return self._answer(body)[1]

    def explain(self, body: Mapping[str, Any]) -> list[list[Attribution]]:
        """What each input of the model adds to the predictions for a request body: for every instance its explained outputs.

        The model is explained, on what the routine's ``preprocess`` makes of the instances. Beside the keys of ``predict`` the
        body may have those of :mod:`cpr.explaining.asked`. ``RequestError`` says why a model cannot be explained.
        """
        from cpr.explaining import asked
        from cpr.explaining.attributing import attribute, explainable

        request = rows.checked(body)
        wanted = asked.taken(request)
        predictor = explainable(self._predictor)
        instances, keywords = self._arguments(request)
        signature, tensors, _ = self._guarded(lambda: predictor._prepare(instances, keywords))
        return attribute(signature, tensors, wanted, Path(predictor._path))

    def _answer(self, body: Mapping[str, Any]) -> tuple[list[Any], str]:
        instances, keywords = self._arguments(rows.checked(body))
        count = len(instances)
        predictions = self._guarded(lambda: self._predictor.predict(instances, **keywords))
        return predictions, payload.encoded(predictions, count)

    def _arguments(self, request: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """What ``predict`` is called with."""
        instances = request.pop("instances")
        if self._decodes:
            instances = payload.decoded(instances)
        return instances, self._keywords(request)

    def _guarded(self, call: Callable[[], Any]) -> Any:
        """Run the author's code."""
        if self._namespace is not None:
            self._namespace.activate()
        try:
            return call()
        except (CprError, KeyboardInterrupt):
            raise
        except BaseException as error:  # SystemExit, asyncio's CancelledError: none of them is to end the process here
            raise author_error("predict", error, self._folder) from None

    def _keywords(self, arguments: dict[str, Any]) -> dict[str, Any]:
        for key in arguments:
            if key in self._call.reserved:
                raise RequestError(f"The key {key!r} of the request is reserved.", "Send the argument under another name.", key)
            if not self._call.any and key not in self._call.known and key != "signature_name":
                raise RequestError(f"The routine takes no argument {key!r}.", "Leave it out of the request.", key)
        missing = {"signature_name", "stats"} - self._call.known
        if missing and not self._call.any:
            names = " and ".join(sorted(missing))
            raise PredictorError(f"predict does not take the keywords that the service adds: {names}.", _SIGNATURE)
        return {"signature_name": None, **arguments, "stats": Stats()}


def load(bundle: Bundle | Path | str, *, installed: bool = False, model_dir: Path | None = None) -> LoadedRoutine:
    """Load the routine of a bundle: check what is used against the manifest, import its class, call ``from_path`` once.

    The routine's modules are unpacked into a temporary folder; with ``installed`` they are importable already, as in a
    container. ``model_dir`` is a model directory somewhere else, which the caller has checked. ``BundleError`` for an altered
    bundle; ``PredictorError`` with the author's own traceback where the class cannot be used.
    """
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    manifest = opened.manifest
    used = () if model_dir else manifest.model_files
    sdist = tuple(entry for entry in manifest.files if entry.path == manifest.sdist and not installed)
    opened.verify(sdist + used)
    folder = None if installed else Path(tempfile.mkdtemp(prefix="cpr-routine-"))
    namespace = None
    try:
        if folder is not None:
            archive.extract_sdist(opened.path(manifest.sdist), folder)
            namespace = Namespace(folder)
            namespace.activate()
        place = (model_dir or opened.model_dir).resolve()
        predictor = _from_path(_locate(manifest, folder), manifest.predictor, place, folder)
        return LoadedRoutine(predictor, place, manifest, namespace, folder)
    except BaseException:
        _dispose(namespace, folder)
        raise


def load_model_dir(model_dir: Path | str, tags: Sequence[str] | None = None) -> LoadedRoutine:
    """The default predictor, ``cpr.SavedModelPredictor``, on a folder with a SavedModel; ``ModelError`` where it has none.

    ``tags`` choose the MetaGraph, whatever ``cpr_routine.json`` in the folder says.
    """
    from cpr.interface import SavedModelPredictor
    from cpr.interface.locate import Choice

    class Chosen(SavedModelPredictor):
        @classmethod
        def _choice(cls, model_dir: str) -> Choice:
            choice = super()._choice(model_dir)
            return choice if tags is None else choice._replace(tags=tuple(tags))

    place = Path(model_dir).resolve()
    reference = ClassRef(SavedModelPredictor.__module__, SavedModelPredictor.__name__)
    try:
        return LoadedRoutine(_from_path(Chosen, reference, place, None), place)
    except ModelError as error:
        raise true_cause(place, error) from error.__cause__


def _dispose(namespace: Namespace | None, folder: Path | None) -> None:
    if namespace is not None:
        namespace.close()
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


# The class


def _locate(manifest: Manifest, folder: Path | None) -> Any:
    import pydoc

    reference = manifest.predictor
    try:
        found = pydoc.locate(str(reference))
    except pydoc.ErrorDuringImport as failure:
        error: BaseException = failure.value  # type: ignore[assignment]
        if isinstance(error, KeyboardInterrupt):
            raise error from None
        raise import_error(reference, error, manifest, folder) from None
    if found is None:
        raise PredictorError(
            f"{reference} cannot be found: the package has no such module, or the module no such class.",
            "Correct `predictor` in routine.yaml: it is module.Class.",
            "predictor",
        )
    _check(found, reference)
    return found


def _check(found: Any, reference: ClassRef) -> None:
    for method, form in (("from_path", "@classmethod `def from_path(cls, model_dir)`"), ("predict", _SIGNATURE[12:-1])):
        if not callable(getattr(found, method, None)):
            raise PredictorError(f"{reference} has no method {method}.", f"Add {form}.", str(reference))
    try:
        names = inspect.getfullargspec(found.predict).args
    except TypeError as error:
        raise PredictorError(f"The signature of {reference}.predict cannot be read: {error}.", _SIGNATURE) from None
    if len(names) != 2:
        raise PredictorError(
            f"{reference}.predict has {len(names)} positional parameters ({', '.join(names)}); the service wants two.",
            _SIGNATURE + " Further arguments are keyword-only: put them after a `*`. Decorators hide the signature.",
            str(reference),
        )


def _call(predictor: Any) -> _Call:
    try:
        spec = inspect.getfullargspec(predictor.predict)
    except TypeError as error:
        raise PredictorError(f"The signature of predict cannot be read: {error}.", _SIGNATURE) from None
    return _Call(frozenset(spec.args), frozenset(spec.kwonlyargs), spec.varkw is not None)


def _from_path(kind: Any, reference: ClassRef, model_dir: Path, folder: Path | None) -> Any:
    try:
        predictor = kind.from_path(str(model_dir))
    except (CprError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise author_error("from_path", error, folder) from None
    if not callable(getattr(predictor, "predict", None)):
        raise PredictorError(
            f"{reference}.from_path returned a {type(predictor).__qualname__}, which has no predict.",
            "Return the object: end from_path with `return cls(...)`.",
            str(reference),
        )
    return predictor
