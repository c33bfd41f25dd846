"""Makes models with TensorFlow and writes down what TensorFlow itself says of them: ``python tensorflow_says.py FOLDER``.

Run in a process of its own, once for all tests. ``FOLDER/<name>/`` becomes a SavedModel (``checkpoint_*``: a checkpoint alone)
and ``FOLDER/says.json`` the facts, in the shape of ``cpr inspect --json``.
"""

import contextlib
import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import request_models
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2, struct_pb2, trackable_object_graph_pb2
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

v1 = tf.compat.v1
builder_v1 = v1.saved_model.builder.SavedModelBuilder

RUNNABLE = ("tf1_constant", "tf1_dropout", "tf1_norms")
"""Models of TensorFlow 1 of which every request can be run with zeros."""

TRANSFERS = ("_Arg", "_Recv", "_Retval", "_Send")
"""What a session puts in place of what is fed and fetched."""


class Module(tf.Module):
    """Two signatures, every usual type, an unknown rank, nested outputs."""

    def __init__(self):
        super().__init__()
        self.weights = tf.Variable(np.arange(12, dtype=np.float32).reshape(4, 3), name="weights")
        self.steps = tf.Variable(7, dtype=tf.int64)
        self.half = tf.Variable([0.5, 1.5], dtype=tf.bfloat16)
        self.words = tf.Variable(["a", "bc"], dtype=tf.string)

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, "x")])
    def score(self, x):
        return {"scores": tf.matmul(x, self.weights), "best": tf.argmax(tf.matmul(x, self.weights), 1)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "text"),
            tf.TensorSpec([None, None], tf.bool, "mask"),
            tf.TensorSpec(None, tf.int64, "anything"),
            tf.TensorSpec([], tf.float64, "scalar"),
            tf.TensorSpec([2, 3], tf.uint8, "fixed"),
        ]
    )
    def mixed(self, text, mask, anything, scalar, fixed):
        lengths = tf.cond(scalar > 0, lambda: tf.strings.length(text), lambda: tf.zeros_like(text, tf.int32))
        return {
            "length": lengths,
            "unmasked": ~mask,
            "sum": anything + self.steps,
            "half": tf.cast(scalar, tf.float16),
            "fixed_bytes": tf.strings.as_string(fixed),
        }


class Vocabulary(tf.Module):
    def __init__(self, vocabulary):
        super().__init__()
        keys = tf.lookup.TextFileInitializer(
            vocabulary, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        self.table = tf.lookup.StaticVocabularyTable(keys, 2)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "words")])
    def look_up(self, words):
        return {"ids": self.table.lookup(words)}


class Plain(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def double(self, x):
        return {"y": 2 * x}


def make_module(path):
    module = Module()
    tf.saved_model.save(module, path, {"serving_default": module.score, "mixed": module.mixed})


def make_vocabulary(path):
    file = Path(path).with_name("words.txt")
    file.write_text("one\ntwo\nthree\n")
    module = Vocabulary(str(file))
    tf.saved_model.save(module, path, module.look_up)


def make_no_variables(path):
    module = Plain()
    tf.saved_model.save(module, path, module.double)


def make_no_signature(path):
    module = tf.Module()
    module.value = tf.Variable(1.0)
    tf.saved_model.save(module, path)


def make_keras(path):
    layers = [
        tf.keras.layers.Input([8, 8, 1]),
        tf.keras.layers.Conv2D(2, 3),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(3),
    ]
    tf.keras.Sequential(layers).export(path, verbose=False)


def make_tf1_builder(path):
    """Two MetaGraphs, reference variables, a partitioned one, an asset in the collection, an initialising op."""
    file = Path(path).with_name("classes.txt")
    file.write_text("cat\ndog\n")
    builder = builder_v1(path)
    for tags in (["serve"], ["serve", "train"]):
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None, 2], "x")
            weights = v1.get_variable("weights", [2, 2], use_resource=False)
            parts = v1.get_variable(
                "parts", [5, 2], use_resource=False, partitioner=v1.fixed_size_partitioner(2), dtype=tf.float64
            )
            asset = tf.constant(str(file))
            v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, asset)
            table = tf.lookup.StaticHashTable(
                tf.lookup.TextFileInitializer(
                    asset, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE
                ),
                "?",
            )
            y = tf.matmul(x, weights) + tf.cast(tf.reduce_sum(tf.convert_to_tensor(parts)), tf.float32)
            names = table.lookup(tf.argmax(y, 1))
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            info = v1.saved_model.build_tensor_info
            signature = v1.saved_model.build_signature_def(
                {"x": info(x)}, {"y": info(y), "names": info(names)}, "tensorflow/serving/predict"
            )
            if tags == ["serve"]:
                builder.add_meta_graph_and_variables(
                    session, tags, {"predict": signature}, assets_collection=[asset], main_op=v1.tables_initializer()
                )
            else:
                builder.add_meta_graph(tags, {"predict": signature}, assets_collection=[asset])
    builder.save()


