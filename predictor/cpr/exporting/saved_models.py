"""A SavedModel as the source: what serving reads of it is copied, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpr.errors import CprError, ModelError, UsageError
from cpr.exporting import freeing, new_signatures
from cpr.exporting._tensorflow import copied, parsed_text, saved_model_message
from cpr.exporting.wanted import Made, Run, Wanted
from cpr.interface.choosing import choose_tags
from cpr.models import LoadedModel, load_model
from cpr.saved_model.checkpoint import INDEX_NAME, read_checkpoint_index
from cpr.saved_model.extras import FINGERPRINT_NAME, WARMUP_NAME
from cpr.saved_model.objects import KERAS_METADATA
from cpr.saved_model.reader import PB_NAME, PBTXT_NAME

_SLOTS = "add_slot"
"""What TensorFlow misses where it does not know a Keras 2 optimizer: its objects' way to say where its slots are."""


def copy(source: Path, folder: Path, wanted: Wanted) -> Made:
    """Copy the model at ``source`` into ``folder``: the chosen MetaGraph, or all; the weights that the index names, the assets.

    A graph without objects may get a signature of tensors. Of restored objects a function may become the signature; then the
    model is saved anew. ``ModelError`` for one that cannot be read or has nothing to call.
    """
    model = _read(source)
    _choose(model, source, wanted.from_tags)
    if wanted.function is not None:
        return _with_function(source, folder, wanted)
    if wanted.inputs or wanted.outputs:
        made = Made(run=new_signatures.add(source, model, wanted))
    else:
        new_signatures.refuse_without(model, source)
        made = _made(source, model, wanted)
    chosen_anew = wanted.from_tags is not None or wanted.outputs or made.notes or not (source / PB_NAME).is_file()
    content = model.SerializeToString(deterministic=True) if chosen_anew else (source / PB_NAME).read_bytes()
    (folder / PB_NAME).write_bytes(content)
    for name in _files(source):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
    if len(model.meta_graphs) == 1 and not wanted.keep_batch:
        made = freeing.free(folder, model, made)
    if (folder / PB_NAME).read_bytes() != content or chosen_anew:
        (folder / FINGERPRINT_NAME).unlink(missing_ok=True)
    return made


def _choose(model: Any, source: Path, tags: tuple[str, ...] | None) -> None:
    if tags is None:
        return
    there = [tuple(graph.meta_info_def.tags) for graph in model.meta_graphs]
    kept = copied(model.meta_graphs[there.index(choose_tags(there, tags, str(source)))])
    del model.meta_graphs[:]
    model.meta_graphs.add().CopyFrom(kept)


def _with_function(source: Path, folder: Path, wanted: Wanted) -> Made:
    from cpr.exporting import modules

    loaded = load_model(source, tags=wanted.from_tags, loader="object")
    return modules.from_module(loaded.module, folder, wanted)


def _read(source: Path) -> Any:
    model = saved_model_message()
    try:
        if (source / PB_NAME).is_file():
            model.ParseFromString((source / PB_NAME).read_bytes())
        else:
            parsed_text((source / PBTXT_NAME).read_text(encoding="utf-8"), model)
    except Exception as error:  # protobuf's DecodeError, a ValueError of the text form
        from cpr.saved_model import read_saved_model

        read_saved_model(source)  # which says what is wrong with it
        raise ModelError(f"The model cannot be read: {error}.", "Export it again.", str(source)) from None
    if not model.meta_graphs:
        raise ModelError("The model holds no graph.", "Export it again.", str(source))
    return model


def _files(source: Path) -> list[str]:
    """Relative paths. ``fingerprint.pb`` counts only as long as the graph stays as it was."""
    names = [name for name in (FINGERPRINT_NAME, KERAS_METADATA, WARMUP_NAME) if (source / name).is_file()]
    index = source / INDEX_NAME
    if index.is_file():
        count = read_checkpoint_index(index).shards
        stem = INDEX_NAME.removesuffix(".index")
        names += [INDEX_NAME, *(f"{stem}.data-{number:05}-of-{count:05}" for number in range(count))]
    folders = ("assets",) if index.is_file() else ("assets", "variables")  # an older form of weights has no index
    files = (path for folder in folders for path in sorted((source / folder).rglob("*")))
    names += [str(path.relative_to(source)) for path in files if path.is_file()]
    missing = [name for name in names if not (source / name).is_file()]
    if missing:
        raise ModelError(f"{missing[0]} of the model is missing.", "Copy the whole folder again.", str(source))
    return names


def _made(source: Path, model: Any, wanted: Wanted) -> Made:
    """How to ask the source, or why it does not run; one with several graphs is asked by their tags."""
    if len(model.meta_graphs) == 1:
        try:
            loaded = load_model(source, tags=wanted.from_tags)
        except CprError as error:
            return Made(why=error.message)
        return Made(_without_slots(model, loaded), _call(loaded))
    runs = {}
    for graph in model.meta_graphs:
        try:
            runs[frozenset(graph.meta_info_def.tags)] = _call(load_model(source, tags=graph.meta_info_def.tags))
        except CprError:
            continue
    return Made(why="" if runs else "none of its graphs can be loaded", by_tags=runs)


def _call(loaded: LoadedModel) -> Run:
    def run(signature: str, arrays: Mapping[str, Any]) -> Mapping[str, Any]:
        return loaded.call(arrays, signature)

    return run


def _without_slots(model: Any, loaded: LoadedModel) -> tuple[str, ...]:
    """Take the slots of an optimizer that this TensorFlow does not know out of the objects, which then can be restored."""
    if _SLOTS not in loaded.reason:
        return ()
    for node in model.meta_graphs[0].object_graph_def.nodes:
        del node.slot_variables[:]
    return ("the optimizer was taken out of the objects: with it they cannot be restored",)


def refuse_tensors(wanted: Wanted) -> None:
    """Tensor names are for graphs without signatures."""
    for option in ("inputs", "outputs", "constants"):
        if getattr(wanted, option):
            name = f"--{option.removesuffix('s')}"
            raise UsageError(
                f"{name} is for a graph; this source names its inputs and outputs itself.",
                "Give them other names with --rename-input and --rename-output.",
                name,
            )
