"""What a rehearsal installs is what pip would install, whoever lays it out."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

import pytest
from support.routines import CONFIG, PREDICTOR, write_routine

from cpr.archive import read_sdist, write_sdist
from cpr.bundle import Bundle
from cpr.isolation import THIS_INTERPRETER
from cpr.isolation.child import make_room
from cpr.isolation.installing import install, is_plain
from cpr.steps.build import build

FILES = {
    "pack/__init__.py": "",
    "pack/a[1].txt": "1",
    "pack/.hidden": "3",
    "pack/v1.0/old.py": "4",
    "pack/naïve.py": "6",
    "pack/sub/__init__.py": "from cpr import Predictor\n",
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("odd")
    text = "import pack.sub\n" + PREDICTOR
    return build(write_routine(folder / "r", CONFIG + "requirements: [packaging]\n", text, FILES), folder / "bundles")


def installed(bundle: Bundle, folder: Path) -> Path:
    make_room(folder)
    assert install(bundle, folder, THIS_INTERPRETER, time.monotonic() + 100) is None
    return folder / "site"


def tree(site: Path) -> dict[str, bytes]:
    """Every file, without what pip notes for itself."""
    own = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")
    return {
        path.relative_to(site).as_posix(): path.read_bytes()
        for path in site.rglob("*")
        if path.is_file() and path.name not in own and path.suffix != ".pyc"
    }


def test_it_is_what_pip_installs(odd: Bundle, tmp_path: Path) -> None:
    assert len(odd.manifest.packages) == 2, "the routine's own, and what it imports of cpr"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    for package in odd.manifest.packages:
        subprocess.run([*command, "--target", tmp_path / "pip", odd.path(package)], check=True, capture_output=True)
    (tmp_path / "work").mkdir()
    site = installed(odd, tmp_path / "work")
    assert tree(site) == tree(tmp_path / "pip") and {"predictor.py", *FILES} <= tree(site).keys()
    assert not list(site.rglob("INSTALLER")), "nothing was left to pip"
    (found,) = metadata.distributions(name="tiny", path=[str(site)])
    assert (found.version, found.requires) == ("1.2.0", ["packaging"])


def test_what_does_more_is_left_to_pip(odd: Bundle, tmp_path: Path) -> None:
    place = odd.path(odd.manifest.sdist)
    before = place.read_bytes()
    members = read_sdist(place)
    assert is_plain(members["setup.py"])
    try:
        place.write_bytes(write_sdist("tiny-1.2.0", members | {"setup.py": b"import os\n" + members["setup.py"]}))
        site = installed(odd, tmp_path)
    finally:
        place.write_bytes(before)
    assert [path.parent.name for path in site.rglob("INSTALLER")] == ["tiny-1.2.0.dist-info"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "setup(name='a'",
        "from setuptools import setup",
        "from setuptools import setup\nsetup('a')",
        "from setuptools import setup\nsetup(name=open('name').read())",
        "from setuptools import setup\nsetup(**{'name': 'a'})",
        "from setuptools import setup\nsetup(name='a', scripts=['run'])",
        "from setuptools import setup\nsetup(name='a', setup_requires=['b'])",
        "from distutils.core import setup\nsetup(name='a')",
        "from setuptools import setup, find_packages\nsetup(name='a')",
        "from setuptools import setup\nsetup(name='a')\nprint()",
        "\0",
    ],
)
def test_a_setup_that_may_do_more(text: str) -> None:
    assert not is_plain(text.encode())