def make_tf1_constant(path):
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.complex64, [3, None], "x")
        v1.saved_model.simple_save(session, path, {"x": x}, {"y": x + 1})


def make_tf1_composite(path):
    with tf.Graph().as_default(), v1.Session() as session:
        ragged = v1.ragged.placeholder(tf.int32, 2, [3], "ragged")
        sparse = v1.sparse_placeholder(tf.float32, [None, 7], "sparse")
        info = v1.saved_model.build_tensor_info
        as_type = meta_graph_pb2.TensorInfo()
        as_type.composite_tensor.type_spec.type_spec_class = struct_pb2.TypeSpecProto.SPARSE_TENSOR_SPEC
        as_type.composite_tensor.components.extend([info(sparse.indices), info(sparse.values), info(sparse.dense_shape)])
        registered = meta_graph_pb2.TensorInfo()
        registered.composite_tensor.type_spec.type_spec_class = struct_pb2.TypeSpecProto.EXTENSION_TYPE_SPEC
        registered.composite_tensor.type_spec.type_spec_class_name = "my.Masked"
        registered.composite_tensor.components.extend([as_type])
        signature = v1.saved_model.build_signature_def(
            {"ragged": info(ragged), "sparse": info(sparse)},
            {"typed": as_type, "registered": registered, "flat": info(ragged.flat_values)},
            "tensorflow/serving/predict",
        )
        builder = builder_v1(path)
        builder.add_meta_graph_and_variables(session, ["serve", "gpu"], {"serving_default": signature})
        builder.save()


def make_checkpoint_large(path):
    """More names than fit into one block of the index, in two shards."""
    Path(path).mkdir()
    prefixes = []
    for shard in range(2):
        names = [f"block_{shard}/layer_{index:05d}/a_rather_long_name_{index * 7919 % 10007}/kernel" for index in range(4000)]
        prefixes.append(f"{path}/part{shard}")
        tensors = [np.full([index % 3, 2], index, np.float32) for index in range(len(names))]
        tf.raw_ops.SaveV2(prefix=prefixes[-1], tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors)
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=prefixes, destination_prefix=f"{path}/variables", delete_old_dirs=False)


def tensor(info):
    encoding = info.WhichOneof("encoding")
    shape = tf.TensorShape(info.tensor_shape)
    fact = {
        "dtype": tf.dtypes.as_dtype(info.dtype).name if info.dtype else None,
        "shape": None if shape.rank is None else shape.as_list(),
    }
    if encoding == "coo_sparse":
        coo = info.coo_sparse
        fact["names"] = [coo.values_tensor_name, coo.indices_tensor_name, coo.dense_shape_tensor_name]
    elif encoding == "composite_tensor":
        spec = info.composite_tensor.type_spec
        fact["class"] = struct_pb2.TypeSpecProto.TypeSpecClass.Name(spec.type_spec_class)
        fact["class_name"] = spec.type_spec_class_name
        fact["components"] = [tensor(component) for component in info.composite_tensor.components]
    else:
        fact["tensor"] = info.name
    return fact


