"""CPR2xx: every limit with a case just under it and one just over."""

from __future__ import annotations

import pytest
from support.checking import faults, run, subject

from cpr.isolation import Shape
from cpr.report import Severity
from cpr.saved_model.reader import MetaGraph, Signature
from cpr.saved_model.survey import FoundModel


@pytest.mark.parametrize(
    ("machine", "limit"), [("mls1-c1-m2", 500_000_000), ("mls1-c4-m2", 500_000_000), ("n1-standard-2", 10_000_000_000)]
)
def test_size(machine: str, limit: int) -> None:
    assert faults("CPR203", subject(machine_type=machine, model={"a": limit - 1, "b": 1})) == []
    (fault,) = faults("CPR203", subject(machine_type=machine, model={"a": limit, "b": 1}))
    assert f"{limit + 1:,} bytes" in fault.message and "model/a" in fault.message


def test_size_names_a_machine_that_takes_it() -> None:
    (fault,) = faults("CPR203", subject(model={"a": 500_000_001}))
    assert fault.remedy is not None and "n1-standard-2" in fault.remedy
    (fault,) = faults("CPR203", subject(model={"a": 10_000_000_001}))
    assert fault.remedy is None


def test_number_of_files() -> None:
    assert faults("CPR204", subject(model={f"f{number}": 1 for number in range(1000)})) == []
    (fault,) = faults("CPR204", subject(model={f"f{number}": 1 for number in range(1001)}))
    assert "1,001 files" in fault.message


def test_empty() -> None:
    assert len(faults("CPR201", subject(model={}))) == 1
    (placeholder,) = faults("CPR201", subject(model={"placeholder": 0}))
    assert placeholder.severity is Severity.WARNING  # a routine of rules alone is served all the same
    assert faults("CPR201", subject(model={"factor.json": 1})) == []


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["saved_model.pb", "model.pkl"], True),
        (["model.pkl", "model.joblib", "model.bst"], True),
        (["saved_model.pb", "variables/variables.index"], False),
        (["export/saved_model.pb", "model.joblib"], False),
        (["model.h5", "model.json"], False),
    ],
)
def test_several_model_files(names: list[str], found: bool) -> None:
    model = dict.fromkeys(names, 1)
    assert bool(faults("CPR202", subject(model=model))) is found
    assert faults("CPR202", subject(model=model, machine_type="n1-standard-2")) == []  # a container does not look


def test_saved_model_named_and_missing() -> None:
    assert len(faults("CPR205", subject(saved_model="export/1", model={"export/saved_model.pb": 1}))) == 1
    assert faults("CPR205", subject(saved_model="export/1", model={"export/1/saved_model.pb": 1})) == []
    assert faults("CPR205", subject(saved_model=".", model={"saved_model.pbtxt": 1})) == []


def test_saved_model_needed_by_the_base_class() -> None:
    bases = ("predictor.Iris", "cpr.interface.saved_model.SavedModelPredictor", "object")
    shape = Shape(True, True, True, 2, True, "predict(self, instances, **kwargs)", bases)
    assert len(faults("CPR205", subject(run=run(shape=shape)))) == 1
    assert faults("CPR205", subject(run=run(shape=shape), model={"m/1/saved_model.pb": 1})) == []
    assert faults("CPR205", subject(run=run())) == []


BASES = ("predictor.Scale", "cpr.interface.saved_model.SavedModelPredictor", "object")
OF_SAVED_MODEL = Shape(True, True, True, 2, True, "predict(self, instances, **kwargs)", BASES)


def model(*signatures: str) -> FoundModel:
    one = Signature("tensorflow/serving/predict", {}, {})
    return FoundModel("saved_model", (MetaGraph(("serve",), "2.9.0", dict.fromkeys(signatures, one), {}, ()),), ())


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["double"], 0),
        (["double", "serving_default"], 0),
        (["double", "twice"], 1),
        (["double", "__saved_model_init_op"], 0),
        (["double", "twice", "__saved_model_init_op"], 1),
    ],
)
def test_several_signatures_and_none_is_taken_unnamed(names: list[str], found: int) -> None:
    models = (model(*names),)
    assert len(faults("CPR208", subject(run=run(shape=OF_SAVED_MODEL), models=models))) == found
    assert faults("CPR208", subject(run=run(), models=models)) == []  # a class of its own chooses by itself
    assert faults("CPR208", subject(run=run(shape=OF_SAVED_MODEL), models=models, signature=names[0])) == []
    assert faults("CPR208", subject(run=run(shape=OF_SAVED_MODEL), models=models * 2)) == []
    sources = {"predictor.py": "class Scale:\n    signature = NAME\n"}
    assert faults("CPR208", subject(run=run(shape=OF_SAVED_MODEL), models=models, sources=sources)) == []


def test_explanation_metadata() -> None:
    (fault,) = faults("CPR210", subject(model={"saved_model/saved_model.pb": 1, "saved_model/explanation_metadata.json": 1}))
    assert fault.where == "model/saved_model/explanation_metadata.json"
    assert faults("CPR210", subject(model={"saved_model/saved_model.pb": 1, "my_explanation_metadata.json": 1})) == []
