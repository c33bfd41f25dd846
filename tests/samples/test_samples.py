"""Samples and templates: complete routines that answer what their examples say."""

import re
import tarfile

import pytest
from support.replaying import REPOSITORY, answers, case, differences, routines

import cpr

SAMPLES = REPOSITORY / "sample_models"
WRONG = {
    SAMPLES / "add_two": [
        {"instances": ["1"]},
        {"instances": [True]},
        {"instances": [{"y": 1}]},
        {"instances": [[1, 2]]},
    ],
    SAMPLES / "iris": [
        {"instances": [[1, 2, 3]]},
        {"instances": [[1, 2, 3, "4"]]},
        {"instances": [[1, 2, 3, True]]},
        {"instances": [{"sepal_length": 1}]},
        {"instances": ["setosa"]},
    ],
    SAMPLES / "digits_png": [
        {"instances": [{"b64": "aGVsbG8="}]},  # no picture
        {"instances": [{"b64": "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAI"}]},  # a PNG cut off in its header
        {"instances": ["not base64"]},
        {"instances": [7]},
    ],
    SAMPLES / "digit_label": [
        {"instances": [{"b64": "aGVsbG8="}]},  # no picture
        {"instances": ["aGVsbG8="]},  # neither in base64
        {"instances": ["not base64"]},
        {"instances": [7]},
    ],
    SAMPLES / "docstrings": [
        {"instances": [1]},
        {"instances": ["text"], "top_k": 0},
        {"instances": ["text"], "top_k": True},
    ],
    REPOSITORY / "templates" / "image": [{"instances": [{"b64": "aGVsbG8="}]}, {"instances": [None]}],
}


@pytest.fixture(scope="module")
def replayed():
    """Answers to every routine's examples, then to the wrong requests, by one process with plain TensorFlow."""
    folders = routines()
    told = answers([case(folder) for folder in folders] + [case(folder, requests) for folder, requests in WRONG.items()])
    good, bad = told["answers"][: len(folders)], told["answers"][len(folders) :]
    return dict(zip(folders, good, strict=True)), dict(zip(WRONG, bad, strict=True))


def test_all_are_there():
    names = {folder.name for folder in routines()}
    assert names == {"add_two", "iris", "digits_png", "digit_label", "docstrings", "minimal", "saved-model", "image"}


@pytest.mark.parametrize("folder", routines(), ids=lambda folder: folder.name)
def test_answers_its_examples(replayed, folder):
    assert differences(folder, replayed[0][folder]) == []


@pytest.mark.parametrize("folder", WRONG, ids=lambda folder: folder.name)
def test_refuses_wrong_requests_by_name(replayed, folder):
    for request, answer in zip(WRONG[folder], replayed[1][folder], strict=True):
        assert answer.get("error") == "RequestError", (request, answer)
        assert re.search(r"instances\[0\]|top_k", answer["message"])


@pytest.mark.parametrize("folder", routines(), ids=lambda folder: folder.name)
def test_builds_without_its_training_script(tmp_path, folder):
    bundle = cpr.build(folder, tmp_path)
    with tarfile.open(bundle.path(bundle.manifest.sdist)) as sdist:
        modules = {name.partition("/")[2] for name in sdist.getnames() if name.endswith(".py")}
    expected = {path.name for path in folder.glob("*.py")} - {"train.py", "make_model.py"} | {"setup.py"}
    assert modules == expected
    assert sum(entry.size for entry in bundle.manifest.all_files) < 1_000_000


@pytest.mark.parametrize(
    "folder", [folder for folder in routines() if folder.parent == SAMPLES], ids=lambda folder: folder.name
)
def test_samples_have_enough_examples(folder):
    assert len(case(folder)["requests"]) >= 5


@pytest.mark.parametrize(
    "folder", [folder for folder in routines() if folder.parent != SAMPLES], ids=lambda folder: folder.name
)
def test_templates_have_one_place_for_the_name(folder):
    text = (folder / "routine.yaml").read_text()
    assert re.findall(r"^name:.*$", text, re.MULTILINE) == ["name: my_routine"]
    assert "my_routine" not in "".join(path.read_text() for path in folder.glob("*.py"))


def test_models_hold_nothing_that_tensorflow_2_9_refuses():
    graphs = list(SAMPLES.glob("*/model/**/saved_model.pb")) + list(
        (REPOSITORY / "templates").glob("*/model/**/saved_model.pb")
    )
    assert len(graphs) == 7
    assert [path for path in graphs if b"DisableCopyOnRead" in path.read_bytes()] == []


def test_iris_is_as_accurate_as_its_readme_says():
    datasets = pytest.importorskip("sklearn.datasets", reason="the data is in scikit-learn")
    from sklearn.model_selection import train_test_split

    data = datasets.load_iris()
    split = train_test_split(data.data, data.target, test_size=0.3, stratify=data.target, random_state=1)
    told = answers([case(SAMPLES / "iris", [{"instances": split[1].tolist()}])])["answers"][0][0]["predictions"]
    right = sum(row["species"] == data.target_names[target] for row, target in zip(told, split[3], strict=True))
    assert f"{right} of {len(told)} right" in (SAMPLES / "iris" / "README.md").read_text()
    assert right / len(told) > 0.9