def meta_graph(graph):
    ops = Counter(node.op for node in graph.graph_def.node)
    for function in graph.graph_def.library.function:
        ops.update(node.op for node in function.node_def)
    assets = [asset.filename for asset in graph.asset_file_def]
    for packed in graph.collection_def["saved_model_assets"].any_list.value:
        asset = meta_graph_pb2.AssetFileDef()
        packed.Unpack(asset)
        assets.append(asset.filename)
    signatures = {
        key: {
            "method_name": signature.method_name,
            "inputs": {name: tensor(info) for name, info in signature.inputs.items()},
            "outputs": {name: tensor(info) for name, info in signature.outputs.items()},
        }
        for key, signature in graph.signature_def.items()
    }
    versions = graph.graph_def.versions
    init_ops = loaded_by(graph)
    return {
        "tags": list(graph.meta_info_def.tags),
        "tensorflow_version": graph.meta_info_def.tensorflow_version,
        "git_version": graph.meta_info_def.tensorflow_git_version,
        "stripped_default_attrs": graph.meta_info_def.stripped_default_attrs,
        "producer": versions.producer,
        "min_consumer": versions.min_consumer,
        "bad_consumers": list(versions.bad_consumers),
        "signatures": signatures,
        "ops": dict(ops),
        "functions": {function.signature.name: len(function.node_def) for function in graph.graph_def.library.function},
        "assets": sorted(set(assets)),
        "has_objects": graph.HasField("object_graph_def"),
        "init_ops": init_ops,
        "load_ops": needed(graph.graph_def, init_ops, []),
        "calls": {
            key: needed(graph.graph_def, names(signature.outputs), names(signature.inputs))
            for key, signature in graph.signature_def.items()
            if not key.startswith("__saved_model_")
        },
    }


def names(infos):
    """The tensors that inputs or outputs consist of."""
    found = []
    todo = list(infos.values())
    while todo:
        info = todo.pop()
        coo = info.coo_sparse
        found += [name for name in (info.name, *(getattr(coo, field.name) for field, _ in coo.ListFields())) if name]
        todo += info.composite_tensor.components
    return found


def loaded_by(graph):
    """As ``get_init_op`` and ``_get_main_op_tensor`` in ``loader_impl.py`` find it, without a graph to find it in."""
    key = "__saved_model_init_op"
    found = [graph.signature_def[key].outputs[key].name] if key in graph.signature_def else []
    for collection in ("saved_model_main_op", "legacy_init_op"):
        found += graph.collection_def[collection].node_list.value
    return list(dict.fromkeys(name.removesuffix(":0") for name in found))


def needed(graph_def, outputs, inputs):
    """Counts of the operations that the outputs need: TensorFlow's own pruning, of the graph and of each function in it."""
    library = {function.signature.name: function for function in graph_def.library.function}
    known = functions_known(graph_def.library)
    fed = {name if ":" in name else f"{name}:0" for name in inputs}
    pruned = tf.compat.v1.GraphDef()
    pruned.CopyFrom(graph_def)
    placeholders = {node.name for node in graph_def.node if node.op == "Placeholder"}
    for node in pruned.node:
        kept = [written for written in node.input if not is_fed(written, fed, placeholders)]
        del node.input[:]
        node.input.extend(kept)
        node.attr.pop("_class", None)  # on which device, not what runs
    wanted = {name.removesuffix(":0").split(":")[0] for name in outputs if not is_fed(name, fed, placeholders)}
    nodes = list(v1.graph_util.extract_sub_graph(pruned, sorted(wanted)).node) if wanted else []
    ops, seen, todo = Counter(), set(), list(nodes)
    ops.update(node.op for node in nodes)
    while todo:
        for name in called(todo.pop()) & library.keys() - seen:
            seen.add(name)
            body = of_function(library[name], known)
            ops.update(node.op for node in body)
            todo += body
    return dict(ops)


def functions_known(library):
    """A graph in which the functions of a library can be called."""
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(v1.GraphDef(library=library))
    return graph


