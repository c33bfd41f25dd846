"""The part that travels, installed and run on AI Platform's own Python and TensorFlow."""

import json
import subprocess

import pytest
from support.old_tensorflow import python_with
from support.replaying import REPOSITORY, answers, case, differences, routines

from cpr import kit
from cpr.errors import CprError
from cpr.interface import SavedModelPredictor

pytestmark = pytest.mark.xdist_group("tensorflow")

# model, requests: what worked and what was refused with this Python's TensorFlow has to be the same there
REQUESTS = {
    "linear": [{"instances": [[1, 2], [0.5, -4]]}, {"instances": [[1, "2"]]}, {"instances": [[1, 2, 3]]}, {"instances": []}],
    "mixed": [
        {"instances": [{"text": "é", "count": 1}, {"text": {"b64": "Yg=="}, "count": 2}]},
        {"instances": [{"text": "a"}]},
    ],
    "several": [
        {"instances": [1]},
        {"instances": [1], "signature_name": "negated"},
        {"instances": [1], "signature_name": "no"},
    ],
    "identities": [
        *({"instances": [1, 2.5], "signature_name": f"float{bits}"} for bits in (16, 32, 64)),
        *({"instances": [0, 127], "signature_name": name} for name in ("int8", "uint8", "int64", "uint64")),
        {"instances": [1, 2.5], "signature_name": "bfloat16"},
        {"instances": [True, False], "signature_name": "bool"},
        {"instances": ["a", {"b64": "YQ"}], "signature_name": "string"},
        {"instances": [1e39], "signature_name": "float32"},
        {"instances": [256], "signature_name": "uint8"},
        {"instances": [10**400], "signature_name": "float64"},
    ],
    "ragged_sizes": [{"instances": [[[1, 2, 3]], [[4, 5, 6]]]}, {"instances": [[[1]], [[1, 2]]]}],
    "unknown_rank": [{"instances": [[[1.0]], [[2.0]]]}],
    "fixed_batch": [{"instances": [1, 2]}, {"instances": [1]}],
    "unbatched": [{"instances": [1, 2]}],
    "not_text": [{"instances": ["_w"]}],
    "parsing": [{"instances": ["1"]}, {"instances": ["one"]}],
    "lookup": [{"instances": ["two", "zero", "many"]}],
    "keras": [{"instances": [[1, 2, 3]]}],
    "tensorflow1": [{"instances": [{"in/left": [5, 1], "right-1": [1, 1]}]}],
    "tensorflow1_sparse": [{"instances": [[1, 2]]}],
    "tensorflow1_tags": [{"instances": [1, 2]}],
    "tensorflow1_text": [{"instances": [1, 2]}],
    "tensorflow1_references": [{"instances": [1, 2]}],
    "tensorflow1_table": [{"instances": ["two", "many"]}],
    "tensorflow1_unfed": [{"instances": [1, 2]}, {"instances": [1], "signature_name": "rated"}],
    "old_optimizer": [{"instances": [[1, 2, 3]]}],
    "squeezed": [{"instances": [4]}, {"instances": [1, 2], "signature_name": ""}],
}


@pytest.fixture(scope="module")
def old(models, tmp_path_factory):
    """What that Python answers to all requests above and to all examples of the repository, by model name or routine folder."""
    python = python_with("2.11.0")
    name, content = kit.author_sdist()
    folder = tmp_path_factory.mktemp("author")
    (folder / name).write_bytes(content)
    install = ["-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(folder / "lib")]
    subprocess.run([python, *install, str(folder / name)], check=True, capture_output=True, timeout=120)
    class_only = {"folder": str(folder), "predictor": "cpr.interface.SavedModelPredictor"}
    asked = {name: {**class_only, "model_dir": str(models / name), "requests": requests} for name, requests in REQUESTS.items()}
    asked |= {folder: case(folder) for folder in routines()}
    told = answers(list(asked.values()), python, (str(folder / "lib"),))
    return {"versions": told["versions"], **dict(zip(asked, told["answers"], strict=True))}


def test_it_ran_there(old):
    assert old["versions"]["python"] == [3, 7]
    assert old["versions"]["tensorflow"].startswith("2.")


@pytest.mark.parametrize("name", REQUESTS)
def test_answers_what_the_newest_tensorflow_answers(models, old, name):
    predictor = SavedModelPredictor.from_path(str(models / name))
    for request, got in zip(REQUESTS[name], old[name], strict=True):
        try:
            expected = {"predictions": predictor.predict(**request)}
        except CprError as error:
            expected = {"error": type(error).__name__, "message": error.message}
        if name == "keras":
            assert got["predictions"][0] == pytest.approx(expected["predictions"][0], rel=1e-5)
        elif name == "parsing":  # the message there holds TensorFlow's own words
            assert got.get("error") == expected.get("error")
        else:
            assert json.dumps(got, sort_keys=True) == json.dumps(expected, sort_keys=True)


@pytest.mark.parametrize("folder", routines(), ids=lambda folder: folder.name)
def test_samples_and_templates_answer_their_examples(old, folder):
    assert differences(folder, old[folder]) == []


# --- TensorFlow 1.15, the runtime before the first of TensorFlow 2 ------------------------------------------------------------


def test_tensorflow_1_runs_what_it_exported():
    exports = REPOSITORY / "sample_models" / "add_two" / "exports"
    requests = [{"instances": [1.0, {"x": 2.5}]}, {"instances": ["a"]}]
    asked = [
        {
            "folder": str(exports),
            "predictor": "cpr.interface.SavedModelPredictor",
            "model_dir": str(exports / way),
            "requests": requests,
        }
        for way in ("builder", "simple_save", "estimator")
    ]
    told = answers(asked, python_with("1.15.5"), (str(REPOSITORY / "predictor"),))
    assert told["versions"]["tensorflow"].startswith("1.15")
    for good, bad in told["answers"]:
        assert good == {"predictions": [3.0, 4.5]}
        assert bad["message"] == "instances[0], input 'x': the text 'a' where float32 is expected."
