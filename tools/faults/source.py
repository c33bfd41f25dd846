"""Faults in the source: what it imports, how it is written, where it looks for things."""

from __future__ import annotations

from pathlib import Path

from faults.planting import Fault, Plant, declares, drops, edits, together, writes

CODE = "predictor.py"
IMPORTING, LOADING = ("CPR502",), ("CPR503",)
ALONE = ("CPR502", "CPR54[3-9]", "CPR8*")
NEWER = ("CPR402", "CPR403")
HEAD = "import json\n"
SCORE = "average = sum(row) / max(1, len(row))"
WORDS = 'os.path.join(model_dir, "vocabulary.txt")'


def imports(line: str) -> Plant:
    return edits(CODE, (HEAD, f"{line}\n{HEAD}"))


def loads(*lines: str) -> Plant:
    """More statements at the beginning of from_path."""
    start = '        with open(os.path.join(model_dir, "vocabulary.txt")'
    return edits(CODE, (start, "".join(f"        {line}\n" for line in lines) + start))


def scores(*lines: str) -> Plant:
    """More statements in the scoring of a text."""
    return edits(CODE, (SCORE, "\n        ".join([SCORE, *lines])))


def predicts(body: str, head: str = "def predict(self, instances, **kwargs):") -> Plant:
    """Another predict."""
    old = "def predict(self, instances, **kwargs):\n        return [self.score(text) for text in instances]"
    return edits(CODE, (old, f"{head}\n        " + body.replace("\n", "\n        ")))


def _nested(folder: Path) -> None:
    (folder / "lib").mkdir()
    (folder / "textual.py").rename(folder / "lib" / "textual.py")