def ran(path):
    """Counts of the operations that a session executed for each signature, with nothing optimised, or its error; fed zeros."""
    config = v1.ConfigProto()
    config.graph_options.optimizer_options.opt_level = v1.OptimizerOptions.L0
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    found = {}
    with tf.Graph().as_default() as graph, v1.Session(config=config) as session:
        loaded = v1.saved_model.load(session, ["serve"], str(path))
        for key, signature in loaded.signature_def.items():
            tensors = [graph.get_tensor_by_name(info.name) for info in signature.inputs.values()]
            feeds = {tensor: np.zeros([size or 2 for size in tensor.shape], tensor.dtype.as_numpy_dtype) for tensor in tensors}
            fetches = [info.name for info in signature.outputs.values()]
            about = v1.RunMetadata()
            try:
                session.run(fetches, feeds, v1.RunOptions(output_partition_graphs=True), about)
            except tf.errors.InvalidArgumentError as error:
                found[key] = error.message
            else:
                # oneDNN's kernels have operations of their own.
                ops = [node.op.removeprefix("_MklNative") for part in about.partition_graphs for node in part.node]
                found[key] = Counter(op for op in ops if op not in TRANSFERS)
    return found


def is_fed(written, fed, placeholders):
    if written.startswith("^"):
        return written[1:] in placeholders and f"{written[1:]}:0" in fed
    return (written if ":" in written else f"{written}:0") in fed


def called(node):
    functions = {node.op}
    for value in node.attr.values():
        functions |= {value.func.name} | {function.name for function in value.list.func}
    return functions


def of_function(function, known):
    """The nodes that its results and control outputs need, without its arguments."""
    with known.as_default():
        body, flat = function_def_to_graph_def(function)
    for node in body.node:
        node.attr.pop("_class", None)
    arguments = {argument.name for argument in function.signature.input_arg}
    wanted = {flat[result].split(":")[0] for result in function.ret.values()} | set(function.control_ret.values())
    nodes = v1.graph_util.extract_sub_graph(body, sorted(wanted)).node if wanted else []
    return [node for node in nodes if node.name not in arguments]


