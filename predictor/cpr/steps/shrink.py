"""Make a SavedModel smaller, and prove that its answers hold, before the result gets its name."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cpr.errors import ModelError, OutputError, UsageError
from cpr.folders import filled

if TYPE_CHECKING:
    from cpr.shrinking.accuracy import Accuracy, Answered
    from cpr.shrinking.measuring import Cost
    from cpr.shrinking.model import Model
    from cpr.shrinking.plan import Step

Progress = Callable[[str], None]
"""Called with a sentence when something takes its time."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What was made of a model.

    ``before`` and ``after`` are bytes of all files. ``steps`` are the transformations in their order. ``accuracy`` compares
    every output of every signature; ``not_compared`` says of signatures why they have no answer. ``left_out`` are tensors of
    the checkpoint that are not there any more, ``kept`` large ones that could not be stored in a smaller type, with the
    reason. ``costs`` is what both cost to load and to call, ``None`` where it was not measured. ``loads`` is false where this
    TensorFlow cannot load the model for something in it that no request needs: then what stands for it before is what is
    left of it without that, all else unchanged.
    """

    source: Path
    destination: Path
    before: int
    after: int
    steps: tuple[Step, ...]
    accuracy: tuple[Accuracy, ...]
    not_compared: Mapping[str, str]
    left_out: tuple[str, ...]
    kept: Mapping[str, str]
    costs: tuple[Cost, Cost] | None
    loads: bool


def shrink(
    source: Path | str,
    destination: Path | str,
    *,
    weights: str | None = None,
    int64_to_int32: bool = False,
    fold: bool = True,
    limit: int | None = None,
    examples: Path | str | None = None,
    data: Path | str | None = None,
    max_difference: float | None = None,
    min_agreement: float = 0.99,
    measure: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Shrunk:
    """Write the SavedModel in ``source`` to ``destination`` without what no request needs; its weights smaller where asked.

    ``fold`` computes vectors that no request changes beforehand, and lets kernels take over the scales of the batch norms
    behind them: answers differ by rounding, and without it not at all. ``weights`` stores them as ``float16`` or ``int8``
    (one scale a channel). With a ``limit`` in bytes, the steps are taken in the order of what they lose until the model
    fits: what is not needed, integers, float16, int8. What changes answers is compared on ``examples`` (a file of requests
    that the SavedModel itself takes) or ``data`` (``.npy``, or ``.npz`` with an array for each input): of at least
    ``min_agreement`` of the rows the largest score must be the same one, and no number may be further off than
    ``max_difference``.

    The result is written whole or not at all, once it loads by both of TensorFlow's loaders, answers as it should, and has no
    error or warning that the source has not. ``ModelError`` where it does not, or where it does not fit; ``UsageError`` for
    what cannot be asked; ``OutputError`` where it cannot be written; ``MissingExtra`` without TensorFlow.
    """
    from cpr.shrinking import gate, plan
    from cpr.shrinking.batches import check_source
    from cpr.shrinking.model import read_model, write_model

    tell = progress or (lambda _: None)
    requests, arrays = (None if path is None else Path(path) for path in (examples, data))
    wish = plan.Wish(weights, int64_to_int32, limit, (requests or arrays) is not None, fold)
    wish.check()
    gate.check_bounds(min_agreement, max_difference)
    check_source(requests, arrays)
    folder, final = _places(Path(source), Path(destination), overwrite)
    model = read_model(folder)
    made = plan.planned(model, wish)
    graphs = [tuple(meta.meta_info_def.tags) for meta in model.proto.meta_graphs]
    with _asked(folder, made.exact, graphs, requests, arrays, tell) as (asked, known), filled(final) as place:
        if made.lossy:
            _need_answers(known, arrays or requests)
        tell("Writing the smaller one, and asking it")
        write_model(made.model, place)
        after = _size(place)
        if limit is not None and after > limit:
            raise plan.too_large(model, after, limit, made.lossy)
        bounds = gate.Bounds(made.lossy, min_agreement, max_difference)
        held = [gate.held(asked, place, tags, each, bounds) for tags, each in zip(graphs, known, strict=True)]
        gate.check_findings(folder, place)
        costs = _costs(asked, place, graphs[0], known[0], tell) if measure else None
    return Shrunk(
        source=folder,
        destination=final,
        before=_size(folder),
        after=after,
        steps=made.steps,
        accuracy=tuple(each for found in held for each in found),
        not_compared={name: each.failed for found in known for name, each in found.items() if each.failed},
        loads=asked == folder,
        left_out=tuple(sorted(model.tensors.keys() - made.model.tensors.keys())),
        kept=made.kept,
        costs=costs,
    )


@contextmanager
def _asked(
    folder: Path,
    exact: Model,
    graphs: list[tuple[str, ...]],
    requests: Path | None,
    arrays: Path | None,
    tell: Progress,
) -> Iterator[tuple[Path, list[dict[str, Answered]]]]:
    """What the model answers as it is, and the folder that it was asked in, as long as the context lasts.

    It is its own; or, where TensorFlow cannot load it for what no request needs (gradients of another release, for one), that
    of what is left of it.
    """
    from cpr.shrinking.accuracy import answers
    from cpr.shrinking.model import write_model

    tell("Asking the model as it is")
    known = None
    try:
        known = [answers(folder, tags, requests, arrays) for tags in graphs]
    except ModelError as error:
        cause = error
    if known is not None:
        yield folder, known
        return
    with tempfile.TemporaryDirectory(prefix="cpr-shrink-") as scratch:
        left = Path(scratch) / "model"
        left.mkdir()
        write_model(exact, left)
        try:
            known = [answers(left, tags, requests, arrays) for tags in graphs]
        except ModelError:
            raise cause from None
        tell(f"It does not load here; what serving needs of it does. {cause.message}")
        yield left, known


def _places(source: Path, destination: Path, overwrite: bool) -> tuple[Path, Path]:
    """The folder of the SavedModel, and the absolute path of the result."""
    from cpr.models import saved_model_folder

    folder = saved_model_folder(source)
    final = destination.absolute()
    inside, holder = final.resolve(), folder.resolve()
    if holder == inside or holder in inside.parents or inside in holder.parents:
        raise UsageError("The model and the result would lie in each other.", "Name another folder.", str(destination))
    if final.exists() and not final.is_dir():
        raise OutputError("The destination is a file.", "Name a folder that is not there yet.", str(destination))
    if final.is_dir() and any(final.iterdir()) and not overwrite:
        raise OutputError(f"{destination} is there already.", "Name another folder, or take --overwrite.", str(destination))
    return folder, final


def _need_answers(known: list[dict[str, Answered]], rows: Path | None) -> None:
    """``UsageError`` where no signature answered what the user has: then nothing shows what a smaller type costs."""
    answered = (each for answers in known for each in answers.values() if not each.failed)
    if not any(not batch.made_up for each in answered for batch in each.batches):
        raise UsageError(
            "No signature answers the examples or the data, so nothing shows what a smaller type costs.",
            "Name rows that the SavedModel takes; `cpr inspect` shows its signatures.",
            str(rows),
        )


def _costs(
    folder: Path, place: Path, tags: tuple[str, ...], known: Mapping[str, Answered], tell: Progress
) -> tuple[Cost, Cost] | None:
    """What the first signature that answers costs, before and after."""
    from cpr.shrinking.measuring import measure

    for name, answered in known.items():
        if not answered.failed:
            tell("Measuring both")
            inputs = answered.batches[0].inputs
            return measure(folder, tags, name, inputs), measure(place, tags, name, inputs)
    return None


def _size(folder: Path) -> int:
    """Bytes of all files of the SavedModel: its own parts, and what lies beside them."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
