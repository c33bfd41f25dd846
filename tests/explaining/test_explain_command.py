"""What ``cpr explain`` writes: held against Google's discovery document, and against the model's own inputs and data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from support import discovery
from support.command import cpr as run
from support.routines import write_routine

import cpr
from cpr import resources
from cpr.errors import CprError, ModelError, RequestError, TargetError, UsageError
from cpr.explaining.features import Wishes
from cpr.explaining.rules import service
from cpr.explaining.schema import problems
from cpr.steps.explain import ExplanationConfig, Request, write_explanation

METADATA, SPEC = "explanation_metadata.json", "explanation_spec.json"
SCHEMAS = {METADATA: "explanation_metadata.schema.json", SPEC: "explanation_spec.schema.json"}


@pytest.fixture(scope="module")
def iris(repository: Path) -> Path:
    return repository / "sample_models" / "iris" / "model" / "saved_model"


@pytest.fixture(scope="module")
def shown(iris: Path, tmp_path_factory: pytest.TempPathFactory) -> ExplanationConfig:
    """Everything that a numeric model can be told, at once."""
    data = tmp_path_factory.mktemp("data") / "rows.jsonl"
    data.write_text('[0, 1, 2, 3]\n{"instances": [[1, 1, 4, 5], [5, 1, 3, 4]]}\n')
    wishes = Wishes(names={"measurements": ("a", "b", "c", "d")}, groups={"flower": ("measurements",)})
    return cpr.explain(iris, Request(labels=("x", "y", "z"), top_k=2, steps=100, wishes=wishes), data)


def test_a_signature_and_data_make_both_documents(shown: ExplanationConfig) -> None:
    assert shown.files[METADATA] == {
        "inputs": {
            "measurements": {
                "input_tensor_name": "measurements",
                "encoding": "bag_of_features",
                "modality": "numeric",
                "input_baselines": [[1.0, 1.0, 3.0, 4.0]],
                "index_feature_mapping": ["a", "b", "c", "d"],
                "domain": {"min": 0.0, "max": 5.0},
                "group_name": "flower",
            }
        },
        "outputs": {"probabilities": {"output_tensor_name": "probabilities", "index_name_mapping": ["x", "y", "z"]}},
        "framework": "tensorflow2",
    }
    assert shown.method_config == {"integratedGradientsAttribution": {"numIntegralSteps": 100}}
    spec = shown.files[SPEC]
    assert spec["parameters"] == {"integratedGradientsAttribution": {"stepCount": 100}, "topK": 2}
    assert spec["metadata"]["inputs"]["measurements"]["featureValueDomain"] == {"minValue": 0.0, "maxValue": 5.0}
    assert shown.rules == {"measurements": "the median of the data"}


SPOILT: list[Callable[[Any], Any]] = [
    lambda spec: spec["metadata"]["inputs"]["measurements"].update(inputTensorname="x"),
    lambda spec: spec["metadata"]["inputs"]["measurements"].update(encoding="bag_of_features"),
    lambda spec: spec["parameters"]["integratedGradientsAttribution"].update(stepCount="many"),
    lambda spec: spec["parameters"]["integratedGradientsAttribution"].pop("stepCount"),
    lambda spec: spec["metadata"].pop("outputs"),
]


def test_google_reads_the_spec_and_both_of_us_refuse_it_spoilt(shown: ExplanationConfig) -> None:
    google = discovery.validator("aiplatform.v1", "GoogleCloudAiplatformV1ExplanationSpec")
    schema = resources.read_document("explanations", SCHEMAS[SPEC])
    assert discovery.problems(google, shown.files[SPEC]) == list(problems(shown.files[SPEC], schema)) == []
    for spoil in SPOILT:
        spec = json.loads(json.dumps(shown.files[SPEC]))
        spoil(spec)
        assert list(problems(spec, schema)) and discovery.problems(google, spec), spoil


def test_google_reads_the_method_of_the_version(shown: ExplanationConfig) -> None:
    google = discovery.validator("ml.v1", "GoogleCloudMlV1__ExplanationConfig")
    assert discovery.problems(google, shown.method_config) == []
    assert discovery.problems(google, {"integratedGradientsAttribution": {"steps": 1}})


@pytest.mark.parametrize("name", SCHEMAS)
def test_our_reader_of_schemas_agrees_with_jsonschema(shown: ExplanationConfig, name: str) -> None:
    schema = resources.read_document("explanations", SCHEMAS[name])
    Draft202012Validator.check_schema(schema)
    checker = Draft202012Validator(schema)
    places = _places(shown.files[name])
    assert not list(problems(shown.files[name], schema)) and not list(checker.iter_errors(shown.files[name]))
    verdicts = set()
    for place in places:
        for other in (None, True, 0, -1, 1e9, "", "x", [], [1], {}, {"x": 1}):
            changed = _changed(shown.files[name], place, other)
            verdicts.add(bool(list(problems(changed, schema))))
            assert bool(list(problems(changed, schema))) is not checker.is_valid(changed), (place, other)
    assert verdicts == {True, False}


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for key, item in items for found in _places(item, (*place, key)))]


def _changed(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    copy = json.loads(json.dumps(document))
    target = copy
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    return copy


def test_inputs_of_every_kind(explained: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.jsonl"
    words.write_text('"b"\n"a"\n"b"\n"b"\n')
    text = cpr.explain(explained / "text", data=words)
    assert (text.method, text.baselines, text.rules) == ("sampled-shapley", {"x": "b"}, {"x": "the most frequent in the data"})
    assert text.files[METADATA]["inputs"]["x"]["modality"] == "categorical"
    assert "modality" not in text.files[SPEC]["metadata"]["inputs"]["x"]
    assert any("modalities numeric and image alone" in note for note in text.notes)
    without = cpr.explain(explained / "text")
    assert (without.baselines, without.features[0].modality) == ({"x": ""}, "text")
    arrays = tmp_path / "rows.npz"
    np.savez(arrays, a=np.array([[1, 2], [3, 4], [9, 9]], np.float32), b=np.array([0, 1, 5], np.float32))
    both = cpr.explain(explained / "two_inputs", Request(wishes=Wishes(baseline="mean")), arrays)
    assert both.baselines == {"a": [4.333333, 5.0], "b": 2.0}
    numbers = cpr.explain(explained / "numbered")
    assert (numbers.method, numbers.baselines) == ("sampled-shapley", {"x": 0})


def test_an_image_is_compared_with_black_and_a_graph_named_by_its_tensors(repository: Path, explained: Path) -> None:
    picture = cpr.explain(
        repository / "sample_models" / "digits_png" / "model",
        Request(method="xrai", wishes=Wishes(modalities={"ink": "image"})),
    )
    assert (picture.baselines, picture.rules) == ({"ink": 0.0}, {"ink": "black: zeros"})
    assert picture.files[SPEC]["parameters"] == {"xraiAttribution": {"stepCount": 50}}
    assert picture.files[METADATA]["inputs"]["ink"]["visualization"]["type"] == "pixels"
    graph = cpr.explain(explained / "of_tensorflow1").files[METADATA]
    assert graph["framework"] == "tensorflow"
    assert graph["inputs"]["x"]["input_tensor_name"].endswith(":0") and graph["outputs"]["y"]["output_tensor_name"].endswith(
        ":0"
    )


@pytest.mark.parametrize(
    ("model", "request_", "error", "message"),
    [
        ("two_outputs", Request(), UsageError, "several outputs of numbers"),
        ("two_outputs", Request(output="name"), UsageError, "holds no numbers"),
        ("text", Request(method="integrated-gradients"), TargetError, "needs gradients, and there is none for 'x' .string."),
        ("network", Request(method="xrai"), TargetError, "no input is one"),
        ("network", Request(steps=101), UsageError, "stepCount is 101"),
        ("network", Request(steps=0), UsageError, "numIntegralSteps is 0"),
        ("network", Request(method="sampled-shapley", paths=51), UsageError, "pathCount is 51"),
        ("network", Request(method="lime"), UsageError, "no method 'lime'"),
        ("network", Request(target="vertex"), TargetError, "no target that explains"),
        ("network", Request(labels=("a",)), UsageError, "1 labels for 3 values"),
        ("network", Request(signature="other"), RequestError, "no signature 'other'"),
        ("network", Request(wishes=Wishes(names={"x": ("a", "b")})), UsageError, "2 names for the input 'x'"),
        ("network", Request(wishes=Wishes(encodings={"x": "indicator"})), UsageError, "needs names"),
        ("network", Request(wishes=Wishes(modalities={"y": "image"})), UsageError, "no input 'y'"),
        ("two_inputs", Request(wishes=Wishes(groups={"g": ("a",), "h": ("a",)})), UsageError, "in two groups"),
        ("nowhere", Request(), ModelError, "does not exist"),
    ],
)
def test_what_cannot_be_explained_so_is_said(
    explained: Path, model: str, request_: Request, error: type[CprError], message: str
) -> None:
    with pytest.raises(error, match=message):
        cpr.explain(explained / model, request_)


def test_more_steps_than_vertex_takes_are_fine_for_ai_platform_alone(explained: Path) -> None:
    found = cpr.explain(explained / "network", Request(target="ai-platform", steps=200))
    assert list(found.files) == [METADATA] and found.method_config == {
        "integratedGradientsAttribution": {"numIntegralSteps": 200}
    }


@pytest.mark.parametrize(
    ("target", "version", "says"),
    [
        ("ai-platform", "1.13.1", "does not explain"),
        ("ai-platform", "1.14.0", "may not explain"),
        ("ai-platform", "1.15.5", None),
        ("ai-platform", "2.9.1", "may not explain"),
        ("ai-platform", "2.21.0", "The newest runtime was 2.11"),
        ("vertex-ai", "2.7.0", None),
        ("vertex-ai", "2.15.1", None),
        ("vertex-ai", "2.12.0", "general knowledge"),
        ("vertex-ai", "2.21.0", "sampled Shapley remains"),
        ("vertex-ai", "1.10.0", "is not known"),
        ("vertex-ai", "", "does not say which TensorFlow"),
    ],
)
def test_which_tensorflow_is_explained_where(target: str, version: str, says: str | None) -> None:
    note = service(target).version_note(version)
    assert note is None if says is None else note is not None and says in note


def routine(folder: Path, instances: list[Any], predictions: list[Any]) -> Path:
    example = {"instances": instances, "expect": {"predictions": predictions}}
    return write_routine(folder, files={"examples.jsonl": json.dumps(example) + "\n"})


def test_a_routine_is_explained_on_vertex_by_the_keys_of_its_instances(tmp_path: Path) -> None:
    rows = [{"rooms": 3, "at": "a", "xy": [1, 2]}, {"rooms": 5, "at": "b", "xy": [3, 2]}, {"rooms": 9, "at": "b", "xy": [3, 5]}]
    rows[0]["picture"] = {"b64": "aGV5"}
    bundle = cpr.build(routine(tmp_path / "houses", rows, [{"price": 1.0, "name": "x"}] * 3))
    found = cpr.explain(bundle)
    google = discovery.validator("aiplatform.v1", "GoogleCloudAiplatformV1ExplanationSpec")
    assert list(found.files) == [SPEC] and discovery.problems(google, found.files[SPEC]) == []
    assert found.files[SPEC] == {
        "parameters": {"sampledShapleyAttribution": {"pathCount": 50}},
        "metadata": {
            "inputs": {
                "rooms": {"inputBaselines": [5]},
                "at": {"inputBaselines": ["b"]},
                "xy": {"inputBaselines": [[3, 2]]},
                "picture": {},
            },
            "outputs": {"price": {}},
        },
    }
    assert any("custom prediction routine shows it none" in note for note in found.notes)
    with pytest.raises(TargetError, match="cannot be explained on AI Platform") as caught:
        cpr.explain(bundle, Request(target="ai-platform"))
    assert "N1" in caught.value.remedy and "sampled Shapley" in caught.value.remedy
    with pytest.raises(TargetError, match="sampled-shapley alone"):
        cpr.explain(bundle, Request(method="integrated-gradients"))
    with pytest.raises(UsageError, match="reads baselines alone"):
        cpr.explain(bundle, Request(wishes=Wishes(groups={"g": ("rooms",)})))
    with pytest.raises(RequestError, match="no expected prediction"[1:]):
        cpr.explain(bundle, Request(output="size"))


def test_instances_without_keys_have_no_names(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="are no objects"):
        cpr.explain(cpr.build(routine(tmp_path / "bare", [1, 2], [3, 6])))
    several = cpr.build(routine(tmp_path / "several", [{"x": 1}], [{"y": 3, "z": 3}]))
    with pytest.raises(RequestError, match="several keys with numbers: y, z"):
        cpr.explain(several)
    assert cpr.explain(several, Request(output="z")).output == "z"


def test_the_command_writes_beside_the_model_and_what_it_wrote_is_used(iris: Path, tmp_path: Path) -> None:
    model = shutil.copytree(iris, tmp_path / "model")
    data = tmp_path / "rows.jsonl"
    data.write_text("[1, 1, 1, 1]\n")
    names = "measurements=a,b,c,d"
    ran = run("explain", model, "--data", data, "-o", model, "--features", names, "--json")
    assert ran.status == 0, ran.out
    document = ran.document
    assert document["files"] == [str(model / METADATA), str(model / SPEC)]
    assert json.loads((model / METADATA).read_text()) == document["documents"][METADATA]
    assert document["baselines"]["measurements"] == {"value": [1.0] * 4, "rule": "the median of the data"}
    assert any("shut down" in note for note in document["notes"]) and any("2027-03-16" in note for note in document["notes"])
    with cpr.load_model(model) as loaded:
        ((found,),) = loaded.explain([[1.0, 1.0, 1.0, 2.0]])
    assert found.attributions["measurements"][:3].tolist() == [0.0, 0.0, 0.0] and found.attributions["measurements"][3]


def test_the_command_prints_and_refuses(iris: Path, tmp_path: Path) -> None:
    ran = run("explain", iris, "--method", "sampled-shapley", "--paths", "7")
    assert ran.status == 0 and "measurements: 0.0 (zeros, for want of data)" in ran.out
    assert "--explanation-method sampled-shapley --num-paths 7" in ran.out and '"pathCount": 7' in ran.out
    bad = run("explain", iris, "--group", "g", "--json")
    assert bad.status == 2 and "NAME=VALUE" in bad.error["message"]


def test_nothing_half_written_stays(shown: ExplanationConfig, tmp_path: Path) -> None:
    place = tmp_path / "out"
    (place / SPEC / "taken").mkdir(parents=True)
    with pytest.raises(CprError, match="cannot be written"):
        write_explanation(shown, place)
    assert not [path.name for path in place.iterdir() if ".new." in path.name]


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "no instance"), ("[1, 2", "no JSON"), ("[1, 2, 3]\n", "shape is"), ("\xff", "not UTF-8")],
)
def test_data_that_does_not_fit_is_named(iris: Path, tmp_path: Path, content: str, message: str) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_bytes(content.encode("latin-1"))
    with pytest.raises(RequestError, match=message) as caught:
        cpr.explain(iris, data=data)
    assert str(data) in str(caught.value.where)
    with pytest.raises(RequestError, match="cannot be read"):
        cpr.explain(iris, data=tmp_path / "none")
