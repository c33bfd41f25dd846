"""Which check an exception of a SavedModelPredictor belongs to: by the words that cpr.interface itself raises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.checking import faults, run, subject

from cpr.checks.refusals import refusal_of
from cpr.errors import CprError
from cpr.interface.choosing import choose_signature, choose_tags
from cpr.interface.columns import Tensor
from cpr.interface.locate import find_saved_model
from cpr.interface.rows import to_rows, to_tensors
from cpr.isolation import Raised

ONE = [Tensor("x", "float32", (None,))]
TWO = [*ONE, Tensor("it's", "float32", (None,))]


def raised(call: Callable[[], object], phase: str, line: int = 1) -> Raised:
    with pytest.raises(CprError) as info:
        call()
    name = f"{type(info.value).__module__}.{type(info.value).__qualname__}"
    return Raised(phase, line, name, info.value.message, None, info.value.remedy, "predictor.py:1", None, False)


REFUSED = [
    ("CPR207", "from_path", lambda: choose_tags([("serve",)], ["serve", "gpu"], "/bundle/model")),
    ("CPR207", "from_path", lambda: choose_tags([("serve", "gpu"), ("train",)], None, "/bundle/model")),
    ("CPR566", "predict", lambda: to_tensors([{"y": 1}], ONE, 1)),
    ("CPR567", "predict", lambda: to_tensors([{"x": 1, "it's": 2, "id": 1}], TWO, 1)),
    ("CPR568", "predict", lambda: to_tensors([{"x": 1, "it's": 2}, {"x": 1}], TWO, 2)),
    ("CPR569", "predict", lambda: to_rows({"mean": np.float32(1)}, 2)),
    ("CPR569", "predict", lambda: to_rows({"mean": np.zeros(3)}, 2)),
    ("CPR570", "predict", lambda: choose_signature(["a"], "b")),
    ("CPR570", "predict", lambda: choose_signature(["a", "b"], None)),
]

OTHERS = [
    ("from_path", lambda: choose_tags([("serve",), ("serve",)], None, "/bundle/model")),
    ("predict", lambda: choose_signature([], None)),
    ("predict", lambda: to_tensors(["one"], ONE, 1)),
    ("predict", lambda: to_tensors([1], TWO, 1)),
]


@pytest.mark.parametrize(("check", "phase", "call"), REFUSED)
def test_a_refusal_belongs_to_its_check(check: str, phase: str, call: Callable[[], object]) -> None:
    error = raised(call, phase)
    assert refusal_of(error) == check
    assert len(faults(check, subject(run=run(raised=(error,))))) == 1
    assert faults("CPR503", subject(run=run(raised=(error,)))) == faults("CPR504", subject(run=run(raised=(error,)))) == []


@pytest.mark.parametrize(("phase", "call"), OTHERS)
def test_another_stays_with_the_rehearsal(phase: str, call: Callable[[], object]) -> None:
    error = raised(call, phase)
    assert refusal_of(error) is None
    assert len(faults("CPR503" if phase == "from_path" else "CPR504", subject(run=run(raised=(error,))))) == 1


def test_the_same_words_from_elsewhere_are_the_authors_own() -> None:
    error = raised(lambda: choose_signature(["a"], "b"), "predict")
    for other in ({"phase": "from_path"}, {"type": "builtins.ValueError"}, {"message": "no: " + error.message}):
        fields = {name: getattr(error, name) for name in Raised.__slots__}
        assert refusal_of(Raised(**{**fields, **other})) is None


def test_several_saved_models(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").touch()
    assert refusal_of(raised(lambda: find_saved_model(str(tmp_path)), "from_path")) == "CPR209"


def test_examples_with_the_same_refusal_are_told_once() -> None:
    errors = [raised(lambda: choose_signature(["a"], "b"), "predict", line) for line in (1, 2, 3)]
    (fault,) = faults("CPR570", subject(run=run(raised=tuple(errors))))
    assert fault.where == "examples.jsonl:1" and fault.message.endswith("So do 2 more.")
