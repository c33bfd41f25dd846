"""Loading a routine as the service does, and calling it."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.routines import CONFIG, write_routine

import cpr
from cpr.bundle import Bundle
from cpr.errors import BundleError, PredictorError, RequestError
from cpr.runtime import LoadedRoutine, load
from cpr.steps.build import build

FROM_PATH = "    @classmethod\n    def from_path(cls, model_dir):\n        return cls()\n\n"


def bundle_of(folder: Path, predictor: str, files: Mapping[str, str] | None = None) -> Bundle:
    return build(write_routine(folder, predictor=predictor, files=files))


WRAPPED = """\
import functools


def wrap(method):
    @functools.wraps(method)
    def wrapper(*arguments, **keywords):
        return method(*arguments, **keywords)

    return wrapper


"""


def from_path_is(*lines: str) -> str:
    """A class whose from_path, a class method if its first line is not a definition, holds these lines."""
    head = () if lines[0].startswith("def ") else ("@classmethod", "def from_path(cls, model_dir):")
    body = "\n".join(f"    {line}" for line in (*head, *lines, "def predict(self, instances, **kwargs): ..."))
    return f"class Scale:\n{body}\n"


def routine_of(folder: Path, predict: str, files: Mapping[str, str] | None = None) -> LoadedRoutine:
    return load(bundle_of(folder, f"class Scale:\n{FROM_PATH}    {predict}\n", files))


def test_a_bundle_is_loaded_and_answers(tiny: Path) -> None:
    bundle = build(tiny)
    for place in (bundle, bundle.root, str(bundle.root)):
        with cpr.load(place) as routine:
            assert routine.predict({"instances": [1, 2.5]}) == [3, 7.5]
            assert routine.predict_encoded({"instances": []}) == "[]"
            assert routine.manifest == bundle.manifest


@pytest.mark.parametrize("change", ["model", "package"])
def test_an_altered_bundle_is_refused(tiny: Path, change: str) -> None:
    bundle = build(tiny)
    path = bundle.root / "model" / "factor.json" if change == "model" else bundle.path(bundle.manifest.sdist)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match="altered"):
        load(bundle)


def test_modules_and_files_are_gone_after_close(tiny: Path) -> None:
    path, modules = list(sys.path), set(sys.modules)
    routine = load(build(tiny))
    place = Path(sys.modules["predictor"].__file__ or "").parent
    routine.close()
    routine.close()
    assert sys.path == path and "predictor" not in set(sys.modules) - modules
    assert not place.exists()


def test_a_routine_that_nobody_closed_is_cleaned_up_in_silence(tiny: Path) -> None:
    routine = load(build(tiny))
    place = Path(sys.modules["predictor"].__file__ or "").parent
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del routine
        gc.collect()
    assert not place.exists()


TWO = (
    "import other\n\n\nclass Scale:\n"
    + FROM_PATH
    + """\
    def predict(self, instances, **kwargs):
        import other as again
        import late

        assert again is other
        return [[other.NAME, late.NAME] for _ in instances]
