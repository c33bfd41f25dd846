"""TensorFlow's errors, read: what is really wrong, and what to do. Its own words often name something else.

The texts are those of TensorFlow 1.15 to 2.21.
"""

import re
from typing import Any, Iterator, List, NamedTuple, Optional, Pattern, Sequence

from cpr.errors import CprError, ModelError, RequestError
from cpr.interface.graph_file import AGAIN, missing_files

_NEWER = "Export it with this TensorFlow or an older one, or load it with the one that exported it."


class _Known(NamedTuple):
    """A text of TensorFlow's, what it means (its group put in), and what to do."""

    text: Pattern[str]
    meaning: str
    remedy: str


def _known(text: str, meaning: str, remedy: str = AGAIN) -> _Known:
    return _Known(re.compile(text), meaning, remedy)


# The files come first: a loader that stumbles over something else may do so only because of them.
_KNOWN = (
    _known("Cannot parse file|Error parsing message", "its graph file is cut or altered"),
    _known("Read less bytes than requested", "a file of weights is shorter than variables/variables.index says"),
    _known("not an sstable|too short to be an sstable|block checksum mismatch", "variables/variables.index is cut or altered"),
    _known("Checksum does not match|crc32c", "the weights were altered: a checksum in variables/ differs"),
    _known(r"Key (\S+) not found in checkpoint", "the weights are of another model: they have no value for {}"),
    _known(
        "attributes which were not restored|not bound to checkpointed values",
        "the weights are of another model: values for variables are not there",
    ),
    _known(
        "does not match the shape stored in checkpoint|[Aa]ssign requires shapes|incompatible tensor|; expected dtype",
        "the weights are of another model: a variable has another shape or type there",
    ),
    _known(r"(\S+?); No such file or directory", "the file {} is missing"),
    _known(r"(\S+?); Permission denied", "the file {} may not be read", "Check its permissions, and those of its folder."),
    _known("surrogates not allowed", "the path is no UTF-8 text", "Give its folders other names."),
    _known("Failed to find any matching files|not a valid checkpoint", "files of weights are missing from variables/"),
    _known(
        "Op type not registered '([^']+)'",
        "this TensorFlow has no operation {}",
        "For an operation of a package, such as tensorflow_text, import that package before the model is loaded. Otherwise a "
        "newer TensorFlow exported the model: load it with that one, or export it with this one.",
    ),
    _known(
        "NodeDef mentions attr '([^']+)' not in Op", "an operation has the attribute {}, newer than this TensorFlow", _NEWER
    ),
    _known("min consumer version", "a newer TensorFlow exported it", _NEWER),
)

_OF_WEIGHTS = re.compile("RestoreV2|variables/variables|checkpoint|TensorSliceReader|Read less bytes|sstable")

_UNFED = "You must feed a value for placeholder tensor"
_NO_KERNEL = re.compile(r"No OpKernel was registered to support Op '([^']+)'|All kernels registered for op (\w+)")
_NO_CALLBACK = "Could not find callback|callback pyfunc_[0-9]+ is not found"
_OWN_FAULT = re.compile("|".join((_UNFED, _NO_CALLBACK, _NO_KERNEL.pattern, "Could not find device for node")))
"""What TensorFlow calls an error of the arguments, and no other arguments would avoid."""

_OBJECTS = re.compile("'_UserObject' object has no attribute|A SavedModel signature needs an input for each placeholder")
"""What only the object loader stumbles over."""

_AS_GRAPH = "Leave the choice of the loader to `auto`, or take `session`: it runs the graph without the objects."
_UNKNOWN_REMEDY = (
    "If a newer TensorFlow exported it, export it with this one or an older one; if files were lost or altered, export it "
    "again. 'cpr inspect' shows what it holds."
)


def load_error(version: str, path: str, errors: Sequence[BaseException]) -> ModelError:
    """Why the SavedModel at ``path`` cannot be loaded, from what each loader raised, in the order in which they were tried."""
    texts = [text for error in errors for text in _texts(error)]
    missing = missing_files(path) if any(_OF_WEIGHTS.search(text) for text in texts) else None
    if missing is not None:
        return missing
    unrestored = len(errors) == 1 and _OBJECTS.search(texts[0])
    what, remedy = _meaning(texts) or (_told(errors), _AS_GRAPH if unrestored else _UNKNOWN_REMEDY)
    return ModelError("TensorFlow {} cannot load the SavedModel {}: {}".format(version, path, what), remedy, path)


def _texts(error: BaseException) -> Iterator[str]:
    """What an error says, and those that it was raised over: they are often the cause."""
    seen: Optional[BaseException] = error
    while seen is not None:
        yield str(seen)
        seen = seen.__cause__ or seen.__context__


def _meaning(texts: Sequence[str]) -> Optional[Sequence[str]]:
    """What is wrong and the remedy, where one of the texts is known."""
    for known in _KNOWN:
        for match in filter(None, map(known.text.search, texts)):
            return known.meaning.format(*match.groups()) + ".", known.remedy
    return None


def _told(errors: Sequence[BaseException]) -> str:
    causes: List[str] = []
    for error in errors:
        text = cause(error)
        if text not in causes:
            causes.append(text)
    return "; as a graph of TensorFlow 1: ".join(causes)


def run_error(tf: Any, what: str, error: BaseException) -> CprError:
    """What to raise where running ``what`` raised an ``OpError``: the instances do not fit, or the model cannot run."""
    text = cause(error)
    kernel = _NO_KERNEL.search(str(error))
    if kernel:
        subject, operation = what[:1].upper() + what[1:], kernel.group(1) or kernel.group(2)
        return ModelError(
            "{} cannot run: its operation {} has no kernel on this machine.".format(subject, operation),
            "Run it where there is one, for example on a GPU, or export the model without that operation.",
        )
    if isinstance(error, tf.errors.InvalidArgumentError) and not is_own_fault(error):
        return RequestError(
            "The model refused the instances: {}".format(text),
            "Send instances of the kind that {} was made for.".format(what),
            "instances",
        )
    if _UNFED in str(error):
        remedy = "Export a signature that has every placeholder among its inputs, or placeholder_with_default in the graph."
    elif re.search(_NO_CALLBACK, str(error)):
        remedy = "A Python function (tf.numpy_function) is not saved with its graph: write it in TensorFlow's operations."
    else:
        remedy = "Run the same instances through the model where it was trained; the error above is TensorFlow's."
    return ModelError("The model failed while running {}: {}".format(what, text), remedy)


def is_own_fault(error: BaseException) -> bool:
    """Whether an error that TensorFlow calls one of the arguments is the model's own."""
    return _OWN_FAULT.search(str(error)) is not None


def cause(error: BaseException) -> str:
    """The line that says what is wrong, where an operation of a graph failed: the one above the name of its node.

    What stands before it ("Graph execution error:", where the node was made) differs from version to version.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    node = next((index for index, line in enumerate(lines) if line.startswith("[[")), 0)
    return lines[node - 1] if node else first_line(error)


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or what it is."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
