"""The contract between a routine and whatever serves it."""

import abc
from typing import Any, List, Type, TypeVar

P = TypeVar("P", bound="Predictor")


class Predictor(abc.ABC):
    """A custom prediction routine: one class with two methods.

    AI Platform Prediction asks for the two methods and not for this base class, so deriving from it is a choice: it
    lets Python and a type checker say early what is missing.

    The service names the class as ``module.Class``, calls ``from_path`` once per process, and then ``predict`` for
    every request, from several threads at once on some servers: keep what belongs to one request out of ``self``.
    ``__init__`` is never called by the service; it is yours, for ``from_path`` to use.
    """

    @classmethod
    @abc.abstractmethod
    def from_path(cls: Type[P], model_dir: str) -> P:
        """Make the predictor from the files in ``model_dir``.

        ``model_dir`` is a local folder with everything that was uploaded beside the code: the SavedModel,
        vocabularies, statistics. Its name differs from machine to machine and it may be read-only, so build paths
        from it and write nothing into it. Called once per process, before the first request; whatever takes long
        belongs here.
        """

    @abc.abstractmethod
    def predict(self, instances: List[Any], **kwargs: Any) -> List[Any]:
        """Answer one request: one prediction for each instance, in the same order.

        Exactly two positional parameters, ``self`` and ``instances``: the service counts them, and refuses a third
        even with a default. A parameter of your own is keyword-only (``def predict(self, instances, *, top_k=1,
        **kwargs)``). Not under a decorator, which hides the count.

        ``instances`` is the list under that key of the request body, as JSON gave it. A binary value is sent as
        ``{"b64": "<base64>"}``, and arrives as that dict, as decoded bytes or as text, depending on which files lie
        in ``model_dir``: give it to :func:`cpr.decode_b64`, which takes all three.

        ``kwargs`` holds every other key of the request body, and two that the service adds: ``stats`` (its own
        timing object; ignore it) and ``signature_name`` (a name or ``None``). Without ``**kwargs`` every request
        fails.

        Returns a list that ``json.dumps`` takes: no NumPy array or scalar (call ``.tolist()``), no bytes, no
        generator.
        """
