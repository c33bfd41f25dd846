"""Write down how the services explain a model: from its signature and some data, without TensorFlow."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cpr.bundle import Bundle
from cpr.errors import OutputError, RequestError, TargetError, UsageError
from cpr.examples import read_examples
from cpr.explaining import choices, documents, instances
from cpr.explaining.baselines import METADATA_NAME
from cpr.explaining.features import IMAGE, NUMERIC, RULES, Feature, Wishes, describe
from cpr.explaining.rules import AI_PLATFORM, VERTEX, service
from cpr.explaining.values import SAMPLED_SHAPLEY
from cpr.interface.choosing import choose_signature, choose_tags
from cpr.interface.columns import Tensor
from cpr.interface.locate import find_saved_model
from cpr.manifest import EXAMPLES_NAME
from cpr.resources import suggestion
from cpr.saved_model import MetaGraph, Signature, read_saved_model

SPEC_NAME = "explanation_spec.json"
TARGETS = (AI_PLATFORM, VERTEX)

_XAI_SIGNATURE = "xai_model"
"""The signature that AI Platform explains where a model of TensorFlow 2 has several."""


@dataclass(frozen=True, slots=True)
class Request:
    """How to explain. ``None`` leaves a choice to the model: all targets, its default signature, its only output of numbers,
    integrated gradients where every input has a gradient, else sampled Shapley."""

    target: str | None = None
    signature: str | None = None
    tags: tuple[str, ...] | None = None
    output: str | None = None
    labels: tuple[str, ...] = ()
    method: str | None = None
    steps: int = 50
    paths: int = 50
    top_k: int = 1
    wishes: Wishes = field(default_factory=Wishes)


@dataclass(frozen=True, slots=True)
class ExplanationConfig:
    """What explains a model. ``files`` maps the names of the documents to their content; writing them is the caller's choice.

    ``features`` are the inputs (none for a routine, whose ``baselines`` are by key of its instances), ``baselines`` what they
    are compared with and ``rules`` where that comes from. ``method_config`` is AI Platform's ``explanationConfig``, which is
    part of the version and of no file; ``None`` where nothing was written for it. ``notes`` are for people.
    """

    path: str
    signature: str | None
    output: str
    method: str
    features: tuple[Feature, ...]
    baselines: Mapping[str, Any]
    rules: Mapping[str, str]
    files: Mapping[str, Mapping[str, Any]]
    method_config: Mapping[str, Any] | None
    notes: tuple[str, ...]


def explain(place: Bundle | Path | str, request: Request | None = None, data: Path | str | None = None) -> ExplanationConfig:
    """AI Platform's ``explanation_metadata.json`` and Vertex AI's ``explanationSpec`` for the SavedModel in a folder; for a
    bundle Vertex AI's alone, for the container that serves the routine.

    ``data`` is a file with instances of the model (JSON lines, ``.npz``, ``.npy``), from which baselines and ranges are taken;
    for a bundle it has requests, and is its golden examples unless named. ``TargetError`` for what a service does not explain,
    with the reason, ``UsageError`` and ``RequestError`` for choices and data that do not fit.
    """
    request = request or Request()
    if request.target is not None:
        service(request.target)
    if request.wishes.baseline not in RULES:
        raise UsageError(f"There is no baseline {request.wishes.baseline!r}.", f"Choose {', '.join(RULES)}.", "--baseline")
    samples = None if data is None else Path(data)
    if isinstance(place, Bundle):
        return _of_routine(place, request, samples)
    return _of_model(Path(place), request, samples)


def write_explanation(config: ExplanationConfig, folder: Path | str) -> tuple[str, ...]:
    """Write the documents into ``folder``, each of them whole or not at all, beside what is there; return their names.

    ``OutputError`` where it cannot be written.
    """
    folder = Path(folder)
    beside = {name: folder / f".{name}.new.{secrets.token_hex(4)}" for name in config.files}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, document in config.files.items():
            beside[name].write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        for name, path in beside.items():
            path.replace(folder / name)
    except OSError as error:
        raise OutputError(
            f"The explanation config cannot be written: {error.strerror or error}.", "Name another folder with -o.", str(folder)
        ) from None
    finally:
        for path in beside.values():
            with suppress(OSError):
                path.unlink()
    return tuple(sorted(config.files))


def _of_model(place: Path, request: Request, data: Path | None) -> ExplanationConfig:
    folder = Path(find_saved_model(str(place)))
    model = read_saved_model(folder)
    tags = choose_tags([graph.tags for graph in model.meta_graphs], request.tags, str(folder))
    graph = next(graph for graph in model.meta_graphs if graph.tags == tags)
    name = choose_signature(graph.callable_signatures, request.signature)
    signature = graph.signatures[name]
    features = describe(signature, _samples(signature, data), request.wishes)
    output = choices.explained_output(signature, request.output)
    info = signature.outputs[output]
    choices.check_labels(request.labels, info)
    method = choices.method(request.method, features)
    targets = TARGETS if request.target is None else (request.target,)
    files: dict[str, Mapping[str, Any]] = {}
    method_config = None
    if AI_PLATFORM in targets:
        files[METADATA_NAME] = documents.metadata(features, output, info, request.labels, not graph.is_tf1)
        method_config = _attribution(AI_PLATFORM, method, request)
    if VERTEX in targets:
        attribution = _attribution(VERTEX, method, request)
        files[SPEC_NAME] = documents.spec(features, output, info, request.labels, not graph.is_tf1, attribution, request.top_k)
    return ExplanationConfig(
        str(folder),
        name,
        output,
        method,
        features,
        {each.name: each.baseline for each in features},
        {each.name: each.rule for each in features},
        files,
        method_config,
        tuple(_model_notes(targets, graph, name, features)),
    )


def _samples(signature: Signature, data: Path | None) -> Mapping[str, Any]:
    if data is None:
        return {}
    from cpr.explaining.samples import read_samples

    tensors = [Tensor(name, info.dtype or info.kind or "", info.shape) for name, info in sorted(signature.inputs.items())]
    return read_samples(data, tensors)


def _of_routine(bundle: Bundle, request: Request, data: Path | None) -> ExplanationConfig:
    vertex, platform = service(VERTEX), service(AI_PLATFORM)
    if request.target == AI_PLATFORM:
        raise TargetError(
            f"A routine cannot be explained on AI Platform. {platform.no_routine}",
            "Deploy its SavedModel alone, on an N1 machine, and name its folder here; or explain the routine on Vertex AI by "
            "sampled Shapley: --target vertex-ai.",
            "--target",
        )
    method = request.method or SAMPLED_SHAPLEY
    if method not in vertex.container_methods:
        raise TargetError(
            f"Vertex AI explains a container, which is what serves a routine, by {', '.join(vertex.container_methods)} alone: "
            "gradients are computed in its own TensorFlow images.",
            "Leave --method out; or name the SavedModel's folder, to explain the model without its Python.",
            "--method",
        )
    if request.wishes.groups or request.wishes.names or request.wishes.modalities or request.wishes.encodings:
        raise UsageError(
            "Groups, features, modalities and encodings are for a SavedModel: of a container Vertex AI reads baselines alone.",
            "Leave them out, or name the SavedModel's folder.",
        )
    path = data or bundle.path(EXAMPLES_NAME)
    if data is None and not bundle.manifest.has_examples:
        raise RequestError("The bundle has no examples.", "Name a file of requests with --data.", str(bundle.root))
    examples = read_examples(path)
    baselines = instances.key_baselines(examples, request.wishes.baseline)
    output = instances.explained_key(examples, request.output)
    attribution = _attribution(VERTEX, method, request)
    spec = documents.container_spec(baselines, output, request.labels, attribution, request.top_k)
    rules = {key: "Vertex AI's own choice" if value is None else f"from {path.name}" for key, value in baselines.items()}
    notes = (f"Nothing was written for AI Platform. {platform.no_routine}", vertex.ends)
    return ExplanationConfig(str(bundle.root), None, output, method, (), baselines, rules, {SPEC_NAME: spec}, None, notes)


def _attribution(target: str, method: str, request: Request) -> dict[str, Any]:
    known = service(target).methods
    if method not in known:
        raise UsageError(f"There is no method {method!r}.", suggestion(method, known, "The methods are"), "--method")
    return known[method].attribution(request.paths if method == SAMPLED_SHAPLEY else request.steps)


def _model_notes(targets: Sequence[str], graph: MetaGraph, name: str, features: Sequence[Feature]) -> list[str]:
    notes = []
    for target in targets:
        known = service(target)
        notes += [known.ends, *filter(None, [known.version_note(graph.tensorflow_version)])]
    if AI_PLATFORM in targets and not graph.is_tf1 and len(graph.callable_signatures) > 1 and name != _XAI_SIGNATURE:
        notes.append(
            f"The model has several signatures: AI Platform explains the one called {_XAI_SIGNATURE}, so export {name!r} under "
            "that name, too."
        )
    others = [each.name for each in features if each.modality not in (NUMERIC, IMAGE)]
    if VERTEX in targets and others:
        notes.append(f"Vertex AI knows the modalities numeric and image alone: it is told none for {', '.join(others)}.")
    if any(each.rule.endswith("for want of data") for each in features):
        notes.append("Without --data the baselines are zeros, which need not be a neutral value of an input.")
    return notes
