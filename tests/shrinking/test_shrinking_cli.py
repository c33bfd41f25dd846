"""``cpr shrink`` as a person and a script see it."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from support.command import cpr

pytest.importorskip("tensorflow")


def test_the_report_has_what_it_costs_before_and_after(repository, tmp_path):
    np.save(tmp_path / "words.npy", np.random.default_rng(0).integers(0, 2808, (200, 40)))
    arguments = ["--weights", "float16", "--data", str(tmp_path / "words.npy"), "--svg", str(tmp_path / "report.svg"), "--json"]
    ran = cpr("shrink", str(repository / "sample_models/docstrings/model"), str(tmp_path / "smaller"), *arguments)
    assert ran.status == 0, ran.err
    document = json.loads(ran.out)
    assert document["schema"] == "cpr.shrink/1"
    assert document["after"] < document["before"] * 0.52 and document["saved"] > 0.48
    assert document["accuracy"][0]["agreement"] >= 0.99 and document["accuracy"][0]["rows"] == 200
    for costs in (document["costs"]["before"], document["costs"]["after"]):
        assert costs["load"] > 0 and costs["first"] > 0 and costs["call"] > 0
    picture = ElementTree.parse(tmp_path / "report.svg").getroot()
    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"size", "load", "first call", "later calls"} <= set(texts)


def test_wrong_usage_says_so(tmp_path):
    ran = cpr("shrink", "nowhere", str(tmp_path / "smaller"), "--limit", "big")
    assert ran.status == 2 and "500MB" in ran.err
    ran = cpr("shrink", str(tmp_path), str(tmp_path.parent / "smaller"))
    assert ran.status == 1 and "saved_model.pb" in ran.err and "Traceback" not in ran.err