"""
)


def test_two_routines_with_the_same_module_names_live_side_by_side(tmp_path: Path) -> None:
    bundles = [
        bundle_of(tmp_path / name, TWO, {"other.py": f"NAME = {name!r}\n", "late.py": f"NAME = 'late {name}'\n"})
        for name in ("one", "two")
    ]
    with load(bundles[0]) as one, load(bundles[1]) as two:
        for _ in range(2):
            assert one.predict({"instances": [0]}) == [["one", "late one"]]
            assert two.predict({"instances": [0]}) == [["two", "late two"]]
    assert "other" not in sys.modules


def test_a_module_of_the_host_with_the_same_name_is_neither_used_nor_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = tmp_path / "host"
    host.mkdir()
    (host / "other.py").write_text("NAME = 'host'\n")
    monkeypatch.syspath_prepend(str(host))
    import other  # type: ignore[import-not-found]

    try:
        bundle = bundle_of(tmp_path / "one", TWO, {"other.py": "NAME = 'one'\n", "late.py": "NAME = 'late'\n"})
        with load(bundle) as routine:
            assert routine.predict({"instances": [0]}) == [["one", "late"]]
        assert sys.modules["other"] is other and other.NAME == "host"
    finally:
        sys.modules.pop("other", None)


def test_a_module_that_the_service_would_never_see_is_refused(tmp_path: Path) -> None:
    predictor = f"import json\n\n\nclass Scale:\n{FROM_PATH}    def predict(self, instances, **kwargs): ...\n"
    bundle = bundle_of(tmp_path / "one", predictor, {"json.py": ""})
    before = sys.modules["json"]
    with pytest.raises(PredictorError, match="standard library"):
        load(bundle)
    assert sys.modules["json"] is before


@pytest.mark.parametrize(
    ("predictor", "message"),
    [
        ("class Other: pass\n", "predictor.Scale cannot be found"),
        ("import nothing_of_this_name\n", "No module named 'nothing_of_this_name'"),
        ("def broken(:\n", "SyntaxError"),
        ("raise RuntimeError('at import')\n", "predictor cannot be imported: RuntimeError: at import"),
        ("raise SystemExit(2)\n", "predictor cannot be imported: SystemExit: 2"),
        ("class Scale:\n    def predict(self, instances, **kwargs): ...\n", "has no method from_path"),
        (f"class Scale:\n{FROM_PATH}", "has no method predict"),
        (f"class Scale:\n{FROM_PATH}    def predict(self, instances, stats=None, **kwargs): ...\n", "3 positional"),
        (f"class Scale:\n{FROM_PATH}    def predict(self, *instances, **kwargs): ...\n", "1 positional"),
        (f"class Scale:\n{FROM_PATH}    @staticmethod\n    def predict(instances, **kwargs): ...\n", "1 positional"),
        (
            WRAPPED + f"class Scale:\n{FROM_PATH}    @wrap\n    def predict(self, instances, **kwargs): ...\n",
            "0 positional",
        ),
        (from_path_is("    raise OSError('no file')"), "from_path raised OSError: no file"),
        (from_path_is("    cls()"), "from_path returned a NoneType"),
        (from_path_is("def from_path(self, model_dir):", "    return self"), "from_path raised TypeError"),
    ],
)
def test_a_class_that_the_service_refuses_is_refused_here(tmp_path: Path, predictor: str, message: str) -> None:
    bundle = bundle_of(tmp_path / "one", predictor)
    with pytest.raises(PredictorError, match="^.*" + message.replace("(", r"\(")) as caught:
        load(bundle)
    assert caught.value.remedy
    assert "cpr/runtime.py" not in caught.value.traceback and "importlib" not in caught.value.traceback
    assert "predictor" not in sys.modules


def test_an_error_shows_the_authors_own_lines(tmp_path: Path) -> None:
    helper = "def divide(a):\n    return a / 0\n"
    predict = "def predict(self, instances, **kwargs):\n        from helper import divide\n        return [divide(1)]"
    with routine_of(tmp_path / "one", predict, {"helper.py": helper}) as routine, pytest.raises(PredictorError) as caught:
        routine.predict({"instances": [1]})
    assert caught.value.message == "predict raised ZeroDivisionError: division by zero"
    assert caught.value.where == "helper.py:2"
    assert caught.value.traceback.count("  File ") >= 2 and '  File "helper.py", line 2, in divide' in caught.value.traceback
    assert "runtime" not in caught.value.traceback


@pytest.mark.parametrize(
    ("predict", "body", "expected"),
    [
        ("def predict(self, instances, **kwargs): return [sorted(kwargs)]", {}, ["signature_name", "stats"]),
        ("def predict(self, instances, *, top_k=1, **kwargs): return [top_k]", {"top_k": 4}, 4),
        ("def predict(self, instances, **kwargs): return [kwargs['signature_name']]", {"signature_name": "s"}, "s"),
        ("def predict(self, data, **kwargs): return data", {}, 1),
        ("def predict(self, instances, *, stats, signature_name): return [signature_name]", {}, None),
        ("@classmethod\n    def predict(cls, instances, **kwargs): return instances", {}, 1),
    ],
)
def test_keywords_are_the_services(tmp_path: Path, predict: str, body: dict[str, Any], expected: Any) -> None:
    with routine_of(tmp_path / "one", predict) as routine:
        assert routine.predict({"instances": [1], **body}) == [expected]


def test_stats_measures_as_the_services_does(tmp_path: Path) -> None:
    predict = "def predict(self, instances, *, stats, **kwargs):\n        with stats.time('a'):\n            pass\n"
    with routine_of(tmp_path / "one", predict + "        return [stats['a'] >= 0]") as routine:
        assert routine.predict({"instances": [1]}) == [True]


def test_a_predict_without_kwargs_fails_on_every_request_as_there(tmp_path: Path) -> None:
    routine = routine_of(tmp_path / "one", "def predict(self, instances): return instances")
    with routine, pytest.raises(PredictorError, match="signature_name and stats"):
        routine.predict({"instances": [1]})


@pytest.mark.parametrize("key", ["stats", "self", "data", "unknown"])
def test_arguments_that_cannot_be_passed_are_the_clients_error(tmp_path: Path, key: str) -> None:
    predict = "def predict(self, data, *, stats=None, signature_name=None): return data"
    with routine_of(tmp_path / "one", predict) as routine, pytest.raises(RequestError) as caught:
        routine.predict({"instances": [1], key: 2})
    assert caught.value.where == key


def test_base64_is_decoded_as_the_files_of_the_model_decide(tmp_path: Path) -> None:
    predict = "def predict(self, instances, **kwargs): return [str(type(x)) for x in instances]"
    body = {"instances": [{"b64": "aGV5"}]}
    with routine_of(tmp_path / "bytes", predict) as routine:
        assert routine.predict(body) == ["<class 'bytes'>"]
    with routine_of(tmp_path / "dict", predict, {"model/model.pkl": "x"}) as routine:
        assert routine.predict(body) == ["<class 'dict'>"]
    assert body == {"instances": [{"b64": "aGV5"}]}


def test_a_request_error_of_the_authors_goes_through(tmp_path: Path) -> None:
    predict = (
        "def predict(self, instances, **kwargs):\n        from cpr.errors import RequestError\n"
        "        raise RequestError('too small', 'send more')"
    )
    with routine_of(tmp_path / "one", predict) as routine, pytest.raises(RequestError, match="too small"):
        routine.predict({"instances": [1]})


def test_the_model_directory_is_absolute_and_read_only_is_enough(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = build(tiny)
    monkeypatch.chdir(bundle.root.parent)
    with load(bundle.root.name) as routine:
        assert routine.model_dir.is_absolute()
        assert routine.predict({"instances": [1]}) == [3]


def test_another_model_directory_can_stand_in(tiny: Path, tmp_path: Path) -> None:
    bundle = build(tiny)
    other = tmp_path / "weights"
    other.mkdir()
    (other / "factor.json").write_text("5")
    with load(bundle, model_dir=other) as routine:
        assert routine.predict({"instances": [1]}) == [5]


def test_config_is_what_these_tests_think() -> None:
    assert "predictor.Scale" in CONFIG
