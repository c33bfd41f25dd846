"""Which MetaGraph and which signature, by name alone; and what the files of a SavedModel tell without TensorFlow."""

import shutil

import pytest

from cpr.errors import ModelError, RequestError
from cpr.interface.choosing import choose_signature, choose_tags
from cpr.interface.graph_file import missing_files, read_tags

SERVE, GPU, TRAIN = ("serve",), ("serve", "gpu"), ("train",)


@pytest.mark.parametrize(
    ("found", "wanted", "chosen"),
    [
        ([TRAIN], None, TRAIN),
        ([()], None, ()),
        ([TRAIN, SERVE, GPU], None, SERVE),
        ([SERVE, GPU], ("gpu", "serve"), GPU),
        ([SERVE, GPU], {"gpu", "serve"}, GPU),
        ([SERVE, GPU], "serve", SERVE),
        ([(), SERVE], (), ()),
    ],
)
def test_a_meta_graph_is_chosen(found, wanted, chosen):
    assert choose_tags(found, wanted, "m") == chosen


@pytest.mark.parametrize(
    ("found", "wanted", "message"),
    [
        ([SERVE], ("gpu",), "no MetaGraph with exactly the tags gpu; the tags are: serve."),
        ([GPU], ("serve",), "exactly the tags serve; the tags are: serve, gpu."),
        ([SERVE], (), "exactly the tags (none); the tags are: serve."),
        (
            [GPU, TRAIN, ()],
            None,
            "has 3 MetaGraphs and none with the tag serve alone; the tags are: serve, gpu; train; (none).",
        ),
        ([SERVE, GPU, SERVE], None, "2 MetaGraphs of the SavedModel m have the tags serve."),
        ([GPU, ("gpu", "serve")], GPU, "2 MetaGraphs of the SavedModel m have the tags serve, gpu."),
    ],
)
def test_no_meta_graph_is_chosen_by_chance(found, wanted, message):
    with pytest.raises(ModelError) as caught:
        choose_tags(found, wanted, "m")
    assert message in caught.value.message
    assert caught.value.where == "m"


@pytest.mark.parametrize(
    ("names", "requested", "default", "chosen"),
    [
        (["only"], None, None, "only"),
        (["only"], "", None, "only"),
        (["a", "serving_default"], None, None, "serving_default"),
        (["a", "serving_default"], "a", None, "a"),
        (["a", "b"], None, "b", "b"),
        (["a", "b"], "a", "b", "a"),
    ],
)
def test_a_signature_is_chosen(names, requested, default, chosen):
    assert choose_signature(names, requested, default) == chosen


@pytest.mark.parametrize(
    ("names", "requested", "message"),
    [
        (["a", "b"], None, "several signatures and none is called serving_default: a, b."),
        (["a"], "serving_default", "no signature 'serving_default'; it has a."),
        (["a"], ["a"], "no signature ['a']; it has a."),
    ],
)
def test_no_signature_is_guessed(names, requested, message):
    with pytest.raises(RequestError) as caught:
        choose_signature(names, requested)
    assert message in caught.value.message


def test_a_model_without_signatures_says_so():
    with pytest.raises(ModelError, match="has no signature"):
        choose_signature([], None)


# --- the files --------------------------------------------------------------------------------------------------------------


@pytest.mark.xdist_group("tensorflow")
def test_tags_are_read_as_tensorflow_reads_them(models):
    from tensorflow.python.saved_model.loader_impl import parse_saved_model

    for model in sorted(models.glob("*/saved_model")):
        if (model / "saved_model.pb").is_file():
            expected = [tuple(graph.meta_info_def.tags) for graph in parse_saved_model(str(model)).meta_graphs]
            assert read_tags(str(model)) == expected


@pytest.mark.xdist_group("tensorflow")
def test_a_cut_graph_file_is_an_error_wherever_it_is_cut(models, tmp_path):
    data = (models / "tensorflow1_tags" / "saved_model" / "saved_model.pb").read_bytes()
    path = tmp_path / "saved_model.pb"
    for end in [*range(64), *range(64, len(data), 97), len(data) - 1]:
        path.write_bytes(data[:end])
        try:
            assert read_tags(str(tmp_path)) == [("serve",)], end  # the cut is just between the two graphs
        except ModelError as error:
            assert error.where == str(path)


def test_many_wrong_bytes_are_an_error(tmp_path):
    for data in (
        b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x12\x05\x0a\x03\x22\x01\xff",
        b"\x13",
        b"\x08\x01",
        b"\x12\x80",
    ):
        (tmp_path / "saved_model.pb").write_bytes(data)
        with pytest.raises(ModelError, match="cut or altered"):
            read_tags(str(tmp_path))


@pytest.fixture
def complete(tmp_path):
    folder = tmp_path / "m" / "variables"
    folder.mkdir(parents=True)
    for name in ("variables.index", *(f"variables.data-0000{shard}-of-00003" for shard in range(3))):
        (folder / name).write_bytes(b"x")
    return tmp_path / "m"


def test_complete_weights_lack_nothing(complete):
    assert missing_files(str(complete)) is None


@pytest.mark.parametrize("name", ["variables.index", "variables.data-00001-of-00003", "variables.data-00002-of-00003"])
def test_each_file_of_weights_is_missed(complete, name):
    (complete / "variables" / name).unlink()
    error = missing_files(str(complete))
    assert f"variables/{name} is missing" in error.message
    assert error.where == str(complete / "variables" / name)


def test_a_missing_folder_of_weights(complete):
    shutil.rmtree(complete / "variables")
    assert "variables/ is missing" in missing_files(str(complete)).message
    (complete / "variables").mkdir()
    assert "variables/ is missing" in missing_files(str(complete)).message
    (complete / "variables" / "variables.index").write_bytes(b"x")
    assert "variables.data-00000-of-00001 is missing" in missing_files(str(complete)).message
