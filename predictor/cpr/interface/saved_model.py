"""A predictor around a SavedModel: the author adds what happens before and after the graph."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple, Type, TypeVar

from cpr.errors import ModelError, PredictorError, RequestError
from cpr.interface.choosing import NO_SIGNATURE_REMEDY, choose_signature
from cpr.interface.locate import Choice, find_saved_model, read_choice
from cpr.interface.predictor import Predictor

if TYPE_CHECKING:
    from cpr.interface._signature import Signature
    from cpr.interface._tensorflow import Model

__all__ = ["SavedModelPredictor", "find_saved_model"]

S = TypeVar("S", bound="SavedModelPredictor")


class SavedModelPredictor(Predictor):
    """Loads the SavedModel under ``model_dir``, and answers requests with one of its signatures.

    Works as it is; a subclass adds its own part in up to three methods::

        class IrisPredictor(SavedModelPredictor):
            def load(self):
                self.scaler = json.loads((Path(self.model_dir) / "scaler.json").read_text())

            def preprocess(self, instances, **kwargs):
                return [scaled(instance, self.scaler) for instance in instances]

            def postprocess(self, predictions, **kwargs):
                return [{"species": NAMES[row.index(max(row))]} for row in predictions]

    The service makes it through :meth:`from_path`: first ``cls()`` with no argument, then ``model_dir`` is set and
    the SavedModel loaded, then :meth:`load` is called. So a subclass has no need of ``__init__``, and one it does
    have takes no argument.

    Which SavedModel, which of its MetaGraphs and which signature is decided by the class attributes below, and over
    them by ``saved_model``, ``tags`` and ``signature`` in routine.yaml, which travel as ``cpr_routine.json`` in
    ``model_dir``.

    Several threads may call :meth:`predict` at once: it keeps nothing of a request in ``self``, and neither should
    a subclass.
    """

    saved_model: Optional[str] = None
    """Path of the SavedModel relative to ``model_dir``; ``None``: at its root, or the only one in its sub-folders."""

    tags: Optional[Sequence[str]] = None
    """Tags of the MetaGraph; ``None``: the only one, else the one with the tag ``serve`` alone."""

    signature: Optional[str] = None
    """Signature used where a request names none; ``None``: the only one, else ``serving_default``."""

    model_dir: str
    """The service's model directory, an absolute path. Set before :meth:`load` is called."""

    _model: "Optional[Model]" = None
    _default: Optional[str] = None
    _path: str = ""

    @classmethod
    def from_path(cls: Type[S], model_dir: str) -> S:
        """Load the SavedModel, then call :meth:`load`.

        Raises :class:`~cpr.errors.ModelError` where there is no SavedModel, more than one, one that TensorFlow
        cannot load, or none with the signature that the class or routine.yaml names.
        """
        from cpr.interface import _tensorflow  # brings NumPy; a plain Predictor should need neither

        predictor = cls()
        predictor.model_dir = str(Path(model_dir).absolute())
        choice = cls._choice(predictor.model_dir)
        path = find_saved_model(predictor.model_dir, choice.saved_model)
        model = _tensorflow.load(path, choice.tags)
        _check_default(model, choice.signature, path)
        predictor._model = model
        predictor._path = path
        predictor._default = choice.signature
        predictor.load()
        return predictor

    def load(self) -> None:
        """Override to read further artifacts from ``self.model_dir``. Called once, when the SavedModel is loaded."""

    def preprocess(self, instances: List[Any], **kwargs: Any) -> Any:
        """Override to turn the request's instances into the model's inputs. Returns them unchanged here.

        Returns a list of rows, each a bare value for a signature with one input, otherwise ``{input name: value}``;
        or arrays whose first dimension is the rows: one array for a signature with one input, otherwise a dict of
        arrays by input name. ``kwargs`` holds the other keys of the request body, and ``signature_name``, the name
        of the signature that will run.
        """
        return instances

    def postprocess(self, predictions: List[Any], **kwargs: Any) -> List[Any]:
        """Override to turn the model's rows into the answer: one JSON value for each instance. Returns them unchanged here.

        ``predictions`` holds plain Python values, one for each row that ``preprocess`` returned: bare ones where
        the signature has one output, otherwise ``{output name: value}``. ``kwargs`` is what ``preprocess`` got.
        """
        return predictions

    def predict(self, instances: List[Any], **kwargs: Any) -> List[Any]:
        """Preprocess, run the signature, postprocess. See :meth:`Predictor.predict <cpr.interface.Predictor.predict>`.

        ``signature_name`` chooses the signature, ``stats`` is ignored, further ``kwargs`` go to the two hooks. An
        instance that does not fit the signature is a :class:`~cpr.errors.RequestError` which names its place. No
        instances, no predictions.
        """
        from cpr.interface import rows

        signature, tensors, kwargs = self._prepare(instances, kwargs)
        if not instances:
            return []
        predictions = rows.to_rows(signature.run(tensors), len(instances))
        return self.postprocess(predictions, signature_name=signature.name, **kwargs)

    def _prepare(self, instances: List[Any], kwargs: Dict[str, Any]) -> "Tuple[Signature, Dict[str, Any], Dict[str, Any]]":
        """The signature to run, its input arrays by name (none for no instances), and the kwargs for ``postprocess``."""
        from cpr.interface import rows

        if not isinstance(instances, (list, tuple)):
            raise RequestError(
                "instances is a {}, not a list.".format(type(instances).__name__), 'Send {"instances": [ … ]}.', "instances"
            )
        kwargs = dict(kwargs)
        kwargs.pop("stats", None)
        signature = self._pick(kwargs.pop("signature_name", None))
        if not instances:
            return signature, {}, kwargs
        data = self.preprocess(list(instances), signature_name=signature.name, **kwargs)
        return signature, rows.to_tensors(data, signature.inputs, len(instances)), kwargs

    @classmethod
    def _choice(cls, model_dir: str) -> Choice:
        tags = None if cls.tags is None else (cls.tags,) if isinstance(cls.tags, str) else tuple(cls.tags)
        return read_choice(model_dir, Choice(cls.saved_model, tags, cls.signature))

    def _pick(self, requested: Any) -> "Signature":
        """The signature to run."""
        if self._model is None:
            raise PredictorError(
                "{} has no model yet.".format(type(self).__name__),
                "Make it with {}.from_path(model_dir).".format(type(self).__name__),
            )
        signatures = self._model.signatures
        return signatures[choose_signature(signatures, requested, self._default)]


def _check_default(model: "Model", signature: Optional[str], path: str) -> None:
    if not model.signatures:
        raise ModelError(
            "The SavedModel {} has no signature.".format(path),
            NO_SIGNATURE_REMEDY,
            path,
        )
    if signature is not None and signature not in model.signatures:
        raise ModelError(
            "The SavedModel {} has no signature {!r}; it has {}.".format(path, signature, ", ".join(model.signatures)),
            "Set signature in routine.yaml, or in the class, to one of these.",
            path,
        )
