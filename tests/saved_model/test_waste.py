"""What training left in a checkpoint, told from its index: real ones of TensorFlow, and names recorded from other releases."""

import pytest
from tables import entry, header, written

from cpr.saved_model import read_checkpoint_index
from cpr.saved_model.checkpoint import VALUE_SUFFIX, parse_checkpoint_index
from cpr.saved_model.waste import Duplicates, Leftovers, duplicates, optimizer_slots


@pytest.fixture
def index_of(checkpoints):
    def read(name):
        (path,) = (checkpoints[0] / name).rglob("variables.index")
        return read_checkpoint_index(path)

    return read


def test_what_an_export_stores_twice(index_of):
    index = index_of("export")
    found = duplicates(index)
    used = [variable for variable in index.variables if variable.name.startswith("_all_variables/")]
    assert len(used) == 8
    assert sorted(second for _, second in found.pairs) == sorted(variable.name for variable in used)
    assert found.bytes == sum(variable.bytes for variable in used)
    by_name = {variable.name: variable for variable in index.variables}
    for first, second in found.pairs:
        assert first.startswith("variables/")
        one, other = by_name[first], by_name[second]
        assert (one.dtype, one.shape, one.crc32c) == (other.dtype, other.shape, other.crc32c)
    assert len({first for first, _ in found.pairs}) == 8, "each is the other half of one pair"


def test_equal_values_in_lists_of_different_models_are_no_duplicates(index_of):
    index = index_of("export_of_another")
    zero = {variable.crc32c for variable in index.variables if variable.shape == (3,)}
    assert len(zero) == 1, "the biases are equal, and stored in both lists"
    assert duplicates(index) == Duplicates((), 0)


def of(sizes, crc32c=7):
    """An index of float32 vectors with equal content, by name and length."""
    pairs, offset = [(b"", header())], 0
    for name, size in sorted(sizes.items()):
        pairs.append((name.encode(), entry(1, [size], 0, offset, 4 * size, crc32c)))
        offset += 4 * size
    return parse_checkpoint_index(written(pairs))


def test_equal_variables_of_one_list_are_no_duplicates():
    assert duplicates(of({f"variables/{place}{VALUE_SUFFIX}": 5 for place in range(4)})) == Duplicates((), 0)
    assert duplicates(of({"a": 5, "b": 5, f"_all_variables/0{VALUE_SUFFIX}": 5})) == Duplicates((), 0)


def test_what_takes_no_bytes_is_no_duplicate():
    assert duplicates(of({f"variables/0{VALUE_SUFFIX}": 0, f"_all_variables/0{VALUE_SUFFIX}": 0})) == Duplicates((), 0)


def test_there_are_as_many_pairs_as_both_lists_have():
    names = [f"variables/{place}{VALUE_SUFFIX}" for place in range(3)] + [
        f"_all_variables/{place}{VALUE_SUFFIX}" for place in range(2)
    ]
    found = duplicates(of(dict.fromkeys(names, 5)))
    assert (len(found.pairs), found.bytes) == (2, 40)


@pytest.mark.parametrize("name", ["export", "export_of_another", "numbers", "texts", "slices"])
def test_what_is_exported_for_serving_has_no_slots(index_of, name):
    assert optimizer_slots(index_of(name)) == Leftovers((), 0)


def test_slots_of_tensorflow_1(checkpoints, index_of):
    """All that the optimizers made, and neither the moving averages nor the step."""
    says = checkpoints[1]["slots_of_graphs"]
    found = optimizer_slots(index_of("slots_of_graphs"))
    assert list(found.names) == sorted(set(says["names"]))
    assert found.bytes == says["bytes"]


def test_slots_of_tensorflow_2(index_of):
    index = index_of("slots_of_objects")
    found = optimizer_slots(index)
    kept = {variable.name for variable in index.variables} - set(found.names)
    assert kept == {f"module/w{VALUE_SUFFIX}", "_CHECKPOINTABLE_OBJECT_GRAPH"}
    assert len([name for name in found.names if ".OPTIMIZER_SLOT" in name]) == 3
    assert found.bytes == 3 * 8 + 2 * 4


