"""Makes checkpoints with TensorFlow, alters them, and writes down what TensorFlow reads of them.

``python tensorflow_checkpoints.py FOLDER``, in a process of its own, once for all tests. ``FOLDER/<name>/variables.index`` and
its shards are the checkpoints, ``FOLDER/says.json`` the facts.
"""

import json
import os
import random
import shutil
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import cramjam
import google_crc32c
import keras
import numpy as np
import tensorflow as tf
from altered_files import flipped
from protobuf_fields import number, varint, within
from tables import entry, header, masked_crc32c, written

from cpr.saved_model.checkpoint import read_checkpoint_index
from cpr.saved_model.sstable import entries

v1 = tf.compat.v1

POSITIONS = 12
"""As many bytes of each tensor are flipped, besides the first and the last two."""


def save(prefix, tensors, slices=None):
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(tensors),
        shape_and_slices=slices or [""] * len(tensors),
        tensors=[tensor if tf.is_tensor(tensor) else tf.constant(tensor) for tensor in tensors.values()],
    )


def merge(path, prefixes):
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[str(prefix) for prefix in prefixes],
        destination_prefix=str(path / "variables"),
        delete_old_dirs=False,
    )


def numbers(shape, dtype, seed=0):
    return tf.cast(np.random.default_rng(seed).integers(0, 100, shape), dtype)


def make_numbers(path):
    """Numbers of every kind, a scalar, and one without elements."""
    types = ("float32", "float64", "float16", "bfloat16", "int8", "uint16", "int32", "int64", "bool", "complex64")
    tensors = {f"of_{name}": numbers([3, 2], name) for name in types}
    save(path / "variables", {**tensors, "one": 7.5, "none": np.zeros([0, 4], np.float32)})


def make_texts(path):
    """Lengths of one, two and three bytes, no strings, empty ones, and numbers before and behind them."""
    long = ["a" * 127, "b" * 128, "c" * 20_000, ""]
    none = tf.constant([], tf.string)
    words = {"before": [1.0, 2.0], "empty": ["", ""], "long": long, "none": none, "one": "é", "words": ["a", "bc"], "z": [3.0]}
    save(path / "variables", words)


def make_many_texts(path):
    """More lengths than are looked at together, all short, all long, and both."""
    tensors = {
        "short": ["abc"[: place % 4] for place in range(9_000)],
        "mixed": ["m" * (place % 300) for place in range(9_000)],
        "long": ["n" * (200 + place % 7) for place in range(3_000)],
    }
    save(path / "variables", tensors)


def make_variants(path):
    """Lists of tensors. One of them takes more than 127 bytes, so that its length takes two."""
    long = tf.raw_ops.TensorListFromTensor(tensor=numbers([60, 8], tf.float32), element_shape=[8])
    short = tf.raw_ops.TensorListFromTensor(tensor=numbers([2, 1], tf.int32), element_shape=[1])
    save(path / "variables", {"after": [3.0], "both": tf.stack([long, short]), "list": short})


def make_slices(path):
    """Partitioned variables in two files. Starts and extents take one to three bytes in the keys of their slices."""
    wide = numbers([2, 300_000], tf.uint8)
    parts = {
        "5 4 0,3:0,4": numbers([3, 4], tf.float32),
        "2 300000 -:0,70": wide[:, :70],
        "5 3,2": numbers([2], tf.bfloat16),
    }
    rest = {
        "5 4 3,2:0,4": numbers([2, 4], tf.float32, 1),
        "2 300000 -:70,299930": wide[:, 70:],
        "5 0,3": numbers([3], tf.bfloat16, 1),
    }
    names = ("parts/float", "parts/wide", "half\0\x7f")
    for place, cut in enumerate((parts, rest)):
        save(path / f"part{place}", dict(zip(names, cut.values(), strict=True)), list(cut))
    save(path / "part2", {"whole": numbers([4], tf.float32)})
    merge(path, [path / f"part{place}" for place in range(3)])


def altered(path):
    """For bytes all over the shards: which tensors TensorFlow refuses when that byte is another one."""
    chance = random.Random(path.name)
    tensors = tf.train.load_checkpoint(str(path / "variables")).get_variable_to_dtype_map()
    facts = []
    index = read_checkpoint_index(path / "variables.index")
    for variable in index.variables:
        for part in variable.slices or [variable]:
            for place in places(part.bytes, chance):
                # The length of a variant is believed before its checksum is compared: it must not become one of gigabytes.
                flip = 1 if path.name == "variants" else 1 << chance.randrange(8)
                with flipped(index.shard_path(part.shard), part.offset + place, flip):
                    facts.append([index.shard_name(part.shard), part.offset + place, flip, refused(path, tensors)])
    assert not refused(path, tensors)
    return facts


