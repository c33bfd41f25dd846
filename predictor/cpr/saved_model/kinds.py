"""What can be wrong with a SavedModel: every kind of finding, told once.

An error on a model means that TensorFlow does not load it (a test lets it try) or that every request to it fails; where neither
is sure it is a warning. A note is worth knowing, and nothing need be done about it.
"""

from __future__ import annotations

from typing import NamedTuple

from cpr.report import Finding, Severity

READER = "tensorflow/core/protobuf/saved_model.proto and tensor_bundle, as TensorFlow reads them"
_LOADER = "tensorflow/python/saved_model/loader_impl.py, TensorFlow 2.21"
_LIBRARY = "Google's prediction library in gcloud 528.0.0, frameworks/tf_prediction_lib.py"
_TABLES = "deploy/tensorflow, read from TensorFlow's wheels"
_GRAPH = "the operations that a request reaches, read from saved_model.pb"

_AGAIN = "Export the model again, or copy the whole folder again from where it came."
_BAD_DATA = ("Failed to load the model due to bad model data.",)
_FAILS = ("Failed to run the provided model: {reason} (Error code: 2)",)

MIB = 1 << 20


class Kind(NamedTuple):
    """One kind of finding. ``id`` is stable: it is never given to another kind.

    ``prevents`` are the platform's own error texts, with ``{name}`` for what changes from one to the next; ``source`` is where
    the rule comes from.
    """

    id: str
    title: str
    severity: Severity
    cause: str
    remedy: str
    prevents: tuple[str, ...] = ()
    source: str = READER

    def at(self, where: str, message: str, remedy: str | None = None, severity: Severity | None = None) -> Finding:
        """A finding of this kind; ``where`` is relative to what is looked at, with forward slashes."""
        return Finding(self.id, severity or self.severity, where, message, remedy or self.remedy)


_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

