"""Print the table in README.md: what cpr inspect says of the exports. Run by hand: python table.py

Needs neither TensorFlow nor Keras.
"""

import json
import subprocess
import sys
from pathlib import Path

EXPORTS = Path(__file__).resolve().parent.parent / "exports"
WAYS = ["builder", "simple_save", "estimator", "module", "keras2", "keras3"]
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # not a variable of the model


def table():
    """Lines of Markdown, a column for each way."""
    graphs = [inspect(EXPORTS / way) for way in WAYS]
    rows = [["", *map(code, WAYS)], ["---"] * (1 + len(WAYS))]
    rows += [[name, *map(fact, graphs)] for name, fact in FACTS.items()]
    return ["| {} |".format(" | ".join(row)) for row in rows]


def inspect(path):
    """The one MetaGraph of a SavedModel."""
    command = [sys.executable, "-m", "cpr", "inspect", str(path), "--json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)["meta_graphs"][0]


def signatures(graph):
    return ", ".join(map(code, callable_signatures(graph)))


def methods(graph):
    return ", ".join(sorted({code(each["method_name"]) for each in callable_signatures(graph).values()}))


def callable_signatures(graph):
    """Without TensorFlow's own, which runs when the model is loaded."""
    return {name: each for name, each in graph["signatures"].items() if not name.startswith("__")}


def variables(graph):
    """Those in the checkpoint, without the ending that TensorFlow 2 gives to each."""
    names = [variable["name"] for variable in graph["variables"] if variable["name"] != OBJECT_GRAPH]
    return ", ".join(code(name.replace("/.ATTRIBUTES/VARIABLE_VALUE", "")) for name in names)


def objects(graph):
    found = graph["objects"]
    if found is None:
        return "none"
    if found["maker"] == "keras":
        return "Keras {}".format(found["keras_version"] or found["keras_major"])
    return "`tf.Module`"


def code(text):
    return "`{}`".format(text)


FACTS = {
    "written by TensorFlow": lambda graph: graph["tensorflow_version"],
    "its operations exist since": lambda graph: graph["minimum_tensorflow"],
    "tags": lambda graph: ", ".join(map(code, graph["tags"])),
    "signatures": signatures,
    "their method name": methods,
    "nodes": lambda graph: str(sum(graph["ops"].values())),
    "kinds of operations": lambda graph: str(len(graph["ops"])),
    "functions": lambda graph: str(len(graph["functions"])),
    "variables in the checkpoint": variables,
    "objects": objects,
}

if __name__ == "__main__":
    print("\n".join(table()))