def places(size, chance):
    """Some of the offsets in ``size`` bytes."""
    some = {0, 1, size - 2, size - 1, *(chance.randrange(size) for _ in range(POSITIONS) if size)}
    return sorted(place for place in some if 0 <= place < size)


def refused(path, tensors):
    """The names of tensors that TensorFlow does not read."""
    names = []
    for name, dtype in tensors.items():
        try:
            restore(path, name, dtype)
        except tf.errors.OpError:
            names.append(name)
    return sorted(names)


def restore(path, name, dtype):
    return tf.raw_ops.RestoreV2(prefix=str(path / "variables"), tensor_names=[name], shape_and_slices=[""], dtypes=[dtype])[0]


def pairs_of(path):
    return list(entries((path / "variables.index").read_bytes()))


def index_snappy(path):
    return written(pairs_of(path), lambda block: bytes(cramjam.snappy.compress_raw(block)), each=5)


def index_snappy_one_block(path):
    return written(pairs_of(path), lambda block: bytes(cramjam.snappy.compress_raw(block)))


def index_small_blocks(path):
    return written(pairs_of(path), each=2, interval=1)


def with_header(**facts):
    return lambda path: written([(b"", header(**facts)), *pairs_of(path)[1:]])


index_of_the_next_reader = with_header(versions=number(1, 1) + number(2, 2))
index_not_for_this_reader = with_header(versions=number(1, 1) + within(3, varint(3) + varint(1)))
index_not_for_this_reader_unpacked = with_header(versions=number(1, 1) + number(3, 1))
index_not_for_other_readers = with_header(versions=number(1, 7) + number(2, 1) + within(3, varint(2) + varint(-1)))
index_of_no_producer = with_header(versions=number(1, -1))
index_without_versions = with_header(versions=b"")


def with_entry(change):
    """Another entry for ``of_float32``, whose offset and checksum stay what they are."""

    def index(path):
        found = next(
            variable for variable in read_checkpoint_index(path / "variables.index").variables if variable.name == "of_float32"
        )
        new = (b"of_float32", change(found))
        return written([new if key == new[0] else (key, value) for key, value in pairs_of(path)])

    return index


index_same_entry = with_entry(lambda is_: entry(1, [3, 2], 0, is_.offset, 24, is_.crc32c))
index_other_size = with_entry(lambda is_: entry(1, [3, 2], 0, is_.offset, 20, is_.crc32c))
index_other_shape = with_entry(lambda is_: entry(1, [3, 3], 0, is_.offset, 24, is_.crc32c))
index_unknown_dimension = with_entry(lambda is_: entry(1, [-1, 2], 0, is_.offset, 24, is_.crc32c))
index_negative_offset = with_entry(lambda is_: entry(1, [3, 2], 0, -1, 24, is_.crc32c))
index_missing_slice = with_entry(lambda is_: entry(1, [3, 2], 0, is_.offset, 0, 0, within(7, within(1, number(2, 2)))))


def indexes(folder):
    """Other indexes of ``numbers``: for each the tensors that TensorFlow does not read with it, or its error."""
    facts = {}
    source = folder / "numbers"
    tensors = tf.train.load_checkpoint(str(source / "variables")).get_variable_to_dtype_map()
    for name, index in globals().items():
        if name.startswith("index_"):
            path = folder / name
            shutil.copytree(source, path)
            (path / "variables.index").write_bytes(index(source))
            facts[name] = refused(path, tensors)
    return facts


def make_big_endian(path):
    """``numbers`` and text as a big-endian machine writes them. Returns what TensorFlow does not read as the same values."""
    path.mkdir()
    little = path.parent / "numbers"
    index = read_checkpoint_index(little / "variables.index")
    shard = index.shard_path(0).read_bytes()
    content, pairs = b"", []
    for variable in index.variables:
        bits = shard[variable.offset : variable.offset + variable.bytes]
        kind = tf.as_dtype(variable.dtype)
        unit = kind.size // (2 if kind.is_complex else 1)
        bits = b"".join(bits[at : at + unit][::-1] for at in range(0, len(bits), unit))
        pairs.append((variable, kind.as_datatype_enum, bits, masked_crc32c(bits)))
    made = []
    for variable, kind, bits, crc in pairs:
        made.append((variable.name.encode(), entry(kind, variable.shape, 0, len(content), len(bits), crc)))
        content += bits
    bits, crc = big_endian_text(["a", "b" * 300, ""])
    made.append((b"text", entry(7, [3], 0, len(content), len(bits), crc)))
    (path / "variables.data-00000-of-00001").write_bytes(content + bits)
    (path / "variables.index").write_bytes(written([(b"", header(big_endian=True)), *made]))
    assert restore(path, "text", tf.string).numpy().tolist() == [b"a", b"b" * 300, b""]
    for variable, *_ in pairs:
        same = restore(path, variable.name, variable.dtype).numpy() == restore(little, variable.name, variable.dtype).numpy()
        assert same.all(), variable.name


