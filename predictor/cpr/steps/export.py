"""Export: make a servable SavedModel of what is not one yet, and prove it before it gets its name."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cpr.errors import OutputError
from cpr.exporting.wanted import Run, Wanted
from cpr.folders import filled

if TYPE_CHECKING:
    from cpr.exporting import making
    from cpr.exporting.checking import Comparison
    from cpr.report import Finding
    from cpr.saved_model.reader import SavedModel

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """A SavedModel that was written: its folder, what it was made of, and the proof.

    ``notes`` say what was changed or chosen, ``compared`` how its answers were held against the source's (``why_not``: why
    they could not be), ``findings`` are those of its inspection: notes, and what was allowed.
    """

    path: Path
    kind: str
    model: SavedModel
    notes: tuple[str, ...]
    compared: tuple[Comparison, ...]
    why_not: str
    findings: tuple[Finding, ...]


def export(
    source: Any,
    destination: Path | str,
    *,
    inputs: Mapping[str, Any] | None = None,
    outputs: Mapping[str, str] | None = None,
    constants: Mapping[str, Any] | None = None,
    tags: Collection[str] | None = None,
    from_tags: Collection[str] | None = None,
    signature: str | None = None,
    function: Any = None,
    estimator: str | None = None,
    serving_input: Any = None,
    python: str | None = None,
    rename_signatures: Mapping[str, str] | None = None,
    rename_inputs: Mapping[str, str] | None = None,
    rename_outputs: Mapping[str, str] | None = None,
    method: str | None = None,
    add: str | None = None,
    checkpoint: str | None = None,
    keep_batch: bool = False,
    also: Mapping[Any, Any] | None = None,
    examples: Path | str | None = None,
    allow: Collection[str] = (),
    overwrite: bool = False,
    say: Say | None = None,
) -> Exported:
    """Make a servable SavedModel in the folder ``destination``.

    ``source`` is a path (a SavedModel whose names and tags may be wrong, a Keras file, a frozen graph, a checkpoint of
    TensorFlow 1, a training folder), or a Keras model or ``tf.Module`` in memory.

    ``inputs`` and ``outputs`` are tensors of a graph by the names that clients will use, ``constants`` values by tensor;
    for a module ``function`` is the one to serve and ``inputs`` has shape and dtype by argument. ``checkpoint`` are the weights
    of a graph, or of a training folder a name, ``newest`` or ``best:METRIC``. An outer dimension that is fixed becomes free
    where that is safe, unless ``keep_batch``.

    An Estimator, live, needs ``serving_input``, its serving input function (``cpr.raw_serving_input`` makes one). Its
    ``model_dir`` needs ``estimator`` and ``serving_input``, each ``file.py:function``, and ``python``, an interpreter with
    TensorFlow 2.15 or older, that runs them: the first is called with the folder, the second is the serving input function.

    ``tags`` are those of the result, ``from_tags`` choose a MetaGraph of the source. ``signature`` is the one that
    ``rename_inputs``, ``rename_outputs`` (old names to new) and ``method`` (``predict``, ``classify``, ``regress``) are about;
    without it renamings are for every signature that has the name. ``add`` is ``classify`` or ``regress``, for a signature of
    that name around ``signature``, which parses ``tf.Example`` messages. ``also`` has further sources by the tags of their
    graphs, which share the variables.

    ``examples`` is a file of requests (``examples.jsonl``) that source and result must answer alike; zeros, ones and rows that
    differ are always tried. ``allow`` has ids of findings that the result may have. ``say`` is called with what is going on.

    Nothing is written unless the result loads by both of TensorFlow's loaders, answers as its source does where that runs, and
    ``cpr inspect`` has neither error nor warning for it. ``ModelError``, ``UsageError``, ``OutputError``, ``MissingExtra``.
    """
    from cpr.exporting import checking, making
    from cpr.exporting.batching import STAYS
    from cpr.saved_model import kinds
    from cpr.saved_model.reader import read_saved_model

    wanted = Wanted(
        inputs=inputs or {},
        outputs=outputs or {},
        constants=constants or {},
        tags=None if tags is None else _words(tags),
        from_tags=None if from_tags is None else _words(from_tags),
        signature=signature,
        function=serving_input if function is None and callable(serving_input) else function,
        rename_signatures=rename_signatures or {},
        rename_inputs=rename_inputs or {},
        rename_outputs=rename_outputs or {},
        method=method,
        checkpoint=checkpoint,
        keep_batch=keep_batch,
        add=add,
    )
    target = Path(destination)
    _check_free(target, overwrite)
    golden = _examples(examples)
    tell = say or _silent
    found = making.find_estimator(source, estimator, serving_input, python) or making.find(source, function)
    making.refuse_idle(found, wanted)
    tell(f"{found.name} is a {found.kind}.")
    with filled(target) as folder:
        first = _made(found, folder, wanted, tell)
        others = _join(folder, also or {}, wanted, tell)
        tell("Checking the result: both loaders, every signature, inspection.")
        allowed = {*allow, *((kinds.UNBATCHED.id,) if keep_batch else ())}
        asked = checking.Asked(golden, first.requests)
        why_fixed = next((note.removeprefix(STAYS) for note in first.notes if note.startswith(STAYS)), "")
        compared, findings = checking.check(folder, {**first.by_tags, **others, None: first.run}, asked, allowed, why_fixed)
        model = read_saved_model(folder)
    return Exported(target, found.kind, model._replace(path=target), first.notes, compared, first.why, findings)


class _Ready(NamedTuple):
    """A SavedModel with its final names: how to ask its source in these or why not; ``requests`` are for added signatures."""

    notes: tuple[str, ...]
    run: Run | None
    why: str
    requests: Mapping[str, Mapping[str, Any]]
    by_tags: Mapping[frozenset[str] | None, Run | None]


def _made(found: making.Found, folder: Path, wanted: Wanted, tell: Say) -> _Ready:
    """The SavedModel of one source, in ``folder``."""
    from cpr.exporting import editing, examples_parsing, making

    made = making.make(found, folder, wanted)
    names, notes = editing.edit(folder, wanted)
    notes = (*made.notes, *notes)
    run = None if made.run is None else names.asked(made.run)
    requests: dict[str, Mapping[str, Any]] = dict(names.translated(made.requests))
    if wanted.add is not None:
        base = wanted.rename_signatures.get(wanted.signature or "", wanted.signature)
        added = examples_parsing.add(folder, wanted.add, base)
        notes, requests = (*notes, added.note), {**requests, added.key: added.request()}
        run = None if run is None else added.asked(run)
    for note in notes:
        tell(note)
    return _Ready(notes, run, made.why, requests, {tags: names.asked(each) for tags, each in made.by_tags.items()})


def _join(folder: Path, also: Mapping[Any, Any], wanted: Wanted, tell: Say) -> dict[Any, Run | None]:
    """Put the graphs of other sources beside the one in ``folder``; by their tags, how to ask the sources."""
    from cpr.exporting import making, several

    runs: dict[Any, Run | None] = {}
    for tags, source in also.items():
        found = making.find(source)
        words = _words(tags)
        tell(f"Also, with the tags {','.join(words)}: {found.name}, a {found.kind}.")
        with tempfile.TemporaryDirectory(prefix="cpr-export-") as place:
            mine = replace(wanted, tags=words, **{name: getattr(Wanted(), name) for name in making.idle(found, wanted)})
            ready = _made(found, Path(place), replace(mine, from_tags=None), tell)
            several.join(folder, Path(place))
        runs[frozenset(words)] = ready.run
    return runs


def _words(given: Collection[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _check_free(target: Path, overwrite: bool) -> None:
    if target.is_file() or (target.is_dir() and any(target.iterdir()) and not overwrite):
        what = "a file" if target.is_file() else "a folder with something in it"
        raise OutputError(
            f"There is {what} at {target} already.", "Name another place, or add --overwrite to replace a folder.", str(target)
        )


def _examples(path: Path | str | None) -> tuple[Any, ...]:
    from cpr.examples import read_examples

    return () if path is None else read_examples(Path(path))


def _silent(text: str) -> None:
    """Nobody listens."""
