"""Faults in routine.yaml and in the examples."""

from __future__ import annotations

import json
from pathlib import Path

from faults.planting import Fault, Plant, asks, declares, drops, edits, together, writes
from faults.source import predicts

CONFIG, EXAMPLES = "routine.yaml", "examples.jsonl"


def _expects(**rules: object) -> Plant:
    """Every expectation with other tolerances, and a scaler that is another."""

    def plant(folder: Path) -> None:
        rows = [json.loads(row) for row in (folder / EXAMPLES).read_text("utf-8").splitlines()]
        for row in rows:
            row["expect"].update(rules)
        (folder / EXAMPLES).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")

    return plant


NAMES = ("CPR307",)
FAULTS = (
    Fault("A version of 130 characters", "texts", CONFIG, declares("version: 1." + "1" * 128), NAMES),
    Fault("A version that is none", "texts", CONFIG, declares("version: final-2"), ()),
    Fault("A name with capitals and blanks", "texts", CONFIG, declares("name: My Model"), ()),
    Fault("A key misspelt", "texts", CONFIG, declares("predcitor: predictor.Scorer"), ()),
    Fault("A predictor without a module", "texts", CONFIG, declares("predictor: Scorer"), ()),
    Fault("A model directory out of the folder", "texts", CONFIG, declares("model_dir: ../model"), ()),
    Fault("A label with capitals", "texts", CONFIG, declares("labels: {Team: search}"), ("CPR308",)),
    Fault("A runtime that is older than routines", "texts", CONFIG, declares('runtime_version: "1.2"'), ("CPR303",)),
    Fault("A runtime that there is not", "texts", CONFIG, declares('runtime_version: "2.0"'), ("CPR303",)),
    Fault("A runtime that routines were excluded from", "texts", CONFIG, declares('runtime_version: "2.1"'), ("CPR304",)),
    Fault("A Python that the runtime has not", "texts", CONFIG, declares('python: "3.10"', 'runtime_version: "2.9"'), ("CPR305",)),
    Fault("A newer TensorFlow than the runtime's", "texts", CONFIG, declares('tensorflow: "2.15"'), ("CPR306",)),
    Fault("An old name of the machine type", "texts", "--machine-type", lambda _: None, ("CPR302",), machine="mls1-highmem-1"),
    Fault("A machine type in no list", "texts", "--machine-type", lambda _: None, ("CPR302",), machine="mls1-c4-m4"),
    Fault("A machine type misspelt", "texts", "--machine-type", lambda _: None, (), machine="mls-c4-m2"),
    Fault("No examples", "texts", EXAMPLES, drops(EXAMPLES), ("CPR521",)),
    Fault("An example under a wrong key", "texts", EXAMPLES, edits(EXAMPLES, ('"instances"', '"inputs"')), ()),
    Fault("An example that is no JSON", "texts", EXAMPLES, writes(EXAMPLES, "{'instances': ['red']}\n"), ()),
    Fault("Examples as one array", "texts", EXAMPLES, writes(EXAMPLES, '[{"instances": ["red"]}]\n'), ()),
    Fault("Instances of another type than the routine takes", "texts", EXAMPLES, asks({"instances": [{"text": "red"}]}), ("CPR504",)),
    Fault("A key of an instance misspelt", "iris", EXAMPLES,
          asks({"instances": [{"sepal_lenght": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}]}), ("CPR504",)),
    Fault("An expectation that is wrong", "texts", EXAMPLES, edits(EXAMPLES, ('"known": 2', '"known": 1')), ("CPR517",)),
    Fault("A tolerance so wide that all passes", "texts", EXAMPLES, together(
        _expects(rtol=10, atol=100), edits("model/scaler.json", ("1.25", "2.5"))), ("CPR51*", "CPR52*"),
        why_missed="The author's own tolerance allows it."),
    Fault("Base64 that is none", "texts", EXAMPLES, asks({"instances": [{"b64": "no base64!"}]}), ("CPR522",)),
    Fault("A request of more than 1.5 MB", "texts", EXAMPLES, asks({"instances": ["red " * 400_000]}), ("CPR516",)),
    Fault("A response of more than 1.5 MB", "texts", "predictor.py", together(
        predicts('return ["x" * 1_600_000 for _ in instances]'), asks({"instances": ["red"]})), ("CPR515",)),
)  # fmt: skip
