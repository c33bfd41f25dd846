"""What a checkpoint carries that no request needs, told from the names, sizes and checksums in its index alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import NamedTuple

from cpr.saved_model.checkpoint import VALUE_SUFFIX, CheckpointIndex, Variable, short_name

_EXPORTED = {"variables", "trainable_variables", "non_trainable_variables"}
_USED = {"_all_variables"}

_SLOT, _ITERATIONS, _ITER = "/.OPTIMIZER_SLOT/", "/_iterations" + VALUE_SUFFIX, "/iter" + VALUE_SUFFIX
_METRICS = "keras_api/metrics/"

_OPTIMIZERS = (
    "adam",
    "adagrad",
    "adadelta",
    "adafactor",
    "rmsprop",
    "momentum",
    "ftrl",
    "sgd",
    "lamb",
    "lars",
    "addsign",
    "powersign",
    "shampoo",
)
"""What the names of TensorFlow 1's slots and of the scopes of its Keras's optimizers have in them; authors add to it."""

_KERAS_SLOTS = {"m", "v", "vhat", "momentum", "rms", "mg", "accumulator", "linear", "accum_grad", "accum_var"}
_POWERS = ("beta1_power", "beta2_power")


class Duplicates(NamedTuple):
    """``pairs`` of names under which the same values are stored, and the ``bytes`` that one of each pair wastes."""

    pairs: tuple[tuple[str, str], ...]
    bytes: int


class Leftovers(NamedTuple):
    """``names`` of variables that only training needs, in order, and the ``bytes`` that they take together."""

    names: tuple[str, ...]
    bytes: int


def duplicates(index: CheckpointIndex) -> Duplicates:
    """The variables that Keras 3's ``Model.export`` stores twice, in its lists ``variables`` and ``_all_variables``.

    The lists are in different orders (in ``_all_variables`` is what the endpoints use, trainable ones first), so a pair is one
    of each list with equal type, shape, size and checksum, and there are as many pairs of a kind as both lists have of it:
    biases that are all zero pair up, with any of the others that are, but never two of one list. Where the greater part of
    ``_all_variables`` has no partner, the lists are those of different models, and what is equal in them is so by chance.

    Source: ``keras/src/export/saved_model_export_archive.py`` of Keras 3.15.
    """
    exported, used = _by_content(index, _EXPORTED), _by_content(index, _USED)
    pairs = [pair for content, group in used.items() for pair in zip(exported.get(content, []), group, strict=False)]
    wasted = sum(second.bytes for _, second in pairs)
    if 2 * wasted < sum(variable.bytes for group in used.values() for variable in group):
        return Duplicates((), 0)
    return Duplicates(tuple(sorted((first.name, second.name) for first, second in pairs)), wasted)


def _by_content(index: CheckpointIndex, lists: Set[str]) -> Mapping[object, list[Variable]]:
    """The variables of a list that take any bytes, by what they hold, each kind in the order of the list."""
    listed = []
    for variable in index.variables:
        holder, _, place = short_name(variable.name).rpartition("/")
        if holder in lists and place.isdecimal() and variable.bytes and not variable.slices:
            listed.append((len(place), place, variable))
    kinds: dict[object, list[Variable]] = {}
    for *_, variable in sorted(listed, key=lambda item: item[:2]):
        kinds.setdefault((variable.dtype, variable.shape, variable.bytes, variable.crc32c), []).append(variable)
    return kinds


def optimizer_slots(index: CheckpointIndex) -> Leftovers:
    """The state of optimizers and of Keras's metrics. An ``ExponentialMovingAverage`` is none: models are served with it."""
    left = [*_objects_left(index.variables), *_graph_left(index.variables)]
    return Leftovers(tuple(sorted(variable.name for variable in left)), sum(variable.bytes for variable in left))


def _objects_left(variables: tuple[Variable, ...]) -> Iterator[Variable]:
    """Those that TensorFlow 2 saved. Under an optimizer's ``_trainable_variables`` the weights of the model itself can lie."""
    names = {variable.name for variable in variables if variable.name.endswith(VALUE_SUFFIX)}
    optimizers = set(_optimizers(names))
    for variable in variables:
        if variable.name not in names:
            continue
        place = short_name(variable.name)
        owner, _, last = place.rpartition("/")
        listed = last.isdecimal() and owner.endswith("/_variables") and owner.removesuffix("/_variables") in optimizers
        if listed or owner in optimizers or _SLOT in place or f"/{_METRICS}" in f"/{place}":
            yield variable


def _optimizers(names: Set[str]) -> Iterator[str]:
    """The places of optimizers: those of slots, and what counts iterations as an optimizer does."""
    for name in names:
        if _SLOT in name:
            yield short_name(name).rpartition(_SLOT)[2].rpartition("/")[0]
        elif name.endswith(_ITERATIONS):
            yield name.removesuffix(_ITERATIONS)
        elif name.endswith(_ITER) and f"{name.removesuffix(_ITER)}/learning_rate{VALUE_SUFFIX}" in names:
            yield name.removesuffix(_ITER)


def _graph_left(variables: tuple[Variable, ...]) -> Iterator[Variable]:
    """Those that TensorFlow 1 saved: ``w/Adam_1`` where there is a ``w``, ``training/Adam/w/m``, and scalars beside them."""
    names = {variable.name for variable in variables if not variable.name.endswith(VALUE_SUFFIX)}
    scopes: set[str] = set()
    scalars = []
    for variable in variables:
        stem, _, last = variable.name.rpartition("/")
        if variable.name not in names:
            continue
        if _of_optimizer(last) and _scope(stem, names) is not None:
            yield variable
            continue
        scope = _scope(stem, names) if last in _KERAS_SLOTS else None
        if scope and _of_optimizer(scope.rpartition("/")[2]):
            scopes.add(scope)
            yield variable
        elif not variable.shape:
            scalars.append(variable)
    for variable in scalars:
        scope, _, last = variable.name.rpartition("/")
        if scope in scopes or last.startswith(_POWERS):
            yield variable


def _of_optimizer(name: str) -> bool:
    name = name.lower().replace("lambda", "")
    return any(word in name for word in _OPTIMIZERS)


def _scope(stem: str, names: Set[str]) -> str | None:
    """What stands before the name of a variable that ``stem`` ends with: ``train`` of ``train/layer/w``; ``None`` for none."""
    whole, _, part = stem.rpartition("/")
    if part.startswith(("part_", "art_")):
        stem = whole  # a partition; TensorFlow drops a letter where it makes the name of its slot
    scope, rest = "", stem
    while rest:
        if rest in names:
            return scope
        first, _, rest = rest.partition("/")
        scope = f"{scope}/{first}" if scope else first
    return None
