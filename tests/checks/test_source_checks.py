"""CPR4xx: the source at the target's Python; and no false alarm about what the source guards itself."""

from __future__ import annotations

import sys
import textwrap

import pytest
from support.checking import PREDICTOR, entry, faults, subject

from cpr.manifest import Tool

NEWER_SYNTAX = {
    "walrus": "if (n := 10) > 5:\n    pass\n",
    "positional only": "def f(a, /):\n    return a\n",
    "match": "match 1:\n    case 1:\n        pass\n",
    "parenthesised with": "with (open('a') as a, open('b') as b):\n    pass\n",
}
if sys.version_info >= (3, 11):
    NEWER_SYNTAX["except star"] = "try:\n    pass\nexcept* ValueError:\n    pass\n"

NEWER_LIBRARY = {
    "functools.cache": "import functools\n\n@functools.cache\ndef f():\n    pass\n",
    "zoneinfo": "import zoneinfo\n",
    "tomllib": "from tomllib import loads\n",
    "math.prod": "import math\nx = math.prod([1, 2])\n",
    "typing.Literal": "from typing import Literal\n",
    "str.removeprefix": "x = 'abc'.removeprefix('a')\n",
    "dict union": "x = {} | {'a': 1}\n",
    "list[..]": "def f(a: list[int]):\n    pass\n",
    "X | Y": "def f(a: int | None):\n    pass\n",
    "importlib.metadata": "from importlib import metadata\n",
    "str.removesuffix": "def f(text):\n    return text.strip().removesuffix('a')\n",
    "generic type `list[…]`": "from __future__ import annotations\nRow = list[int]\n",
    "an annotation `X": "from typing import List\ndef f(a: List[int | None]):\n    pass\n",
    "a union of types": "def f(a):\n    return isinstance(a, int | str)\n",
    "behind `return`": "def f(a):\n    return 1, *a\n",
    "behind `in`": "for x in *[1], 2:\n    pass\n",
    "lru_cache": "from functools import lru_cache as once\n\n@once\ndef f():\n    pass\n",
    "statistics.fmean": (
        "import statistics\ndef f(x):\n    try:\n        return statistics.fmean(x)\n    except Exception:\n        pass\n"
    ),
    "math.dist": "import math\ndef f(m, x):\n    if hasattr(m, 'predict_proba'):\n        return math.dist(x, x)\n",
    "graphlib": "import sys\nif sys.version_info < (3, 8):\n    import graphlib\n",
    "random.randbytes": "from random import randbytes\nimport typing\nif typing.TYPE_CHECKING:\n    pass\n",
}
if sys.version_info >= (3, 11):
    NEWER_LIBRARY["a star in an index"] = "x = {}\ny = x[*x]\n"
    NEWER_LIBRARY["a star in an annotation"] = "def f(*a: *int):\n    pass\n"

FINE = {
    "guarded import": "try:\n    import zoneinfo\nexcept ImportError:\n    zoneinfo = None\n",
    "guarded by version": "import sys\nif sys.version_info >= (3, 9):\n    import graphlib\nelse:\n    graphlib = None\n",
    "guarded by type checking": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from typing import Literal\n",
    "guarded attribute": "import functools\ntry:\n    cache = functools.cache\nexcept AttributeError:\n    cache = None\n",
    "asked for": "x = 'a'\nif hasattr(x, 'removeprefix'):\n    x = 'abc'.removeprefix('a')\n",
    "postponed annotations": "from __future__ import annotations\ndef f(a: list[int] | None) -> dict[str, int]:\n    pass\n",
    "old features": "import dataclasses, contextlib, secrets\nx = f'{1}'\nasync def f():\n    yield 1\ny: int = 1_000\n",
    "not the built-in": "class T:\n    def removeprefix(self, a):\n        return a\nT().removeprefix('x')\n",
    "integers": "flags = 1 | 2\n",
    "suppressed": "import contextlib\nwith contextlib.suppress(ImportError):\n    import zoneinfo\n",
    "guarded by a name": "import sys\nPY38 = sys.version_info >= (3, 8)\nif PY38:\n    from typing import Literal\n",
    "early return": "import sys\ndef f():\n    if sys.version_info < (3, 9):\n        return None\n    import graphlib\n",
    "conditional expression": "import sys, math\nprod = math.prod if sys.version_info >= (3, 8) else None\n",
    "asked for in an expression": "import math\nprod = math.prod if hasattr(math, 'prod') else None\n",
    "guarded union": "import sys\nif sys.version_info[:2] >= (3, 10):\n    X = int | str\nelse:\n    X = int\n",
    "either guard": (
        "import sys\nif sys.version_info.minor < 9 or not sys.version_info >= (3, 10):\n    x = 1\nelse:\n    import tomllib\n"
    ),
    "guarded import of a broad mind": "def f():\n    try:\n        import zoneinfo\n    except Exception:\n        pass\n",
    "annotations of local variables": "def f():\n    x: list[int] = []\n    y: int | None = None\n",
    "stars in parentheses": "def f(a, x={}):\n    for i in (*a, 1):\n        yield (1, *a), x[(*a, 2)]\n    return (*a,)\n",
    "columns of text": "def f(frame):\n    return frame.name.str.removeprefix('x')\n",
    "names of one's own": "def f(type, dict):\n    return type['x'], dict['y']\n",
    "lru_cache()": "import functools\n@functools.lru_cache()\ndef f():\n    pass\n",
}


