"""What travels with a routine runs on Python 3.7, and brings no dependency."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cpr

PACKAGE = Path(cpr.__file__).parent
TRAVELLING = [PACKAGE / "__init__.py", PACKAGE / "errors.py", *sorted((PACKAGE / "interface").glob("*.py"))]
CHILD = PACKAGE / "exporting" / "estimator_child.py"  # does not travel, and runs where an Estimator was trained
REPOSITORY = Path(__file__).resolve().parents[2]
ROUTINES = sorted((REPOSITORY / "sample_models").iterdir()) + sorted((REPOSITORY / "templates").iterdir())
BY_HAND = ("train.py", "make_model.py")
SERVED = [path for folder in ROUTINES if folder.is_dir() for path in folder.glob("*.py") if path.name not in BY_HAND]


def vermin(paths):
    """What the minimum-version tool says: whether Python 3.7 is enough, and why not."""
    command = [
        sys.executable,
        "-c",
        "import vermin; vermin.main()",
        "--eval-annotations",
        "--violations",
        "-t=3.7-",
        *map(str, paths),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode == 0, done.stdout


def test_runs_on_python_3_7():
    for path in (*TRAVELLING, *SERVED, CHILD):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
    enough, why = vermin([*TRAVELLING, *SERVED, CHILD])
    assert enough, why


def test_the_check_finds_what_is_newer(tmp_path):
    path = tmp_path / "newer.py"
    path.write_text("import functools\n\n\n@functools.cache\ndef f():\n    pass\n")
    enough, why = vermin([*TRAVELLING, path])
    assert not enough
    assert "'functools.cache'" in why


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("path", sorted((PACKAGE / "interface").glob("*.py")), ids=lambda path: path.name)
def test_imports_nothing_but_its_own_part(path):
    allowed = {"tensorflow"} if path.name == "_tensorflow.py" else set()
    if path.name in ("_signature.py", "columns.py", "rows.py"):
        allowed = {"numpy"}
    for name in imported(path):
        top = name.partition(".")[0]
        assert top in sys.stdlib_module_names or top in allowed or name.startswith(("cpr.errors", "cpr.interface"))


def test_tensorflow_is_imported_by_one_module_of_each_part_that_needs_it():
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if not path.relative_to(PACKAGE).parts[0].startswith(("_samples", "_templates"))  # data, where it is installed for good
        and any((name or "").partition(".")[0] in ("tensorflow", "keras") for name in imported(path))
    }
    parts = ("embedding", "explaining", "exporting", "interface", "shrinking")
    assert users == {f"{part}/_tensorflow.py" for part in parts}


def test_importing_it_loads_neither_numpy_nor_tensorflow():
    use = "import sys, cpr; cpr.Predictor; cpr.SavedModelPredictor; cpr.decode_b64"
    code = use + "; print({'numpy', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "set()", done.stderr
