"""SavedModels with their preprocessing and postprocessing inside, made of models of every origin, and what is refused."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from support import saved_models
from support.replaying import REPOSITORY

import cpr
from cpr import embedding
from cpr.errors import ModelError, OutputError, PredictorError, UsageError
from cpr.saved_model import read_saved_model

pytestmark = pytest.mark.xdist_group("tensorflow")

v1 = tf.compat.v1
EXPORTS = REPOSITORY / "sample_models" / "add_two" / "exports"
WAYS = sorted(path.name for path in EXPORTS.iterdir())


def loaded(folder, **arrays):
    """What plain TensorFlow answers, by both of its loaders, which must agree."""
    model = tf.saved_model.load(str(folder))
    ((name, function),) = model.signatures.items()
    answer = {key: value.numpy() for key, value in function(**{key: tf.constant(each) for key, each in arrays.items()}).items()}
    with tf.Graph().as_default(), v1.Session() as session:
        signature = v1.saved_model.loader.load(session, ["serve"], str(folder)).signature_def[name]
        fetches = {key: info.name for key, info in signature.outputs.items()}
        in_session = session.run(fetches, {signature.inputs[key].name: each for key, each in arrays.items()})
    assert {key: value.tolist() for key, value in answer.items()} == {key: value.tolist() for key, value in in_session.items()}
    return answer


def variables(folder):
    return sum("_CHECKPOINTABLE" not in name for name, _ in tf.train.list_variables(str(folder / "variables" / "variables")))


# --- models of every origin ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_whatever_exported_the_model(way, tmp_path):
    made = cpr.embed(
        EXPORTS / way,
        tmp_path / "out",
        lambda text: tf.strings.to_number(text),
        lambda sums: {"told": tf.strings.as_string(sums, precision=1)},
        examples=["1", "-2.5", "1e3"],
        python=(lambda rows: [float(row) for row in rows], lambda sums: [f"{each:.1f}" for each in sums]),
    )
    assert made.path == tmp_path / "out" and made.rows == 3 and made.findings == ()
    assert loaded(made.path, text=["40", "2"])["told"].tolist() == [b"42.0", b"4.0"]
    assert loaded(made.path, text=np.array([], object))["told"].tolist() == []
    (graph,) = read_saved_model(made.path).meta_graphs
    (inputs,) = graph.signatures[made.signature].inputs.values()
    assert inputs.shape == (None,) and inputs.dtype == "string"
    assert variables(made.path) == 1


def old_tables(folder):
    """Tables of TensorFlow 1, of a file and of constants, and variables of both its kinds."""
    words = folder.with_suffix(".words")
    words.write_text("zero\none\ntwo\n")
    with v1.Graph().as_default(), v1.Session() as session:
        word = v1.placeholder(tf.string, [None], "word")
        line = v1.lookup.TextFileInitializer(
            str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        number = v1.lookup.StaticHashTable(line, 2).lookup(word)
        names = v1.lookup.KeyValueTensorInitializer(tf.constant([0, 1], tf.int64), ["null", "eins"])
        german = v1.lookup.StaticHashTable(names, "?").lookup(number)
        reference = v1.get_variable("reference", initializer=[1.0, 2.0, 3.0], use_resource=False)
        resource = v1.get_variable("resource", initializer=[10.0, 20.0, 30.0], use_resource=True)
        value = tf.gather(reference, number) + tf.gather(resource, number)
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        signature = v1.saved_model.signature_def_utils.predict_signature_def({"word": word}, {"name": german, "value": value})
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": signature},
            assets_collection=[session.graph.get_tensor_by_name("asset_path:0")],
            main_op=v1.tables_initializer(),
        )
        builder.save()
    words.unlink()


def test_tables_and_variables_of_tensorflow_1(tmp_path):
    old_tables(tmp_path / "old")
    made = cpr.embed(
        tmp_path / "old",
        tmp_path / "out",
        embedding.decode_b64,
        lambda answer: {"name": answer["name"], "tenfold": answer["value"] * 10},
        inputs={"b64": ([None], "string")},
        examples=["emVybw", "b25l", "eA=="],
        python=lambda _: [
            {"name": "null", "tenfold": 110.0},
            {"name": "eins", "tenfold": 220.0},
            {"name": "?", "tenfold": 330.0},
        ],
    )
    shutil.rmtree(tmp_path / "old")
    assert loaded(made.path, b64=["b25l"])["tenfold"].tolist() == [220.0]
    assert [path.read_text() for path in (made.path / "assets").iterdir()] == ["zero\none\ntwo\n"]
    assert variables(made.path) == 2


@pytest.fixture
def old_control_flow():
    """Loops as TensorFlow 1 wrote them: nodes of the graph itself, in frames."""
    v1.disable_control_flow_v2()
    yield
    v1.enable_control_flow_v2()


def test_loops_and_branches_of_tensorflow_1(tmp_path, old_control_flow):
    with v1.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        step = v1.get_variable("step", initializer=2.0, use_resource=False)
        _, sums = v1.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y + step), [0, x])
        y = v1.cond(step > 0, lambda: sums * step, lambda: sums)
        assert {"Enter", "Switch", "Merge"} <= {node.op for node in graph.as_graph_def().node}
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "model"), {"x": x}, {"y": y})
    made = cpr.embed(
        tmp_path / "model", tmp_path / "out", tf.strings.to_number, examples=["1", "-6"], python=lambda _: [14.0, 0.0]
    )
    assert loaded(made.path, input=["2"])["y"].tolist() == [16.0]


def test_a_model_whose_objects_cannot_be_restored(tmp_path):
    old = REPOSITORY / "tests" / "support" / "old_optimizer"
    with cpr.load_model(old) as model:
        assert "add_slot" in model.reason
        (row,) = model.predict([[1.0, 2.0, 3.0]])
    made = cpr.embed(old, tmp_path / "out", None, tf.negative, examples=[[1.0, 2.0, 3.0]], python=lambda _: [[-v for v in row]])
    assert cpr.load_model(made.path).loader == "object"


def test_a_table_and_its_file_come_along_once(tmp_path):
    saved_models.lookup(str(tmp_path / "model"))
    vocabulary = tmp_path / "vocabulary"
    vocabulary.write_text("null\nun\ndeux\n")
    french = embedding.lookup(vocabulary)
    english = tf.constant(["zero", "one", "two"])
    made = cpr.embed(
        tmp_path / "model",
        tmp_path / "out",
        lambda word: tf.gather(english, french(word)),
        None,
        examples=["deux", "null"],
        python=lambda rows: [["null", "un", "deux"].index(row) for row in rows],
    )
    for path in (vocabulary, tmp_path / "model.words"):
        path.unlink()
    shutil.rmtree(tmp_path / "model")
    assert loaded(made.path, word=["un", "deux"])["line"].tolist() == [1, 2]
    assert sorted(path.name for path in (made.path / "assets").iterdir()) == ["model.words", "vocabulary"]


def test_keras_layers(tmp_path):
    saved_models.keras(str(tmp_path / "model"))
    words = tf.keras.layers.TextVectorization(output_sequence_length=3, vocabulary=["a", "b"])
    scaled = tf.keras.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 4.0, 4.0])
    scaled.build((None, 3))

    class Steps:
        layers = (words, scaled)

        def preprocess(self, text):
            return scaled(tf.cast(self.layers[0](text), tf.float32))

    plain = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    made = cpr.embed(
        tmp_path / "model",
        tmp_path / "out",
        Steps().preprocess,
        embedding.labels(["no", "yes"], probability=True),
        examples=["a b", "B, a: x"],
        python=(
            lambda _: [[0.5, 0.5, -1.5], [1.0, 0.0, -1.0]],
            lambda rows: [{"label": ["no", "yes"][int(np.argmax(row))], "probability": max(row)} for row in rows],
        ),
    )
    expected = next(iter(plain(tf.constant([[0.5, 0.5, -1.5]])).values())).numpy().max()
    assert loaded(made.path, text=["a b"])["probability"].tolist() == pytest.approx([expected], rel=1e-6)


def test_several_inputs_and_no_preprocessing(tmp_path):
    saved_models.mixed(str(tmp_path / "model"))
    made = cpr.embed(
        tmp_path / "model",
        tmp_path / "out",
        postprocess=lambda answer: {"label": tf.strings.upper(answer["label"]), "twice": answer["twice"]},
        examples=[{"text": "a", "count": 2}],
        python=lambda rows: [{"label": "A:2", "twice": 4}],
    )
    assert loaded(made.path, text=["x", "y"], count=np.int64([1, 2]))["label"].tolist() == [b"X:1", b"Y:2"]
    folder = tmp_path / "again"
    cpr.embed(
        made.path,
        folder,
        lambda given: {"text": given["word"], "count": tf.cast(given["number"], tf.int64)},
        inputs={"word": ([None], "string"), "number": tf.TensorSpec([None], tf.int32)},
        examples=[{"word": "a", "number": 2}],
        python=lambda rows: [{"label": "A:2", "twice": 4}],
    )
    assert loaded(folder, word=["z"], number=np.int32([3]))["twice"].tolist() == [6]


def test_the_model_itself_may_be_replaced(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(EXPORTS / "module", model)
    cpr.embed(model, model, None, tf.negative, examples=[1.0], python=lambda _: [-3.0], overwrite=True)
    assert loaded(model, x=np.float32([1]))["output_0"].tolist() == [-3.0]


# --- batches ------------------------------------------------------------------------------------------------------------------


def test_a_graph_that_fails_without_rows_does_not(tmp_path):
    """TensorFlow's fused convolution gives an empty batch the wrong depth, and the next layer refuses it."""
    digits = REPOSITORY / "sample_models" / "digits_png" / "model" / "saved_model"
    picture = np.eye(8, dtype=np.float32)
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.saved_model.load(str(digits)).signatures["serving_default"](ink=tf.zeros([0, 8, 8]))
    with cpr.load_model(digits) as model:
        made = cpr.embed(
            digits, tmp_path / "out", postprocess=embedding.labels("0123456789"), examples=[picture], python=(list, named)
        )
        expected = named(model.predict([picture, picture.T]))
    assert loaded(made.path, ink=np.stack([picture, picture.T]))["label"].astype(str).tolist() == expected
    assert loaded(made.path, ink=np.zeros([0, 8, 8], np.float32))["label"].tolist() == []


