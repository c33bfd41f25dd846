"""The layers of the design: who may import whom, and where each heavy dependency is."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cpr

PACKAGE = Path(cpr.__file__).parent
VALUES = {"cpr.errors", "cpr.manifest", "cpr.report", "cpr.bundle"}
HEAVY = {
    "tensorflow": {  # loads models, adds to their graphs, explains and writes them, and makes them smaller
        "cpr.interface._tensorflow",
        "cpr.embedding._tensorflow",
        "cpr.explaining._tensorflow",
        "cpr.exporting._tensorflow",
        "cpr.shrinking._tensorflow",
    },
    "uvicorn": {"cpr.steps.serving"},
}


def modules() -> dict[str, ast.Module]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] in ("_deploy", "_samples", "_templates"):
            continue  # data: where cpr is installed for good, it lies inside the package
        name = ".".join(["cpr", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
        found[name] = ast.parse(path.read_bytes())
    return found


MODULES = modules()


def imports(tree: ast.Module) -> Iterator[str]:
    """Every module named in an import, ``from package import module`` spelt out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)


def layer(name: str) -> int:
    if name in VALUES or name.startswith("cpr.interface"):
        return 0
    if name in ("cpr", "cpr.cli") or name.startswith(("cpr.cli.", "cpr.__main__")):
        return 3
    return 2 if name.startswith("cpr.steps") else 1


@pytest.mark.parametrize("name", [name for name in MODULES if name != "cpr"])
def test_a_module_imports_only_from_its_layer_and_above(name: str) -> None:
    # `import cpr` itself is fine anywhere: it gives the version, and loads nothing else.
    inner = {other for other in imports(MODULES[name]) if other.startswith("cpr.")}
    for other in inner:
        assert layer(other) <= layer(name), f"{name} imports {other}"
        if name.startswith("cpr.steps."):
            assert not other.startswith("cpr.steps"), f"the step {name} imports the step {other}; only the cli joins steps"


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("cpr.interface")])
def test_what_travels_with_a_routine_imports_nothing_else_of_cpr(name: str) -> None:
    for other in imports(MODULES[name]):
        assert not other.startswith("cpr.") or other.startswith(("cpr.interface", "cpr.errors")), f"{name} imports {other}"


def test_credentials_are_found_beside_the_stores_that_ask_with_them() -> None:
    """google-auth and botocore, each where requests of its store are signed and where its errors are told."""
    for heavy, store in (("google", "cpr.storage.gs"), ("botocore", "cpr.storage.s3")):
        importers = {
            name
            for name, tree in MODULES.items()
            for other in imports(tree)
            if other.partition(".")[0] == heavy and not other.startswith("google.protobuf")  # which comes with TensorFlow
        }
        assert importers == {f"{store}_errors", f"{store}_sign"}, "google_crc32c is another package"


@pytest.mark.parametrize(("heavy", "homes"), HEAVY.items())
def test_a_heavy_dependency_is_imported_at_home_alone(heavy: str, homes: set[str]) -> None:
    importers = {
        name for name, tree in MODULES.items() for other in imports(tree) if other == heavy or other.startswith(heavy + ".")
    }
    assert importers == homes


def test_only_the_command_line_prints() -> None:
    printing = {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert {name for name in printing if not name.startswith("cpr.cli")} == set()


LOADED = """
import sys
{code}
heavy = {{'tensorflow', 'google', 'botocore', 'numpy', 'uvicorn', 'yaml'}}
print(*sorted({{name.partition('.')[0] for name in sys.modules}} & heavy))
"""


@pytest.mark.parametrize(
    "code",
    [
        "import cpr; cpr.__version__; dir(cpr)",
        "import cpr; cpr.Predictor",
        "import cpr.cli; cpr.cli.main(['--version'])",
        "import cpr.saved_model.reader",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", LOADED.format(code=code)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


def test_help_loads_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "cpr", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "argparse" in loaded, "the list is that of the imports"
    assert not loaded & {"tensorflow", "google", "botocore", "numpy", "yaml", "msgspec", "packaging", "setuptools"}


def test_every_step_can_be_used_from_python() -> None:
    for name in cpr.__all__:
        assert getattr(cpr, name) is not None
    assert set(cpr.__all__) >= set(cpr._HOMES)
    with pytest.raises(AttributeError, match="no attribute 'biuld'"):
        cpr.biuld  # noqa: B018