FAULTS = (
    Fault("A module left behind", "texts", "textual.py", drops("textual.py"), IMPORTING, fast=True),
    Fault("A module not listed", "texts", "routine.yaml", declares("modules: [predictor]"), IMPORTING),
    Fault("A module moved into a folder", "texts", "lib/textual.py", _nested, IMPORTING),
    Fault("The class renamed", "texts", CODE, edits(CODE, ("class Scorer", "class Scoring")), ("CPR101",)),
    Fault("The predictor's module misspelt", "texts", "routine.yaml", declares("predictor: predictors.Scorer"), ("CPR101",)),
    Fault("from_path renamed", "texts", CODE, edits(CODE, ("def from_path", "def load")), ("CPR102",)),
    Fault("from_path without @classmethod", "texts", CODE, edits(CODE, ("    @classmethod\n", "")), ("CPR106",)),
    Fault("from_path returns nothing", "texts", CODE, edits(CODE, ("return cls({", "cls({")), LOADING),
    Fault("predict renamed", "texts", CODE, edits(CODE, ("def predict", "def infer")), ("CPR103",)),
    Fault("predict without **kwargs", "texts", CODE, edits(CODE, ("instances, **kwargs", "instances")), ("CPR105",), fast=True),
    Fault("predict with a third parameter", "texts", CODE, edits(CODE, ("instances, **kwargs", "instances, top=1, **kwargs")), ("CPR104",)),
    Fault("predict as a static method", "texts", CODE,
          edits(CODE, ("    def predict(self, ", "    @staticmethod\n    def predict(")), ("CPR104",)),
    Fault("predict behind a decorator that hides its parameters", "texts", CODE, together(
        imports("def timed(f):\n    return lambda *a, **k: f(*a, **k)\n\n"),
        edits(CODE, ("    def predict", "    @timed\n    def predict"))), ("CPR104",)),
    Fault("predict wants a keyword that nobody sends", "texts", CODE,
          edits(CODE, ("instances, **kwargs", "instances, *, threshold, **kwargs")), ("CPR504",)),
    Fault("predict refuses the keywords of the service", "texts", CODE,
          predicts("if kwargs:\n    raise TypeError('unknown keywords')\nreturn [self.score(text) for text in instances]"), ("CPR504",)),
    Fault("predict as a coroutine", "texts", CODE, edits(CODE, ("def predict", "async def predict")), ("CPR511",)),
    Fault("A bracket left open", "texts", CODE, edits(CODE, ("tokens(text)]", "tokens(text]")), ("CPR401",)),
    Fault("Python 2's print statement", "texts", CODE, scores("print 'average', average"), ("CPR401",)),
    Fault("An assignment expression (Python 3.8)", "texts", CODE,
          edits(CODE, (SCORE, "average = sum(row) / max(1, (size := len(row)))")), NEWER),
    Fault("A parameter before a slash (Python 3.8)", "texts", "textual.py", edits("textual.py", ("(text)", "(text, /)")), NEWER),
    Fault("An f-string with = (Python 3.8)", "texts", CODE, scores('label = f"{average=}"'), NEWER),
    Fault("A match statement (Python 3.10)", "texts", CODE, scores("match row:", "    case []:", "        average = 0.0"), NEWER),
    Fault("Contexts in parentheses (Python 3.10)", "texts", CODE,
          loads("with (open(os.devnull) as first, open(os.devnull) as second):", "    pass"), NEWER),
    Fault("list[int] in an annotation (Python 3.9)", "texts", "textual.py",
          edits("textual.py", ("(text)", "(text) -> list[str]")), NEWER),
    Fault("int | None in an annotation (Python 3.10)", "texts", "textual.py",
          edits("textual.py", ("(text)", "(text: str | None)")), NEWER),
    Fault("str.removeprefix (Python 3.9)", "texts", "textual.py", edits("textual.py", (".lower()", '.lower().removeprefix("#")')), NEWER),
    Fault("math.prod (Python 3.8)", "texts", CODE, together(imports("import math"), scores("whole = math.prod(row)")), NEWER),
    Fault("functools.cache (Python 3.9)", "texts", "textual.py",
          edits("textual.py", ("def tokens", "import functools\n\n\n@functools.cache\ndef tokens")), NEWER),
    Fault("zoneinfo (Python 3.9)", "texts", CODE, imports("import zoneinfo"), NEWER),
    Fault("tomllib (Python 3.11)", "texts", CODE, imports("import tomllib"), NEWER),
    Fault("Two dictionaries joined with | (Python 3.9)", "texts", CODE,
          edits(CODE, ('return {"score"', 'return {} | {"score"')), NEWER,
          why_missed="The source does not tell what stands on the two sides of a |; a run on the runtime's own Python does."),
    Fault("A module named as one of the standard library's", "texts", "statistics.py", together(
        writes("statistics.py", "def mean(row):\n    return sum(row) / max(1, len(row))\n"), imports("import statistics")), ("CPR107",)),
    Fault("A module named as a package of the runtime's", "texts", "numpy.py",
          together(writes("numpy.py", "zeros = list\n"), imports("import numpy")), ("CPR107",)),
    Fault("A package that is not there and not declared", "texts", CODE, imports("import shap"), IMPORTING),
    Fault("A package that is there and not declared", "texts", CODE, imports("import jsonschema"), ALONE),
    Fault("A package that the runtime brings and nobody declared", "texts", CODE, imports("import packaging"), ALONE,
          why_missed="A note (CPR546) tells it: it works on the runtime, and not in a container."),
    Fault("A package that is there and not declared, imported in predict", "texts", CODE, scores("import yaml"), ALONE),
    Fault("A declared package that is not there", "texts", "routine.yaml", declares("requirements: [shap]"), ("CPR542", "CPR8*")),
    Fault("Another version of a package declared than the one here", "texts", "routine.yaml",
          together(declares("requirements: ['packaging==20.9']"), imports("import packaging")), ("CPR542",)),
    Fault("A version that no Python 3.7 has a wheel of", "texts", "routine.yaml",
          together(declares("requirements: ['packaging>=24']"), imports("import packaging")), ("CPR8*",),
          why_missed="An index must be asked for it: `cpr validate --requirements` does, and this table does not."),
    Fault("A path of the machine that trained", "texts", CODE,
          edits(CODE, (WORDS, '"/home/anna/export/vocabulary.txt"')), LOADING),
    Fault("A path relative to the working directory", "texts", CODE, edits(CODE, (WORDS, '"model/vocabulary.txt"')), LOADING),
    Fault("A path below the home directory", "texts", CODE,
          edits(CODE, (WORDS, 'os.path.expanduser("~/vocabulary.txt")')), LOADING),
    Fault("An environment variable that only the author has", "texts", CODE, loads('os.environ["SCORER_HOME"]'), LOADING),
    Fault("An environment variable at import", "texts", CODE, edits(CODE, ("class Scorer", 'HOME = os.environ["SCORER_HOME"]\n\n\nclass Scorer')), IMPORTING),
    Fault("A program that servers do not have", "texts", CODE,
          together(imports("import subprocess"), loads('subprocess.run(["nvidia-smi"], check=True)')), LOADING),
    Fault("The version of a package asked for by name", "texts", CODE,
          together(imports("from importlib.metadata import version"), loads('version("texts-of-ours")')), (*LOADING, *NEWER)),
)  # fmt: skip