def named(rows):
    return [str(int(np.argmax(row))) for row in rows]


def test_rows_that_depend_on_each_other_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"row 0 sent alone, instances\[0\]: 3.0, expected 2.25"):
        cpr.embed(
            EXPORTS / "module",
            tmp_path / "out",
            lambda x: x / tf.reduce_max(x),
            examples=[1.0, 4.0],
            python=lambda rows: [row / max(rows) + 2 for row in rows],
            inputs={"x": ([None], "float32")},
        )
    assert list(tmp_path.iterdir()) == []


# --- what is refused ----------------------------------------------------------------------------------------------------------


def doubled(tmp_path, **changes):
    """The graph of (2x) + 2, with what a test changes."""
    arguments = {
        "preprocess": lambda x: x * 2,
        "inputs": {"x": ([None], "float32")},
        "examples": [1.0, 2.0, 3.0],
        "python": lambda rows: [row * 2 + 2 for row in rows],
        **changes,
    }
    return cpr.embed(EXPORTS / "module", tmp_path / "out", **arguments)


def test_a_row_that_differs_is_told_and_by_how_much(tmp_path):
    def python(rows):
        return [row * 2 + 2 + (0.5 if row == 2.0 else 0) for row in rows]

    with pytest.raises(ModelError) as caught:
        doubled(tmp_path, python=python)
    assert "examples instances[1]: 6.0, expected 6.5 (off by 0.5)" in caught.value.message
    assert "instances[0]" not in caught.value.message
    assert list(tmp_path.iterdir()) == []
    assert doubled(tmp_path, python=python, atol=0.5).largest == 0.5