def objects(graph, prefix):
    """What the object graph holds, and the keys of its variables by the checkpoint's own object graph."""
    if not graph.HasField("object_graph_def"):
        return None
    nodes = graph.object_graph_def.nodes
    saved = trackable_object_graph_pb2.TrackableObjectGraph()
    if Path(prefix + ".index").exists():
        saved.ParseFromString(tf.train.load_checkpoint(prefix).get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    return {
        "classes": Counter(node.user_object.identifier for node in nodes if node.WhichOneof("kind") == "user_object"),
        "functions": sum(bool(node.function.concrete_functions) for node in nodes),
        "variables": sorted(variable(node.variable) for node in nodes if node.WhichOneof("kind") == "variable"),
        "keys": sorted(
            [attribute.full_name, attribute.checkpoint_key]
            for node in saved.nodes
            for attribute in node.attributes
            if attribute.name == "VARIABLE_VALUE"
        ),
    }


def variable(saved):
    shape = tf.TensorShape(saved.shape)
    dimensions = None if shape.rank is None else shape.as_list()
    return [saved.name, tf.dtypes.as_dtype(saved.dtype).name, json.dumps(dimensions), saved.trainable]


def fingerprint(path):
    if not (path / "fingerprint.pb").exists():
        return None
    found = tf.saved_model.experimental.read_fingerprint(str(path))
    return {
        field: getattr(found, field)
        for field in (
            "saved_model_checksum",
            "graph_def_program_hash",
            "signature_def_hash",
            "saved_object_graph_hash",
            "checkpoint_hash",
        )
    }


def variables(prefix):
    if not Path(prefix + ".index").exists():
        return []
    reader = tf.train.load_checkpoint(prefix)
    types, shapes = reader.get_variable_to_dtype_map(), reader.get_variable_to_shape_map()
    return [
        {
            "name": name,
            "dtype": types[name].name,
            "shape": list(shapes[name]),
            "bytes": None if types[name] == tf.string else reader.get_tensor(name).nbytes,
        }
        for name in sorted(shapes)
    ]


def facts(path):
    if path.name.startswith("checkpoint_"):
        return {"variables": variables(str(path / "variables"))}
    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    prefix = str(path / "variables" / "variables")
    return {
        "meta_graphs": [meta_graph(graph) | {"objects": objects(graph, prefix)} for graph in model.meta_graphs],
        "variables": variables(prefix),
        "fingerprint": fingerprint(path),
        "ran": ran(path) if path.name in RUNNABLE else None,
    }


def break_index_missing(path):
    (path / "variables" / "variables.index").unlink()


def break_index_cut(path):
    cut(path / "variables" / "variables.index", 20)


def break_index_altered(path):
    index = path / "variables" / "variables.index"
    content = bytearray(index.read_bytes())
    content[10] ^= 1
    index.write_bytes(content)


def break_weights_missing(path):
    for shard in (path / "variables").glob("*.data-*"):
        shard.unlink()


def break_weights_cut(path):
    for shard in (path / "variables").glob("*.data-*"):
        cut(shard, 1)


def break_weights_pointer(path):
    for shard in (path / "variables").glob("*.data-*"):
        shard.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{64 * '0'}\nsize 1000\n")


def break_graph_empty(path):
    (path / "saved_model.pb").write_bytes(b"")


def break_graph_cut(path):
    cut(path / "saved_model.pb", 100)


def break_assets_missing(path):
    for asset in (path / "assets").iterdir():
        asset.unlink()


def cut(path, count):
    path.write_bytes(path.read_bytes()[:-count])


BREAKABLE = ("module", "no_variables", "tf1_builder", "tf1_constant", "vocabulary")


def loads(path):
    try:
        if path.name.startswith("tf1_"):
            with tf.Graph().as_default(), v1.Session() as session:
                v1.saved_model.load(session, ["serve"], str(path))
        else:
            tf.saved_model.load(str(path))
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    return None


def broken(folder):
    """For every way to break a model: why TensorFlow does not load it, or ``None`` where it does."""
    damages = {name.removeprefix("break_"): damage for name, damage in globals().items() if name.startswith("break_")}
    damages["whole"] = None
    reasons = {}
    for model in BREAKABLE:
        for name, damage in damages.items():
            path = folder / "broken" / name / model
            shutil.copytree(folder / model, path)
            if damage is None or harmed(damage, path):
                reasons[path.relative_to(folder).as_posix()] = loads(path)
    return reasons


def harmed(damage, path):
    """False where the model has nothing that could be broken this way."""
    before = contents(path)
    with contextlib.suppress(FileNotFoundError):
        damage(path)
    return contents(path) != before


def contents(path):
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def as_text(path):
    """The same model as ``<name>_text/saved_model.pbtxt``."""
    text = path.with_name(f"{path.name}_text")
    text.mkdir()
    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    (text / "saved_model.pbtxt").write_text(text_format.MessageToString(model))


def main(folder):
    says = {}
    for name, make in sorted({**vars(request_models), **globals()}.items()):
        if name.startswith("make_"):
            path = folder / name.removeprefix("make_")
            make(str(path))
            says[path.name] = facts(path)
            if "meta_graphs" in says[path.name]:
                as_text(path)
    corners = text_format.Parse(Path(__file__).with_name("corners.pbtxt").read_text(), saved_model_pb2.SavedModel())
    (folder / "corners").mkdir()
    (folder / "corners" / "saved_model.pb").write_bytes(corners.SerializeToString())
    document = {"models": says, "types": data_types(), "broken": broken(folder)}
    (folder / "says.json").write_text(json.dumps(document))


def data_types():
    """Name in the protobufs, and by number: name in Python and bytes of an element."""
    return {
        name: [number, tf.dtypes.as_dtype(number).name, tf.dtypes.as_dtype(number).size] if number else [0, None, 0]
        for name, number in types_pb2.DataType.items()
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
