"""CPR651 to CPR655: what a request in JSON rows can carry."""

from support.surveyed import found, ranked

PLACE = "saved_model.pb"


def test_a_fixed_number_of_rows(faulty):
    folder, _ = faulty
    (finding,) = found(folder / "fixed_rows", "CPR651")
    assert (finding.severity.value, finding.where) == ("warning", PLACE)
    assert "x [1, 4]" in finding.message
    assert "exactly 1 instance" in finding.message
    assert ranked(folder / "sound_keras", "CPR651") == []


def test_a_single_value_is_a_note(faulty):
    folder, _ = faulty
    (finding,) = found(folder / "scalar", "CPR651")
    assert finding.severity.value == "note"


def test_an_output_that_does_not_follow_the_rows(faulty):
    folder, _ = faulty
    (finding,) = found(folder / "scalar_output", "CPR651")
    assert finding.severity.value == "warning"
    assert "version []" in finding.message


def test_an_input_of_64_bits(faulty):
    folder, _ = faulty
    (finding,) = found(folder / "wide", "CPR652")
    assert (finding.severity.value, finding.where) == ("note", PLACE)
    assert "i is int64, x is float64" in finding.message
    assert ranked(folder / "fixed_rows", "CPR652") == []


def test_bytes_by_their_names(faulty):
    folder, _ = faulty
    named = {finding.remedy.partition(" ")[2].rstrip(".").partition(",")[0] for finding in found(folder / "bytes", "CPR653")}
    assert named == {"it picture_bytes", "it image_bytes"}
    assert {finding.severity.value for finding in found(folder / "bytes", "CPR653")} == {"note"}
    assert ranked(folder / "bytes_named", "CPR653") == [], "nor for text"


def test_the_name_that_classifying_and_regressing_demand_is_fine(faulty):
    (finding,) = found(faulty[0] / "sound_examples", "CPR653")
    assert finding.message.startswith("serving_default: the input examples takes bytes")


def test_a_method_name_that_servers_do_not_know(faulty):
    folder, _ = faulty
    (finding,) = found(folder / "method_name", "CPR654")
    assert (finding.severity.value, finding.where) == ("warning", PLACE)
    assert "'mine/predict'" in finding.message
    assert ranked(folder / "scalar", "CPR654") == []


def test_ragged_and_sparse_tensors(models):
    composite = found(models / "tf1_composite", "CPR655")
    assert [finding.severity.value for finding in composite] == ["note", "note"]
    assert "ragged (ragged), sparse (coo_sparse)" in composite[0].message
    assert "outputs" in composite[1].message
    assert ranked(models / "module", "CPR655") == []


def test_what_is_so_for_two_signatures_is_one_finding(faulty):
    folder, _ = faulty
    (finding,) = found(folder / "keras_wide", "CPR652")
    assert finding.message.startswith("serve, serving_default: ")
