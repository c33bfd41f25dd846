"""CPR605 to CPR607 and CPR613 to CPR615: the checkpoint, against its index and its graph."""

import shutil

import pytest
from support.surveyed import found, ranked

from cpr.saved_model.checkpoint import read_checkpoint_index
from cpr.saved_model.findings.weights import foreign
from cpr.saved_model.reader import read_saved_model
from cpr.saved_model.tree import local_tree

SHARD = "variables/variables.data-00000-of-00001"
INDEX = "variables/variables.index"


def test_altered_weights_are_found_where_they_are_verified(copy):
    folder = copy("module")
    assert ranked(folder, "CPR613", verify=True) == []
    content = bytearray((folder / SHARD).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / SHARD).write_bytes(content)
    assert ranked(folder, "CPR613") == [], "only reading all of the weights can tell"
    (finding,) = found(folder, "CPR613", verify=True)
    assert (finding.severity.value, finding.where) == ("error", SHARD)


def test_altered_weights_are_not_loaded(faulty):
    folder, says = faulty
    assert says["altered"]["loads"] is not None
    assert ranked(folder / "altered", "CPR613", verify=True) == [("error", SHARD)]


@pytest.mark.parametrize(
    "name",
    [
        "variables/variables.data-00001-of-00002",
        "variables/variables_temp/part-00000-of-00001.data-00000-of-00001",
        "variables/variables_temp/part-00000-of-00001.index",
        "variables/ckpt-7.index",
    ],
)
def test_shards_that_the_index_does_not_name(copy, name):
    folder = copy("module")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(bytes(1500))
    (finding,) = found(folder, "CPR614")
    assert (finding.severity.value, finding.where) == ("warning", name)
    assert "1,500 bytes" in finding.message


def test_a_graph_that_is_written_anew_while_it_is_read_proves_nothing(copy):
    folder = copy("module")
    graphs = read_saved_model(folder).meta_graphs
    index = read_checkpoint_index(folder / INDEX)
    assert list(foreign(local_tree(folder), graphs * 2, index)) == []


def test_other_files_in_the_folder_of_the_weights(copy):
    folder = copy("module")
    (folder / "variables" / "README").write_text("x")
    assert ranked(folder, "CPR614") == []


@pytest.mark.parametrize("kind", ["module", "reference", "resource"])
@pytest.mark.parametrize("variant", ["base", "same", "names", "fewer", "more", "shapes", "types"])
def test_weights_of_another_model(faulty, kind, variant):
    folder, says = faulty
    loads = says[f"swapped/{kind}_{variant}"]["loads"] is None
    expected = [] if variant in ("base", "same") else [("warning" if loads else "error", INDEX)]
    assert ranked(folder / "swapped" / f"{kind}_{variant}", "CPR615") == expected


def test_the_objects_in_a_checkpoint_are_no_variable_of_another_model(faulty):
    folder, says = faulty
    assert says["sound_objects"]["loads"] is None
    assert ranked(folder / "sound_objects", "CPR615") == []


def test_the_differing_variable_is_named(faulty):
    folder, _ = faulty
    (names,) = found(folder / "swapped" / "reference_names", "CPR615")
    assert "restores a, b," in names.message
    (shapes,) = found(folder / "swapped" / "module_shapes", "CPR615")
    assert "shape of a: [3], not [4]" in shapes.message
    (types,) = found(folder / "swapped" / "resource_types", "CPR615")
    assert "type of a: float32, not int32" in types.message


def test_weights_of_another_training_are_found_where_they_are_verified(faulty):
    """Same names, shapes and types: only the fingerprint of TensorFlow 2.12 and later tells."""
    folder, says = faulty
    assert says["retrained"]["loads"] is None
    assert ranked(folder / "retrained", "CPR615") == []
    assert ranked(folder / "retrained", "CPR615", verify=True) == [("warning", INDEX)]
    assert ranked(folder / "swapped" / "module_base", "CPR615", verify=True) == []


def test_a_shard_that_is_longer_than_its_index_says(copy, faulty):
    folder = copy("module")
    size = (folder / SHARD).stat().st_size
    with open(folder / SHARD, "ab") as file:
        file.write(bytes(100))
    (finding,) = found(folder, "CPR615")
    assert (finding.severity.value, finding.where) == ("warning", SHARD)
    assert f"{size + 100} bytes" in finding.message
    assert faulty[1]["longer"]["loads"] is None


def test_the_text_form_is_not_compared_with_its_weights(models, copy):
    folder = copy("module_text")
    shutil.copytree(models / "module" / "variables", folder / "variables")
    assert ranked(folder, "CPR615") == []
