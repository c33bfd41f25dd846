"""Several MetaGraphs over one set of variables, chosen by tags."""

import numpy as np
import pytest
from support.export_sources import ROWS, answers
from support.replaying import REPOSITORY

import cpr
from cpr.errors import ModelError, UsageError

pytestmark = pytest.mark.xdist_group("tensorflow")

EXPORTS = REPOSITORY / "sample_models" / "add_two" / "exports"


def test_two_graphs_share_their_variables(trained, tmp_path):
    source = trained["resource"]
    ends = {"outputs": {"scores": "net/scores"}, "constants": {"net/keep": 1.0}}
    other = {("serve", "gpu"): source.prefix}
    exported = cpr.export(source.folder / "graph.pbtxt", tmp_path / "model", also=other, checkpoint="model.ckpt-2", **ends)
    for tags in (("serve",), ("serve", "gpu")):
        found = answers(tmp_path / "model", "serving_default", {"x": ROWS}, tags)["scores"]
        np.testing.assert_allclose(found, source.scores, 1e-6)
    assert [(set(each.tags), each.requests) for each in exported.compared] == [({"serve"}, 3), ({"serve", "gpu"}, 3)]


def test_two_saved_models_of_tensorflow_2(tmp_path):
    cpr.export(EXPORTS / "module", tmp_path / "model", also={"gpu": EXPORTS / "module"}, rename_inputs={"x": "n"})
    for tags in ("serve", "gpu"):
        assert answers(tmp_path / "model", "serving_default", {"n": [1.0]}, (tags,))["y"].tolist() == [3.0]
    both = cpr.export(tmp_path / "model", tmp_path / "both", rename_inputs={"n": "m"})
    assert [(each.tags, each.requests) for each in both.compared] == [(("serve",), 3), (("gpu",), 3)]
    cpr.export(tmp_path / "model", tmp_path / "one", from_tags="gpu", tags="serve")
    assert answers(tmp_path / "one", "serving_default", {"n": [1.0]})["y"].tolist() == [3.0]
    with pytest.raises(UsageError, match="2 graphs") as caught:
        cpr.export(tmp_path / "model", tmp_path / "other", tags="serve")
    assert "--from-tags" in caught.value.remedy


def test_graphs_that_do_not_share_are_refused(trained, tmp_path):
    def told(source, **asked):
        with pytest.raises(ModelError) as caught:
            cpr.export(source, tmp_path / "model", **asked)
        assert not (tmp_path / "model").exists()
        return caught.value.message

    assert "no two" in told(EXPORTS / "module", also={"gpu": EXPORTS / "builder"})
    assert "Two graphs have the tags serve" in told(EXPORTS / "module", also={"serve": EXPORTS / "module"})
    ends = {"outputs": {"scores": "net/scores"}, "constants": {"net/keep": 1.0}}
    first = trained["resource"].prefix.with_name("model.ckpt-1")
    assert "different values for net/w" in told(trained["resource"].prefix, also={"gpu": first}, **ends)