@pytest.mark.parametrize("name", NEWER_SYNTAX)
def test_newer_syntax(name: str) -> None:
    source = subject(sources={"pkg/__init__.py": "", "pkg/mod.py": NEWER_SYNTAX[name]})
    # Which of the two says it depends on the Python that runs cpr: the parsers of newer ones let some of it pass.
    (fault,) = faults("CPR402", source) + faults("CPR403", source)
    assert fault.where.startswith("pkg/mod.py:") and "3.7" in fault.message
    assert faults("CPR401", source) == []


@pytest.mark.parametrize("feature", NEWER_LIBRARY)
def test_newer_library(feature: str) -> None:
    source = subject(sources={"predictor.py": PREDICTOR, "helper.py": "# first line\n" + NEWER_LIBRARY[feature]})
    found = faults("CPR403", source)
    assert [feature in fault.message for fault in found] == [True], found
    assert found[0].where.startswith("helper.py:") and int(found[0].where.rpartition(":")[2]) > 1
    assert faults("CPR402", source) == []


def test_newer_f_strings() -> None:
    source = subject(sources={"predictor.py": PREDICTOR, "helper.py": "a = 1\nb = f'{a=}'\n"})
    (fault,) = faults("CPR402", source) + faults("CPR403", source)
    assert fault.where == "helper.py:2"


@pytest.mark.parametrize("name", FINE)
def test_no_false_alarm(name: str) -> None:
    source = subject(sources={"predictor.py": PREDICTOR, "helper.py": FINE[name]})
    assert faults("CPR401", source) == faults("CPR402", source) == faults("CPR403", source) == []


def test_a_container_runs_the_python_that_is_declared() -> None:
    sources = {"predictor.py": "import zoneinfo\n" + PREDICTOR}
    assert len(faults("CPR403", subject(sources=sources, machine_type="n1-standard-2", python="3.8"))) == 1
    assert faults("CPR403", subject(sources=sources, machine_type="n1-standard-2", python="3.11")) == []
    assert faults("CPR403", subject(sources=sources, machine_type="n1-standard-2")) == []


def test_an_expression_too_deep_to_be_looked_through() -> None:
    sources = {"predictor.py": PREDICTOR, "helper.py": "x = " + " + ".join(["'a'"] * 3000) + "\n"}
    (fault,) = faults("CPR403", subject(sources=sources)) or faults("CPR401", subject(sources=sources))
    assert fault.where.startswith("helper.py")


def test_a_runtime_with_two_pythons() -> None:
    sources = {"predictor.py": PREDICTOR, "helper.py": "x = f'{1}'\n"}
    assert faults("CPR403", subject(sources=sources, runtime_version="1.15")) == []
    older = subject(sources=sources, runtime_version="1.14")
    assert len(faults("CPR402", older) + faults("CPR403", older)) == 1  # f-strings came with 3.6


@pytest.mark.parametrize("content", ["def f(:\n", "x = 'abc\n", "if True:\nx = 1\n", "print 'hello'\n", "(" * 300 + "\n"])
def test_not_python(content: str) -> None:
    source = subject(sources={"predictor.py": content})
    (fault,) = faults("CPR401", source)
    assert fault.where.startswith("predictor.py")
    assert faults("CPR402", source) == faults("CPR403", source) == []


def test_only_python_is_read() -> None:
    assert faults("CPR401", subject(sources={"predictor.py": PREDICTOR, "pkg/words.txt": "def f(:"})) == []


def test_the_class_is_read_from_the_source_where_it_cannot_be_imported() -> None:
    def shaped(body: str) -> list[str]:
        text = "import not_there\n\n\nclass Scale:\n" + textwrap.indent(textwrap.dedent(body), "    ")
        source = subject(sources={"predictor.py": text})
        return [name for name in ("CPR102", "CPR103", "CPR104", "CPR105", "CPR106") if faults(name, source)]

    good = "@classmethod\ndef from_path(cls, model_dir):\n    return cls()\n\n"
    predict = "def predict(self, instances, **kwargs):\n    return instances\n"
    assert shaped(good + predict) == []
    assert shaped(predict) == ["CPR102"]
    assert shaped(good) == ["CPR103"]
    assert shaped(good + predict.replace("instances,", "instances, top_k=1,")) == ["CPR104"]
    assert shaped(good + predict.replace(", **kwargs", "")) == ["CPR105"]
    assert shaped(good + predict.replace("**kwargs", "*, stats=None, signature_name=None")) == []
    assert shaped(good + "@wrapped\n" + predict) == []  # only the import could tell
    assert shaped(good.replace("@classmethod\n", "") + predict) == ["CPR106"]
    assert shaped("from_path = classmethod(make)\n" + predict) == []


def test_modules_that_hide_others() -> None:
    for name in ("json.py", "parser.py", "tensorflow/__init__.py", "queue/impl.py"):
        assert len(faults("CPR107", subject(sources={"predictor.py": PREDICTOR, name: ""}))) == 1, name
    for name in ("preprocess.py", "my_json.py", "pkg/json.py", "data/json.txt"):
        assert faults("CPR107", subject(sources={"predictor.py": PREDICTOR, name: ""})) == [], name


def test_a_module_that_hides_the_package_beside_it() -> None:
    sources = {"predictor.py": PREDICTOR, "cpr.py": ""}
    kit = Tool("0.1.0", (entry("packages/cpr_kit-0.1.0.tar.gz"),))
    assert len(faults("CPR107", subject(sources=sources, tool=kit))) == 1
    assert faults("CPR107", subject(sources=sources)) == []  # a routine may have a cpr of its own where nothing else has