def big_endian_text(texts):
    contents = [text.encode() for text in texts]
    lengths = b"".join(len(content).to_bytes(4, "big") for content in contents)
    stored = masked_crc32c(lengths).to_bytes(4, "big")
    crc = google_crc32c.value(lengths + stored + b"".join(contents))
    bits = b"".join(varint(len(content)) for content in contents) + stored + b"".join(contents)
    return bits, (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def make_export(path):
    """What ``Model.export`` of Keras 3 stores twice; several of its variables are all zero."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.layers.Input([8]),
            keras.layers.Dense(3),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3),
        ]
    )
    model.export(path, verbose=False)


def make_export_of_another(path):
    """An archive that keeps the variables of one model and serves another. Their biases are all zero."""
    models = [keras.Sequential([keras.layers.Input([4]), keras.layers.Dense(3), keras.layers.Dense(3)]) for _ in range(2)]
    archive = keras.export.ExportArchive()
    archive.track(models[0])
    archive.add_endpoint("serve", models[1].call, [tf.TensorSpec([None, 4])])
    archive.write_out(path, verbose=False)


def make_keras_optimizers(path):
    """A Keras 3 model with its optimizer, saved by TensorFlow. The weights lie under the optimizer, which also lists them."""
    model = keras.Sequential([keras.layers.Input([4]), keras.layers.Dense(3), keras.layers.BatchNormalization()])
    model.compile("adam", "mse")
    model.fit(np.zeros([2, 4]), np.zeros([2, 3]), verbose=0)
    tf.saved_model.save(model, path)


def make_slots_of_objects(path):
    """The optimizers that make their slots in the variables' names, as those of TensorFlow 2 did up to 2.10."""
    module = tf.Module()
    module.w = tf.Variable([1.0, 2.0])
    module.optimizers = [v1.train.AdamOptimizer(0.1), v1.train.MomentumOptimizer(0.1, 0.9)]
    for optimizer in module.optimizers:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(module.w)
        optimizer.apply_gradients([(tape.gradient(loss, module.w), module.w)])
    tf.train.Checkpoint(module=module).write(str(path / "variables"))


def make_slots_of_graphs(path):
    """A partitioned variable, two more, and optimizers of TensorFlow 1, one of them in a scope, one with a name of its own."""
    with tf.Graph().as_default(), v1.Session() as session:
        v1.get_variable("layer/w", [3, 2])
        v1.get_variable("layer/b", [2])
        v1.get_variable("parts", [6, 2], partitioner=v1.fixed_size_partitioner(2))
        model = v1.global_variables()
        loss = sum(tf.reduce_sum(variable) for variable in model)
        tf.train.ExponentialMovingAverage(0.9).apply(model[:2])
        optimizers = [
            v1.train.AdamOptimizer(),
            v1.train.AdamOptimizer(name="my_adam"),
            v1.train.MomentumOptimizer(0.1, 0.9),
            v1.train.AdagradOptimizer(0.1),
            v1.train.AdadeltaOptimizer(0.1),
            v1.train.RMSPropOptimizer(0.1, centered=True),
            v1.train.FtrlOptimizer(0.1),
        ]
        v1.train.get_or_create_global_step()
        known = set(v1.global_variables())
        for place, optimizer in enumerate(optimizers):
            with v1.variable_scope("train" if place == 2 else v1.get_variable_scope()):
                optimizer.minimize(loss)
        slots = [variable for variable in v1.global_variables() if variable not in known]
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(path / "variables"), write_meta_graph=False, write_state=False)
        return {"names": sorted(name_of(slot) for slot in slots), "bytes": sum(4 * slot.shape.num_elements() for slot in slots)}


def name_of(variable):
    """Its name in a checkpoint: that of the whole, for a partition."""
    part = variable._get_save_slice_info()
    return variable.op.name if part is None else part.full_name


def main(folder):
    checkpoints = ("numbers", "texts", "many_texts", "variants", "slices")
    facts = {"altered": {}}
    for name, make in sorted(globals().items()):
        if name.startswith("make_") and name != "make_big_endian":
            path = folder / name.removeprefix("make_")
            path.mkdir()
            said = make(path)
            if said is not None:
                facts[path.name] = said
    make_big_endian(folder / "big_endian")
    for name in checkpoints:
        facts["altered"][name] = altered(folder / name)
    facts["indexes"] = indexes(folder)
    (folder / "says.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
