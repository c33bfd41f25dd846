"""CPR108: an import inside a function, of a module that is nowhere."""

from __future__ import annotations

import textwrap

import pytest
from support.checking import faults, run, subject

CLASS = """
class Scale:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        {body}
        return instances
"""


def places(body: str, top: str = "", more: dict[str, str] | None = None, **given) -> list[str]:
    text = top + CLASS.format(body=textwrap.indent(body, " " * 8).strip())
    looked_at = subject(sources={"predictor.py": text, **(more or {})}, **given)
    assert set(looked_at.trees) == set(looked_at.sources), "it parses"
    return [fault.where for fault in faults("CPR108", looked_at)]


@pytest.mark.parametrize(
    "body",
    [
        "import nowhere_at_all",
        "from nowhere_at_all.deep import thing",
        "import helpers.absent",
        "from helpers.absent import thing",
        "from helpers import scaling\nimport helpers.scaling.deeper",
        "def inner():\n    import nowhere_at_all",
    ],
)
def test_a_module_that_is_nowhere(body: str) -> None:
    more = {"helpers/__init__.py": "", "helpers/scaling.py": ""}
    assert len(places(body, more=more)) == 1


@pytest.mark.parametrize(
    "body",
    [
        "import json, zoneinfo",
        "import yaml",  # installed here
        "import helpers.scaling",
        "from helpers import scaling",
        "from helpers import CONSTANT",
        "from helpers.scaling import scaled",
        "import space.inner",
        "import space",
        "try:\n    import nowhere_at_all\nexcept ImportError:\n    pass",
        "import sys\nif sys.version_info < (3, 0):\n    import nowhere_at_all",
        "import cpr",
    ],
)
def test_a_module_that_is_somewhere(body: str) -> None:
    more = {"helpers/__init__.py": "CONSTANT = 1", "helpers/scaling.py": "", "space/inner.py": ""}
    assert places(body, more=more) == []


def test_what_the_rehearsal_reaches_is_its_own_to_tell() -> None:
    assert places("pass", top="import nowhere_at_all\n") == []


def test_a_module_that_only_a_function_reaches_counts_whole() -> None:
    lazy = {"late.py": "import nowhere_at_all\n"}
    assert places("import late", more=lazy) == ["late.py:1"]
    assert places("import late", top="import late\n", more=lazy) == []
    assert places("pass", more=lazy) == []  # nobody imports it: a script for training, a test


def test_relative_imports_are_followed() -> None:
    more = {
        "parts/__init__.py": "from .one import f\n",
        "parts/one.py": "def f():\n    from .two import g\n    from ..x import y\n",
    }
    assert places("pass", top="import parts\n", more=more) == ["parts/one.py:2"]


def test_what_is_declared_and_not_here_may_bring_it() -> None:
    assert places("import nowhere_at_all", requirements=("nowhere-at-all>=1",)) == []
    installed = run(environment={"python": "3.7.16", "packages": {"nowhere-at-all": "1.0"}})
    assert len(places("import nowhere_at_all", requirements=("nowhere-at-all>=1",), run=installed)) == 1
