"""A SavedModel as the source: what serving reads of it is copied, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpr.errors import CprError, ModelError, UsageError
from cpr.exporting import new_signatures
from cpr.exporting._tensorflow import copied, parsed_text, saved_model_message
from cpr.exporting.wanted import Made, Wanted
from cpr.interface.choosing import choose_tags
from cpr.saved_model.checkpoint import INDEX_NAME, read_checkpoint_index
from cpr.saved_model.extras import FINGERPRINT_NAME, WARMUP_NAME
from cpr.saved_model.objects import KERAS_METADATA
from cpr.saved_model.reader import PB_NAME, PBTXT_NAME


def copy(source: Path, folder: Path, wanted: Wanted) -> Made:
    """Copy the model at ``source`` into ``folder``: the chosen MetaGraph, or all; the weights that the index names, the assets.

    A graph without objects may get a signature of tensors. Of restored objects a function may become the signature; then the
    model is saved anew. ``ModelError`` for one that cannot be read or has nothing to call.
    """
    model = _read(source)
    _choose(model, source, wanted.from_tags)
    if wanted.function is not None:
        return _with_function(source, folder, wanted)
    if wanted.inputs or wanted.outputs or wanted.constants:
        run, why = new_signatures.add(source, model, wanted)
    else:
        new_signatures.refuse_without(model, source)
        run, why = _asker(source, model, wanted)
    chosen_anew = wanted.from_tags is not None or wanted.outputs or not (source / PB_NAME).is_file()
    content = model.SerializeToString(deterministic=True) if chosen_anew else (source / PB_NAME).read_bytes()
    (folder / PB_NAME).write_bytes(content)
    for name in _files(source):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
    if chosen_anew:
        (folder / FINGERPRINT_NAME).unlink(missing_ok=True)
    return Made((), run, why)


def _choose(model: Any, source: Path, tags: tuple[str, ...] | None) -> None:
    if tags is None:
        return
    there = [tuple(graph.meta_info_def.tags) for graph in model.meta_graphs]
    kept = copied(model.meta_graphs[there.index(choose_tags(there, tags, str(source)))])
    del model.meta_graphs[:]
    model.meta_graphs.add().CopyFrom(kept)


def _with_function(source: Path, folder: Path, wanted: Wanted) -> Made:
    from cpr.exporting import modules
    from cpr.models import load_model

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
    names += [str(path.relative_to(source)) for path in sorted((source / "assets").rglob("*")) if path.is_file()]
    missing = [name for name in names if not (source / name).is_file()]
    if missing:
        raise ModelError(f"{missing[0]} of the model is missing.", "Copy the whole folder again.", str(source))
    return names


def _asker(source: Path, model: Any, wanted: Wanted) -> tuple[Any, str]:
    """How to run the source, or why it does not run; one with several graphs is asked by its tags."""
    from cpr.models import load_model

    if len(model.meta_graphs) > 1:
        return None, "it has several graphs"
    try:
        loaded = load_model(source, tags=wanted.from_tags)
    except CprError as error:
        return None, error.message

    def run(signature: str, arrays: Mapping[str, Any]) -> Mapping[str, Any]:
        return loaded.call(arrays, signature)

    return run, ""


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
