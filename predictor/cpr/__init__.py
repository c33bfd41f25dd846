"""Package a custom prediction routine, prove that it will work, and deploy it.

What a routine's author imports is :class:`Predictor` and :class:`SavedModelPredictor`, :func:`decode_b64` for binary input, and
:class:`RequestError` to refuse a request by. The steps are functions from one frozen
value to the next, and print nothing::

    bundle = cpr.build("my_routine")
    validated = cpr.validate(bundle, target="ai-platform", machine_type="mls1-c1-m2")
    published = cpr.upload(validated, "gs://my-bucket/routines")
    config = cpr.deploy_config(published, "ai-platform", "mls1-c1-m2")
    routine = cpr.load(bundle)

What was published comes back by ``cpr.download(published.uri, "folder")``; ``cpr.list_versions``, ``cpr.verify`` and
``cpr.delete`` look after it.

A SavedModel alone is looked at by ``cpr.inspect("model")``, run by ``cpr.load_model("model")``, and compared with another by
``cpr.compare("model/6", "model/7")``; ``cpr.export("trained", "model")`` makes one, ``cpr.embed`` puts preprocessing and
postprocessing inside its graph, ``cpr.shrink("model", "smaller")`` makes it smaller, and ``cpr.explain("model")`` writes down
how the services explain it.

This module and ``cpr.errors`` and ``cpr.interface`` run on Python 3.7 with no dependency: they travel in the bundle of every
routine that imports cpr. Everything is imported on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any, List

if TYPE_CHECKING:
    from cpr.errors import CprError as CprError
    from cpr.errors import RequestError as RequestError
    from cpr.interface import Predictor as Predictor
    from cpr.interface import SavedModelPredictor as SavedModelPredictor
    from cpr.interface import decode_b64 as decode_b64
    from cpr.interface.serving_input import parsing_serving_input as parsing_serving_input
    from cpr.interface.serving_input import raw_serving_input as raw_serving_input
    from cpr.runtime import load as load
    from cpr.runtime import load_model as load_model
    from cpr.steps.abort import abort as abort
    from cpr.steps.build import build as build
    from cpr.steps.delete import delete as delete
    from cpr.steps.diagnose import diagnose as diagnose
    from cpr.steps.download import download as download
    from cpr.steps.embed import embed as embed
    from cpr.steps.explain import explain as explain
    from cpr.steps.export import export as export
    from cpr.steps.inspect import compare as compare
    from cpr.steps.inspect import inspect as inspect
    from cpr.steps.lock import lock as lock
    from cpr.steps.shrink import shrink as shrink
    from cpr.steps.targets import deploy_config as deploy_config
    from cpr.steps.upload import upload as upload
    from cpr.steps.validate import validate as validate
    from cpr.steps.verify import verify as verify
    from cpr.steps.versions import list_versions as list_versions

__version__ = "0.1.0"

_HOMES = {
    "CprError": "cpr.errors",
    "RequestError": "cpr.errors",
    "Predictor": "cpr.interface",
    "SavedModelPredictor": "cpr.interface",
    "decode_b64": "cpr.interface",
    "parsing_serving_input": "cpr.interface.serving_input",
    "raw_serving_input": "cpr.interface.serving_input",
    "build": "cpr.steps.build",
    "validate": "cpr.steps.validate",
    "lock": "cpr.steps.lock",
    "upload": "cpr.steps.upload",
    "abort": "cpr.steps.abort",
    "download": "cpr.steps.download",
    "list_versions": "cpr.steps.versions",
    "verify": "cpr.steps.verify",
    "delete": "cpr.steps.delete",
    "deploy_config": "cpr.steps.targets",
    "load": "cpr.runtime",
    "load_model": "cpr.runtime",
    "embed": "cpr.steps.embed",
    "export": "cpr.steps.export",
    "inspect": "cpr.steps.inspect",
    "compare": "cpr.steps.inspect",
    "diagnose": "cpr.steps.diagnose",
    "shrink": "cpr.steps.shrink",
    "explain": "cpr.steps.explain",
}

__all__ = [
    "CprError",
    "Predictor",
    "RequestError",
    "SavedModelPredictor",
    "__version__",
    "abort",
    "build",
    "compare",
    "decode_b64",
    "delete",
    "deploy_config",
    "diagnose",
    "download",
    "embed",
    "explain",
    "export",
    "inspect",
    "list_versions",
    "load",
    "load_model",
    "lock",
    "parsing_serving_input",
    "raw_serving_input",
    "shrink",
    "upload",
    "validate",
    "verify",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError("module 'cpr' has no attribute {!r}".format(name))
    try:
        module = importlib.import_module(home)
    except ModuleNotFoundError as error:
        if error.name is None or not home.startswith(error.name):
            raise
        raise AttributeError(
            "cpr.{} is not in the part of cpr that travels with a routine; install cpr-kit to use it".format(name)
        ) from None
    return getattr(module, name)


def __dir__() -> List[str]:
    return sorted(__all__)
