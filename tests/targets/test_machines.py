"""The data of the deploy targets, and what is read from it."""

from __future__ import annotations

import copy
import json

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from cpr import resources
from cpr.errors import TargetError
from cpr.machines import read_target

TARGETS = resources.target_names()


def checker() -> Draft202012Validator:
    schema = json.loads(resources.read_text("", "target.schema.json"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


def plain(name: str) -> dict:
    """The document as JSON has it: YAML reads dates."""
    return json.loads(json.dumps(resources.read_target(name), default=str))


def test_folders_without_a_target_file_are_no_targets() -> None:
    assert TARGETS == ("ai-platform", "vertex-ai")


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_file_fits_its_schema(name: str) -> None:
    document = plain(name)
    check = checker()
    assert [error.message for error in check.iter_errors(document)] == []
    for damage in (
        lambda changed: changed["machines"].update(defualt="x"),
        lambda changed: changed["machines"]["families"][0].update(max_model_bytes="500MB"),
        lambda changed: changed["limits"].pop("sources"),
        lambda changed: changed["names"].update(retrieved="yesterday"),
    ):
        changed = copy.deepcopy(document)
        damage(changed)
        assert list(check.iter_errors(changed))


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_a_folder_of_templates_for_each_variant(name: str) -> None:
    target = read_target(name)
    for variant in {machine.variant for machine in target.machines}:
        assert {"deploy.sh", "README.md"} <= resources.read_texts(name, variant).keys()


def test_the_machines_of_ai_platform() -> None:
    target = read_target("ai-platform")
    assert target.retired == "2025-01-31"
    assert target.successors == ("vertex-ai",)
    mls1 = target.machine("mls1-c4-m2")
    assert (mls1.variant, mls1.cpus, mls1.memory_mib, mls1.max_model_bytes) == ("routine", 4, 2048, 500_000_000)
    n1 = target.machine("n1-highmem-2")
    assert (n1.variant, n1.cpus, n1.memory_mib, n1.max_model_bytes) == ("container", 2, 13312, 10_000_000_000)
    assert target.machine() == target.default_machine == target.machine("mls1-c1-m2")
    assert {machine.name for machine in target.machines_for("routine")} == {"mls1-c1-m2", "mls1-c4-m2"}


def test_an_alias_is_the_machine_it_stands_for_with_a_warning() -> None:
    machine = read_target("ai-platform").machine("mls1-highmem-1")
    assert machine.name == "mls1-c1-m2"
    assert "deprecated" in machine.warning
    assert not machine.doubtful


def test_a_doubtful_machine_keeps_its_name_and_says_so() -> None:
    machine = read_target("ai-platform").machine("mls1-c4-m4")
    assert machine.name == "mls1-c4-m4"
    assert machine.doubtful
    assert "no official list" in machine.warning
    assert "mls1-c4-m2" in machine.warning


@pytest.mark.parametrize(
    ("name", "nearest"), [("n1-standrd-4", "'n1-standard-4'"), ("mls-c4-m2", "'mls1-c4-m2'"), ("zzz", "mls1-c1-m2, mls1-c4-m2")]
)
def test_an_unknown_machine_names_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(TargetError) as caught:
        read_target("ai-platform").machine(name)
    assert name in caught.value.message
    assert nearest in caught.value.remedy


def test_an_unknown_target_names_the_nearest() -> None:
    with pytest.raises(TargetError, match="vertex") as caught:
        read_target("vertex")
    assert caught.value.remedy == "Did you mean 'vertex-ai'?"


@pytest.mark.parametrize("name", ["../ai-platform", "container", "", "ai-platform/routine"])
def test_a_path_is_no_target(name: str) -> None:
    with pytest.raises(TargetError):
        read_target(name)


def test_runtimes() -> None:
    target = read_target("ai-platform")
    runtime = target.runtime()
    assert runtime is not None
    assert (runtime.version, runtime.tensorflow, runtime.python, runtime.warning) == ("2.9", "2.9", "3.7", "")
    old = target.runtime("1.15")
    assert old is not None
    assert old.pythons == ("2.7", "3.7")
    for version in ("2.1", "2.7", "2.11"):
        doubtful = target.runtime(version)
        assert doubtful is not None
        assert doubtful.warning
    with pytest.raises(TargetError, match=r"2\.0"):
        target.runtime("2.0")
    assert read_target("vertex-ai").runtime("2.9") is None


def test_names_are_spelt_as_the_target_wants() -> None:
    ai_platform, vertex = read_target("ai-platform"), read_target("vertex-ai")
    assert ai_platform.model_name("my-own_model") == "my_own_model"
    assert vertex.model_name("my-own_model") == "my-own-model"
    assert ai_platform.version_name("1.0.post2") == "v1_0_post2"
    assert vertex.version_name("1.0.post2") == "v1-0-post2"
    with pytest.raises(TargetError) as caught:
        vertex.model_name("a" * 64)
    assert "63" in caught.value.remedy


def test_labels() -> None:
    rule = read_target("vertex-ai").labels
    assert rule.problem((("team", "search-1_x"), ("größe", ""))) is None
    for labels in ((("Team", "a"),), (("1team", "a"),), (("team", "a b"),), (("team", "a" * 64),), (("team", "Ä"),)):
        assert rule.problem(labels) is not None
    assert rule.problem(tuple((f"k{number}", "v") for number in range(65))) is not None


def test_regions_belong_to_an_endpoint() -> None:
    target = read_target("ai-platform")
    n1, mls1 = target.machine("n1-standard-2"), target.machine("mls1-c1-m2")
    assert target.region(None, n1) == "us-central1"
    assert target.region("europe-west4", n1) == "europe-west4"
    with pytest.raises(TargetError, match="europe-west4"):
        target.region("europe-west4", mls1)
    with pytest.raises(TargetError) as caught:
        target.region("europe-wset1", n1)
    assert "europe-west1" in caught.value.remedy
    with pytest.raises(TargetError):
        read_target("vertex-ai").region("$(touch x)", n1)