def test_a_file_of_requests_is_told_by_its_lines(tmp_path):
    examples = tmp_path / "examples.jsonl"
    examples.write_text(
        '{"instances": [1], "expect": {"predictions": [4.0]}}\n'
        '{"instances": [9], "signature_name": "another"}\n'
        '{"instances": [1, 2], "expect": {"predictions": [4.0, 7.0]}}\n'
    )
    with pytest.raises(ModelError, match=r"examples.jsonl:3 instances\[1\]: 6.0, expected 7.0 \(off by 1\)"):
        doubled(tmp_path, examples=examples, python=None)
    assert not (tmp_path / "out").exists()
    assert doubled(tmp_path, examples=examples, python=lambda rows: [row * 2 + 2.0 for row in rows]).rows == 3


class Slotted:
    """An object that does not say what it holds."""

    __slots__ = ("part",)

    def __call__(self, words):
        return tf.cast(self.part(words), tf.float32)


def hidden():
    slotted = Slotted()
    slotted.part = embedding.lookup(["a", "b"])
    return {"preprocess": slotted, "inputs": None, "examples": ["a"], "python": lambda rows: [2.0]}


def fails(_):
    raise ValueError("of my own")


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        (
            {"preprocess": lambda x: tf.cast(x, tf.float64)},
            ModelError,
            "gives float64 (None,) for x, and the model takes float32",
        ),
        ({"preprocess": lambda x: x[:, None]}, ModelError, "gives float32 (None, 1) for x"),
        ({"preprocess": lambda x: {"y": x}}, ModelError, "gives y, and the model takes x"),
        ({"preprocess": lambda x: tf.RaggedTensor.from_row_lengths(x, [3])}, ModelError, "gives a RaggedTensor for x"),
        ({"preprocess": fails}, ModelError, "of my own"),
        ({"postprocess": tf.reduce_sum}, ModelError, "'output_0' has the shape []"),
        ({"postprocess": lambda y: y[:1] * tf.ones([2])}, ModelError, "'output_0' has the shape [2]"),
        ({"inputs": {"x": ([3], "float32")}}, ModelError, "'x' has the shape [3]"),
        ({"inputs": {"x": "float32"}}, UsageError, "'x' is given as 'float32'"),
        ({"python": fails}, PredictorError, "The Python path, asked examples, raised ValueError: of my own"),
        ({"python": lambda rows: rows[1:]}, PredictorError, "2 predictions"),
        ({"python": 7}, UsageError, "cannot be called"),
        ({"examples": []}, UsageError, "nothing to compare"),
        ({"python": None}, UsageError, "0 answers to hold the 3 instances"),
        ({"examples": ["x"], "python": lambda rows: [1.0]}, ModelError, "fails where Python answers"),
        ({"signature": "no"}, cpr.CprError, "no"),
        (hidden(), ModelError, "a table or variable that nothing reachable from it holds"),
    ],
)
def test_refused_and_nothing_written(tmp_path, changes, kind, message):
    with pytest.raises(kind) as caught:
        doubled(tmp_path, **changes)
    assert message in caught.value.message
    assert caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_model_with_a_fixed_batch(tmp_path):
    saved_models.fixed_batch(str(tmp_path / "model"))
    with pytest.raises(ModelError, match=r"The input 'x' has the shape \[2\]"):
        cpr.embed(tmp_path / "model", tmp_path / "out", examples=[1.0, 2.0], python=lambda rows: rows)


def test_what_is_there_stays(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(OutputError, match="already"):
        doubled(tmp_path)
    with pytest.raises(ModelError):
        doubled(tmp_path, python=lambda rows: rows, overwrite=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]
    doubled(tmp_path, overwrite=True)
    assert not (tmp_path / "out" / "mine").exists()
