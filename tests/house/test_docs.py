"""The documentation says what the program does."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import cpr

import cpr as package
from cpr.cli import VERBS
from cpr.project import Routine


def generator(repository: Path):
    spec = importlib.util.spec_from_file_location("generate", repository / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_pages_are_fresh(repository: Path) -> None:
    for path, text in generator(repository).pages().items():
        assert (repository / "docs" / path).read_text() == text, "run: python docs/generate.py"


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("demo", "diagnose", "doctor", "inspect")])
def test_the_readme_shows_every_verb_of_the_main_job(repository: Path, verb: str) -> None:
    assert f"cpr {verb} " in (repository / "README.md").read_text()


def test_every_key_of_routine_yaml_is_explained(repository: Path) -> None:
    text = (repository / "docs" / "reference" / "routine-yaml.md").read_text()
    rows = "".join(line.split("|")[1] for line in text.splitlines() if line.startswith("|"))
    assert set(re.findall(r"`(\w+)`", rows)) == set(Routine.__slots__) - {"root"}


def test_the_python_of_the_readme_names_what_there_is(repository: Path) -> None:
    text = (repository / "README.md").read_text() + (repository / "docs" / "how-to.md").read_text()
    for name in re.findall(r"\bcpr\.(\w+)\(", text):
        assert name in package.__all__


def test_links_lead_somewhere(repository: Path) -> None:
    for page in [repository / "README.md", *(repository / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page}: {link}"


COMMANDS = re.compile(r"^(cpr [^#\n]+)", re.MULTILINE)


def test_the_commands_of_the_readme_run_as_they_stand(repository: Path, tmp_path: Path) -> None:
    """All but those of another terminal, of another machine, and of an installation."""
    section = (repository / "README.md").read_text().partition("## The same by hand")[2].partition("From Python:")[0]
    elsewhere = ("cpr serve", "cpr predict http", "cpr ship")
    commands = [line.strip() for line in COMMANDS.findall(section) if not line.startswith(elsewhere)]
    assert [command.split()[1] for command in commands] == ["new", "build", "validate", "upload", "deploy-config", "predict"]
    (tmp_path / "request.json").write_text('{"instances": [{"rooms": 4, "square_metres": 100}]}')
    for command in commands:
        ran = cpr(*command.split()[1:], cwd=tmp_path)
        assert ran.status == 0, f"{command}\n{ran.err}{ran.out}"


def test_the_class_of_the_readme_is_python(repository: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (repository / "README.md").read_text(), re.DOTALL)
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", "import ast, sys; ast.parse(sys.stdin.read())"], input=block, text=True)
        assert done.returncode == 0