NOTHING_HERE = Kind(
    "CPR601",
    "No SavedModel here",
    _ERROR,
    "`cpr inspect` was given a folder without saved_model.pb. Often it holds the model in a form that servers do not read: a "
    "Keras file, a checkpoint, a frozen graph, a TensorFlow Lite file.",
    "Name the folder that tf.saved_model.save or Model.export wrote.",
    ("Cloud ML only supports TF 1.0 or above and models saved in SavedModel format.",),
    _LIBRARY,
)
WRONG_LEVEL = Kind(
    "CPR602",
    "The SavedModel lies at another level",
    _WARNING,
    "`cpr inspect` was given a folder above the SavedModel, or one inside it. Loaders look into the folder they are given.",
    "Name the folder that holds saved_model.pb itself.",
    ("Cloud ML only supports TF 1.0 or above and models saved in SavedModel format.",),
    _LIBRARY,
)
GRAPH_UNREADABLE = Kind(
    "CPR603", "The graph of a SavedModel cannot be read", _ERROR, "saved_model.pb is empty, cut or altered.", _AGAIN, _BAD_DATA
)
LFS_POINTER = Kind(
    "CPR604",
    "A Git LFS pointer stands in place of a file",
    _ERROR,
    "The repository was cloned without its large files; what lies there is a few lines of text.",
    "Fetch the content with `git lfs install && git lfs pull`, then try again.",
    _BAD_DATA,
    "https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md",
)
WEIGHTS_MISSING = Kind(
    "CPR605",
    "Weights of a SavedModel are missing",
    _ERROR,
    "The graph has variables, and their values lie nowhere.",
    _AGAIN,
    _BAD_DATA,
)
WEIGHTS_CUT = Kind(
    "CPR606",
    "Weights of a SavedModel are cut short",
    _ERROR,
    "The file is shorter than its index says.",
    _AGAIN,
    _BAD_DATA,
)
INDEX_UNREADABLE = Kind(
    "CPR607", "The index of a SavedModel's weights cannot be read", _ERROR, "It is cut or altered.", _AGAIN, _BAD_DATA
)
NO_SERVE_TAG = Kind(
    "CPR608",
    "A SavedModel has no graph for serving",
    _WARNING,
    "Servers ask for the graph with the tag `serve`; another is loaded only where routine.yaml names its tags.",
    "Export with the tag `serve` (what tf.saved_model.save does), or name the tags in routine.yaml.",
    ("Failed to load the model due to bad model data. tags: {tags}",),
    _LIBRARY,
)
NO_SIGNATURE = Kind(
    "CPR609",
    "A SavedModel has no signature",
    _WARNING,
    "Without a signature no request can name what to run; only code of your own can.",
    "Export with signatures: tf.saved_model.save(model, folder, signatures=model.serve), "
    "where serve is a tf.function with an input_signature.",
    ("MetaGraph must have at least one signature_def.",),
    _LIBRARY,
)
ASSET_MISSING = Kind(
    "CPR610", "An asset of a SavedModel is missing", _ERROR, "The graph reads the file when it is loaded.", _AGAIN, _BAD_DATA
)
BUNDLE_ALTERED = Kind(
    "CPR611",
    "The manifest of the bundle around a SavedModel cannot be read",
    _ERROR,
    "`cpr inspect` was given a bundle whose manifest.json is cut, altered or of a newer release.",
    "Build the bundle anew with `cpr build`.",
    (),
    "cpr's own format",
)
OTHER_FORM = Kind(
    "CPR612",
    "The graph of a SavedModel is named as the other form",
    _ERROR,
    "saved_model.pb is the binary form and saved_model.pbtxt the text form. TensorFlow goes by the name alone.",
    "Give the file the name of its form.",
    _BAD_DATA,
    _LOADER,
)
WEIGHTS_ALTERED = Kind(
    "CPR613",
    "Weights of a SavedModel were altered",
    _ERROR,
    "The checksum of a tensor is not the one in the index. `cpr validate` and `cpr inspect --verify` compare them.",
    _AGAIN,
    _BAD_DATA,
)
STALE_SHARDS = Kind(
    "CPR614",
    "Weights that the index does not name",
    _WARNING,
    "An earlier export or checkpoint left them there. They are never read, and are uploaded and copied all the same.",
    "Delete the files, or export into an empty folder.",
)
FOREIGN_WEIGHTS = Kind(
    "CPR615",
    "The weights belong to another model",
    _WARNING,
    "The index or its shards come from another export than the graph.",
    "Copy the variables folder and saved_model.pb from the same export.",
    _BAD_DATA,
)
STRANGE_NAMES = Kind(
    "CPR616",
    "Objects of a bucket whose names no folder can hold",
    _WARNING,
    "A name with an empty part, `.` or `..` between its slashes, or that of an object and at once of a folder. Mostly a prefix "
    "and a name were joined with one slash too many. Loaders do not find such a file, and copying tools skip or misplace it.",
    "Upload it again under the right name, and delete this one.",
    (),
    "https://cloud.google.com/storage/docs/objects#naming",
)
NEWER_OPERATION = Kind(
    "CPR621",
    "A SavedModel needs another TensorFlow than the runtime's",
    _ERROR,
    "TensorFlow refuses a whole model for one operation that it does not know, even one that serving never runs. Newer "
    "releases write such operations into the function that saves checkpoints. It also refuses a graph whose version it does "
    "not read.",
    "Export the model with the runtime's own TensorFlow, or set a newer runtime_version in routine.yaml.",
    _BAD_DATA,
    _TABLES,
)
CUSTOM_OPERATION = Kind(
    "CPR622",
    "A SavedModel has an operation that no TensorFlow has",
    _WARNING,
    "It comes from a library that must be installed and imported before the model is loaded. A server without it refuses the "
    "model.",
    "Import the library in the routine before the model is loaded and declare it as a requirement, or export without it.",
    _BAD_DATA,
    _TABLES,
)
NO_KERNEL = Kind(
    "CPR623",
    "A SavedModel has an operation that cannot run on a CPU",
    _WARNING,
    "TensorFlow still knows the operation, or has it for other devices alone. The model loads, and running it on a CPU fails.",
    "Export the model without it, or run it with a TensorFlow and on a device that have it.",
    _FAILS,
    _TABLES,
)
DANGEROUS_OPERATION = Kind(
    "CPR624",
    "A SavedModel reaches outside of its graph",
    _WARNING,
    "Reading and writing files and calling back into Python work on the machine that exported the model, and rarely on a "
    "server. In a model from elsewhere they can do harm.",
    "Export without it; load such a model only where you trust its author.",
    (),
    "https://github.com/tensorflow/tensorflow/blob/master/SECURITY.md",
)
REFERENCE_VARIABLES = Kind(
    "CPR625",
    "A SavedModel has reference variables",
    _NOTE,
    "TensorFlow 1 made them. TensorFlow still loads and runs them, but converters and tf.function do not take them.",
    "Nothing for serving; to use the model in newer code, export it with resource variables.",
    source="tensorflow/python/ops/ref_variable.py, TensorFlow 2.21",
)
EVENT_FILES = Kind(
    "CPR631",
    "Event files of a training beside a SavedModel",
    _NOTE,
    "TensorBoard's logs lie in the model's folder. They are uploaded and copied to every machine, and never read.",
    "Move them out of the folder.",
    source="tensorflow/core/util/events_writer.cc",
)
LEFTOVERS = Kind(
    "CPR632",
    "Files of a training beside a SavedModel",
    _NOTE,
    "Checkpoints and other files of the training lie in the model's folder. They are uploaded and copied to every machine, and "
    "never read.",
    "Move them out of the folder.",
    source="tensorflow/python/checkpoint/checkpoint_management.py; keras.callbacks.ModelCheckpoint",
)
OPTIMIZER_SLOTS = Kind(
    "CPR633",
    "The state of a training among the weights of a SavedModel",
    _NOTE,
    "An optimizer keeps one or two values beside each weight, and metrics keep theirs. Serving never reads them.",
    "Export for serving only: Model.export(folder); with Keras 2 load the model with compile=False, which leaves its metrics "
    "out, and then model.save(folder, include_optimizer=False).",
    source="tensorflow/core/protobuf/trackable_object_graph.proto; keras/src/optimizers/base_optimizer.py",
)
STORED_TWICE = Kind(
    "CPR634",
    "Weights of a SavedModel are stored twice",
    _NOTE,
    "Keras 3's Model.export tracks each variable under two names, and the checkpoint writes both.",
    "tf.saved_model.save(model, folder) writes each of them once; the names in its signature are not those of model.export.",
    source="keras/src/export/saved_model_export_archive.py, Keras 3.15",
)
TRAINING_INPUT = Kind(
    "CPR641",
    "A request reads the training's input",
    _WARNING,
    "What the signature runs depends on readers, queues or iterators that only the training fills. A request waits for them, "
    "fails, or is answered with other data than its own.",
    "Export a graph of its own for serving, whose input is a placeholder or the argument of a tf.function.",
    _FAILS,
    _GRAPH,
)
TRAINING_MODE = Kind(
    "CPR642",
    "A request runs the model in training mode",
    _WARNING,
    "Dropout is on, or batch normalisation uses the batch's own statistics: answers differ from call to call, or with the "
    "other rows of the batch.",
    "Export with training=False (Keras: call the model so in the exported function; Estimator: mode == PREDICT).",
    (),
    _GRAPH,
)
TRAINS = Kind(
    "CPR643",
    "A SavedModel holds the operations of its training",
    _WARNING,
    "An optimizer's updates or a loss lie in the graph. Where a signature runs an update, each request changes the model.",
    "Export the function that predicts alone.",
    (),
    _GRAPH,
)
UNFED = Kind(
    "CPR644",
    "A signature lacks an input that it needs",
    _WARNING,
    "What the signature runs reaches a placeholder that no request can feed.",
    "Name the placeholder among the inputs of the signature, or give it a default (tf.compat.v1.placeholder_with_default).",
    _FAILS,
    _GRAPH,
)
UNBATCHED = Kind(
    "CPR651",
    "A signature does not take a batch",
    _WARNING,
    "The service puts all rows of a request along the outer dimension. Where that is fixed, only requests with this many rows "
    "work.",
    "Export with None as the outer dimension: tf.TensorSpec([None, …]), keras.Input without batch_size.",
    ("Bad output from running tensorflow session: outputs had differing sizes in the batch (outer) dimension.",),
    _LIBRARY,
)
WIDE_INPUT = Kind(
    "CPR652",
    "An input is wider than needed",
    _NOTE,
    "JSON numbers reach the model as it declares them; 64 bits take twice the memory and, for floats, time.",
    "Declare float32 or int32 and cast inside, where its range is enough.",
    (),
    "tensorflow/core/framework/types.proto",
)
BYTES_NAME = Kind(
    "CPR653",
    "Bytes under a name that does not end in _bytes",
    _NOTE,
    'A string output is sent as {"b64": …} only where its name ends in `_bytes`; otherwise it must be UTF-8. For inputs the '
    "ending is what clients expect.",
    "Name it so that it ends in `_bytes`.",
    ("There was a problem processing the outputs: {reason} (Error code: 3)",),
    _LIBRARY,
)
METHOD_NAME = Kind(
    "CPR654",
    "A signature has no method name that servers know",
    _WARNING,
    "TensorFlow Serving asks for tensorflow/serving/predict, classify or regress, and refuses others.",
    "Export with tf.saved_model.save, or build the signature with method_name='tensorflow/serving/predict'.",
    ("Expected prediction signature method_name to be one of {tensorflow/serving/predict, …}. Was: {name}",),
    "tensorflow/python/saved_model/signature_constants.py; https://github.com/rstudio/keras3/pull/223",
)
COMPOSITE = Kind(
    "CPR655",
    "A signature has a ragged or sparse tensor",
    _NOTE,
    "JSON rows cannot carry it: servers make dense tensors of them.",
    "Take dense tensors in the signature (padded rows, or ids and lengths) and convert inside.",
    source="https://www.tensorflow.org/tfx/serving/api_rest",
)
EXTRAS = Kind(
    "CPR661",
    "The fingerprint or the warm-up requests are broken",
    _WARNING,
    "fingerprint.pb or assets.extra/tf_serving_warmup_requests is cut, altered, or of another model. TensorFlow Serving "
    "refuses a model whose warm-up fails.",
    "Export the model again and write its warm-up requests again.",
    (),
    "tensorflow_serving/servables/tensorflow/saved_model_warmup.cc; tensorflow/core/protobuf/fingerprint.proto",
)

KINDS: tuple[Kind, ...] = tuple(
    sorted((kind for kind in globals().values() if isinstance(kind, Kind)), key=lambda kind: kind.id)
)
"""Every kind, as written above: in order of id."""
