"""CPR641 to CPR644: what a request runs; TensorFlow ran it, too."""

from support.surveyed import found, ranked

PLACE = "saved_model.pb"


def where(faulty, check):
    """The models that have a finding, not counting notes."""
    folder, says = faulty
    return {name for name in says if any(severity != "note" for severity, _ in ranked(folder / name, check))}


def test_a_request_that_waits_for_the_training_s_input(faulty):
    folder, says = faulty
    assert where(faulty, "CPR641") == {"queue", "reader", "iterator", "one_shot"}
    for name in ("queue", "reader", "iterator"):
        assert says[name]["signatures"]["serving_default"]["error"] is not None
    assert ranked(folder / "queue", "CPR641") == [("warning", PLACE)]
    assert "QueueDequeue" in found(folder / "queue", "CPR641")[0].message


def test_training_mode(faulty):
    """Dropout: the same request gets another answer. Batch normalisation: the answer to a row depends on the others."""
    folder, says = faulty
    training = where(faulty, "CPR642")
    assert training == {"dropout", "tf1_dropout", "norm", "tf1_norm", "keras_norm"}
    for name, said in says.items():
        for signature in said["signatures"].values():
            if signature["error"] is None and "trains" not in name:
                changes = not signature["repeats"] or signature["alone"] is False
                assert changes == (name in training), name
    (finding,) = found(folder / "dropout", "CPR642")
    assert finding.message.startswith("serve, serving_default: dropout is on")


def test_a_request_that_trains(faulty):
    folder, says = faulty
    assert where(faulty, "CPR643") == {"trains", "keras_trains"}
    for name in ("trains", "keras_trains"):
        assert not says[name]["signatures"]["serving_default"]["repeats"]
    (finding,) = found(folder / "trains", "CPR643")
    assert "GradientDescent" in finding.message


def test_training_operations_that_no_signature_runs_are_a_note(faulty):
    folder, _ = faulty
    (finding,) = found(folder / "trained_here", "CPR643")
    assert (finding.severity.value, finding.where) == ("note", PLACE)
    assert "Adam" in finding.message
    assert ranked(folder / "sound_default", "CPR643") == []


def test_a_signature_of_that_name_may_train(faulty):
    folder, _ = faulty
    (finding,) = found(folder / "trains_by_name", "CPR643")
    assert finding.severity.value == "note"
    assert finding.message.startswith("train:")


def test_a_placeholder_that_no_request_feeds(faulty):
    folder, says = faulty
    failing = {
        name
        for name, said in says.items()
        for signature in said["signatures"].values()
        if signature["error"] == "InvalidArgumentError"
    }
    assert where(faulty, "CPR644") == failing == {"unfed", "unfed_in_one"}
    assert ranked(folder / "unfed", "CPR644") == [("error", PLACE)]
    (finding,) = found(folder / "unfed_in_one", "CPR644")
    assert finding.severity.value == "warning", "another signature works"
    assert finding.message.startswith("scaled: ")
    assert "keep_prob" in finding.message