def test_slots_of_keras_3(index_of):
    index = index_of("keras_optimizers")
    found = optimizer_slots(index)
    kept = sorted(
        {variable.name.removesuffix(VALUE_SUFFIX) for variable in index.variables}
        - {name.removesuffix(VALUE_SUFFIX) for name in found.names}
    )
    weights = [f"optimizer/_trainable_variables/{place}" for place in range(4)]
    assert kept == ["_CHECKPOINTABLE_OBJECT_GRAPH", "_layers/2/moving_mean", "_layers/2/moving_variance", *weights]
    trainable = sum(variable.bytes for variable in index.variables if "_trainable_variables" in variable.name)
    assert found.bytes == 2 * trainable + 8 + 4, "two moments of each, an int64 and a rate"


LAYER = ("layer_with_weights-0/bias", "layer_with_weights-0/kernel")

RECORDED = {
    "tf_keras 2.21, Adam": (
        LAYER,
        [
            *(f"keras_api/metrics/{place}/{name}" for place in range(2) for name in ("count", "total")),
            *(f"optimizer/_variables/{place}" for place in range(1, 5)),
            "optimizer/_iterations",
            "optimizer/_learning_rate",
        ],
    ),
    "tf_keras 2.21, legacy Adam": (
        LAYER,
        [
            *(f"{name}/.OPTIMIZER_SLOT/optimizer/{slot}" for name in LAYER for slot in ("m", "v", "vhat")),
            *(f"optimizer/{name}" for name in ("beta_1", "beta_2", "decay", "iter", "learning_rate")),
        ],
    ),
    "tf_keras 2.21, legacy SGD without momentum": (LAYER, ["optimizer/decay", "optimizer/iter", "optimizer/learning_rate"]),
    "tf_keras 2.21, a module with a model and an optimizer": (
        ("model/layer_with_weights-0/kernel",),
        ["opt/_iterations", "opt/_learning_rate", "opt/_variables/1", "opt/_variables/2"],
    ),
}

GRAPHS = {
    "tf.keras 1.15, Adam": (
        ["dense/kernel", "batch_normalization/moving_mean"],
        [
            "training/Adam/dense/kernel/m",
            "training/Adam/dense/kernel/v",
            *(f"training/Adam/{name}" for name in ("beta_1", "beta_2", "decay", "iter", "learning_rate")),
        ],
    ),
    "tf.keras 1.15, RMSprop": (
        ["dense/bias", "dense/kernel"],
        [
            "training/RMSprop/dense/bias/rms",
            "training/RMSprop/dense/kernel/rms",
            *(f"training/RMSprop/{name}" for name in ("decay", "iter", "learning_rate", "momentum", "rho")),
        ],
    ),
    "tf.contrib.layers.optimize_loss": (
        ["d/kernel", "global_step"],
        ["OptimizeLoss/beta1_power", "OptimizeLoss/d/kernel/Adam", "OptimizeLoss/d/kernel/Adam_1"],
    ),
    "tf.contrib.opt": (["w"], ["beta1_power_3", "w/AdamW", "w/AdaMax_1", "w/LARSOptimizer", "w/AddSign", "w/Shampoo"]),
    "a network with the words in its own names": (
        ["adam/kernel", "adam/kernel/ExponentialMovingAverage", "momentum_encoder/adam/kernel", "sgd/m", "v", "w/lambda", "w"],
        [],
    ),
}


@pytest.mark.parametrize("name", RECORDED)
def test_names_of_objects_recorded_from_others(name):
    kept, left = ([f"{each}{VALUE_SUFFIX}" for each in names] for names in RECORDED[name])
    found = optimizer_slots(of(dict.fromkeys([*kept, *left], 3)))
    assert found == Leftovers(tuple(sorted(left)), 12 * len(left))


@pytest.mark.parametrize("name", GRAPHS)
def test_names_in_graphs_recorded_from_others(name):
    """Names without a slash behind the optimizer's are those of scalars."""
    kept, left = GRAPHS[name]
    scalars = {each for each in left if each.rpartition("/")[2] in SCALARS or "power" in each}
    pairs = [(b"", header())]
    pairs += [(each.encode(), entry(1, [] if each in scalars else [1], 0, 0, 4, 7)) for each in sorted([*kept, *left])]
    found = optimizer_slots(parse_checkpoint_index(written(pairs)))
    assert found == Leftovers(tuple(sorted(left)), 4 * len(left))


SCALARS = {"beta_1", "beta_2", "decay", "iter", "learning_rate", "momentum", "rho"}
