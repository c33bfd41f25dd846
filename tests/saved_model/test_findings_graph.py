"""CPR603, CPR604, CPR608 to CPR612: the graph file, and what it names."""

import shutil

from support.surveyed import checks, found, ranked


def test_a_binary_graph_named_as_text(copy):
    folder = copy("module")
    (folder / "saved_model.pb").rename(folder / "saved_model.pbtxt")
    (finding,) = found(folder, "CPR612", "CPR603")
    assert (finding.check, finding.severity.value, finding.where) == ("CPR612", "error", "saved_model.pbtxt")
    assert finding.remedy == "Rename the file to saved_model.pb."


def test_a_text_graph_named_as_binary(copy):
    folder = copy("module_text")
    (folder / "saved_model.pbtxt").rename(folder / "saved_model.pb")
    (finding,) = found(folder, "CPR612", "CPR603")
    assert (finding.check, finding.where) == ("CPR612", "saved_model.pb")
    assert finding.remedy == "Rename the file to saved_model.pbtxt."


def test_text_that_is_damaged_is_no_other_form(copy):
    folder = copy("module_text")
    text = folder / "saved_model.pbtxt"
    text.write_text(text.read_text()[:-30])
    assert ranked(folder, "CPR603") == [("error", "saved_model.pbtxt")]
    assert ranked(folder, "CPR612") == []


def test_tensorflow_goes_by_the_name_alone(tensorflow_says, faulty):
    _, says = faulty
    assert says["other_form_binary"]["loads"] is not None
    assert says["other_form_text"]["loads"] is not None


def test_no_signature(models):
    (finding,) = found(models / "no_signature", "CPR609")
    assert (finding.severity.value, finding.where) == ("warning", ".")
    assert "__saved_model_init_op" in finding.message


def test_signatures_of_a_graph_that_servers_do_not_load(faulty):
    folder, _ = faulty
    (finding,) = found(folder / "signed_elsewhere", "CPR609")
    assert "[train]" in finding.message
    assert ranked(folder / "sound_default", "CPR609") == []


def test_no_serve_tag(copy):
    folder = copy("tf1_constant")
    graph = (folder / "saved_model.pb").read_bytes()
    assert graph.count(b"\x22\x05serve") == 1
    assert ranked(folder, "CPR608") == []
    (folder / "saved_model.pb").write_bytes(graph.replace(b"\x22\x05serve", b"\x22\x05train"))
    (finding,) = found(folder, "CPR608")
    assert (finding.severity.value, finding.where) == ("warning", ".")
    assert "train" in finding.message


def test_a_pointer_in_place_of_the_graph_is_one_finding(copy):
    folder = copy("module")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{64 * '0'}\nsize 1000\n"
    for path in ("saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"):
        (folder / path).write_text(pointer)
    pointers = found(folder, "CPR604")
    assert checks(folder) == ["CPR604"] * 3
    assert [finding.where for finding in pointers] == [
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    ]
    assert all("git lfs pull" in finding.remedy for finding in pointers)


def test_an_altered_manifest_of_a_bundle(models, tmp_path):
    shutil.copytree(models / "vocabulary", tmp_path / "model" / "saved_model")
    (tmp_path / "manifest.json").write_text("{}")
    assert ranked(tmp_path, "CPR611") == [("error", "manifest.json")]
