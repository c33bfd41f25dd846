"""CPR1xx: the prediction class and the package that holds it.

What the rehearsal saw of the class counts; where the module could not be imported, its source says what it can.
"""

from __future__ import annotations

import ast
import difflib
import sys
from collections.abc import Iterator

from cpr.checks.registry import Family, Fault, Subject
from cpr.checks.source import tree_of
from cpr.isolation import Shape

FAMILY = Family()

_SIGNATURE = "def predict(self, instances, **kwargs):"
# Known to be on every runtime that runs routines; the full list was never found.
_PREINSTALLED = frozenset(
    ("google", "joblib", "numpy", "pandas", "pip", "scipy", "setuptools", "sklearn", "tensorflow", "xgboost")
)


def shape_of(subject: Subject) -> Shape | None:
    """The class as imported, else as far as its source tells it for certain; ``None`` where neither says."""
    if subject.run is not None and subject.run.shape is not None:
        return subject.run.shape
    node = _class_node(subject)
    return None if node is None else _static_shape(node)


def _class_node(subject: Subject) -> ast.ClassDef | None:
    """The class statement, where the class derives from nothing whose methods are out of sight."""
    reference = subject.bundle.manifest.predictor
    path = module_path(subject, reference.module)
    tree = None if path is None else tree_of(subject, path)
    if tree is None:
        return None
    found = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == reference.name]
    if len(found) != 1 or found[0].decorator_list or found[0].keywords:
        return None
    plain = all(isinstance(base, ast.Name) and base.id in ("object", "Predictor") for base in found[0].bases)
    return found[0] if plain else None


def _static_shape(node: ast.ClassDef) -> Shape:
    methods = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
    assigned = {name.id for item in node.body for name in ast.walk(item) if isinstance(name, ast.Name)}
    from_path, predict = methods.get("from_path"), methods.get("predict")
    plain = predict is not None and not predict.decorator_list
    spec = predict.args if plain and predict is not None else None
    return Shape(
        from_path=from_path is not None or "from_path" in assigned,
        bound=from_path is None or bool(from_path.decorator_list) or _takes_one(from_path.args),
        predict=predict is not None or "predict" in assigned,
        arguments=None if spec is None else len(spec.posonlyargs) + len(spec.args),
        keywords=None if spec is None else spec.kwarg is not None or _names_service_keys(spec),
        signature=None if predict is None else f"predict({ast.unparse(predict.args)})",
        bases=(),
    )


def _takes_one(spec: ast.arguments) -> bool:
    """A plain function of one argument is as good as a static method."""
    named = len(spec.posonlyargs) + len(spec.args)
    needless = all(default is not None for default in spec.kw_defaults)
    return needless and named - len(spec.defaults) <= 1 and (named >= 1 or spec.vararg is not None)


def _names_service_keys(spec: ast.arguments) -> bool:
    return {"stats", "signature_name"} <= {argument.arg for argument in spec.kwonlyargs}


def module_path(subject: Subject, module: str) -> str | None:
    """The member of the source distribution that a module is imported from."""
    base = module.replace(".", "/")
    return next((path for path in (f"{base}/__init__.py", f"{base}.py") if path in subject.sources), None)


def place(subject: Subject) -> str:
    """Where the class is: the file that defines it, with the line where the source tells, else its dotted name."""
    reference = subject.bundle.manifest.predictor
    path = module_path(subject, reference.module)
    if path is None:
        return str(reference)
    tree = tree_of(subject, path)
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.ClassDef) and node.name == reference.name:
            return f"{path}:{node.lineno}"
    return path


@FAMILY.check(
    "CPR101",
    "The prediction class is not in the package",
    cause="The module or the class that routine.yaml names under `predictor` does not exist in the source distribution.",
    remedy="Name it as module.Class under `predictor` in routine.yaml.",
    source="Google's prediction library in gcloud 528.0.0, custom_code_utils.py",
    prevents="{name} cannot be found. Please make sure (1) prediction_class is the fully qualified function name, and (2) it "
    "uses the correct package name as provided by the package_uris: {uris}",
)
def class_not_found(subject: Subject) -> Iterator[Fault]:
    if subject.run is None or subject.run.missing is None:
        return
    module, classes = subject.run.missing
    reference = subject.bundle.manifest.predictor
    if not module:
        yield Fault(str(reference), f"There is no module {reference.module!r} in the package.")
        return
    near = difflib.get_close_matches(reference.name, classes, n=1, cutoff=0.4)
    remedy = f"Write `predictor: {module}.{near[0]}` in routine.yaml." if near else None
    yield Fault(place(subject), f"The module {module!r} has no {str(reference)[len(module) + 1 :]!r}.", remedy)


@FAMILY.check(
    "CPR102",
    "The class has no from_path",
    cause="The service makes the predictor with Class.from_path(model_dir) and never calls __init__.",
    remedy="Add `@classmethod def from_path(cls, model_dir):` that returns the predictor.",
    source="Google's prediction library in gcloud 528.0.0, custom_code_utils.py",
    prevents="User provided model class {name} must implement the from_path method.",
)
def no_from_path(subject: Subject) -> Iterator[Fault]:
    shape = shape_of(subject)
    if shape is not None and not shape.from_path:
        yield Fault(place(subject), f"{subject.bundle.manifest.predictor} has no from_path method.")


@FAMILY.check(
    "CPR103",
    "The class has no predict",
    cause="The service calls predict for every request.",
    remedy=f"Add `{_SIGNATURE}`.",
    source="Google's prediction library in gcloud 528.0.0, custom_code_utils.py",
    prevents="The provided model class, {name}, is missing the required predict method.",
)
def no_predict(subject: Subject) -> Iterator[Fault]:
    shape = shape_of(subject)
    if shape is not None and not shape.predict:
        yield Fault(place(subject), f"{subject.bundle.manifest.predictor} has no predict method.")


@FAMILY.check(
    "CPR104",
    "predict does not take exactly two positional parameters",
    cause="The service refuses a class unless len(inspect.getfullargspec(predict).args) is 2. A default does not help, a "
    "static method counts one too few, and a decorator hides the parameters.",
    remedy=f"Write `{_SIGNATURE}`, without a decorator; put parameters of your own behind a `*`: "
    "`def predict(self, instances, *, top_k=1, **kwargs):`.",
    source="Google's prediction library in gcloud 528.0.0, custom_code_utils.py",
    prevents="The provided model class, {name}, has a predict method with an invalid signature.",
)
def wrong_signature(subject: Subject) -> Iterator[Fault]:
    shape = shape_of(subject)
    if shape is not None and shape.predict and shape.arguments is not None and shape.arguments != 2:
        message = f"predict has {shape.arguments} positional parameters, the service wants 2: {shape.signature}."
        yield Fault(place(subject), message)


@FAMILY.check(
    "CPR105",
    "predict takes no **kwargs",
    cause="The service calls predict(instances, stats=…, signature_name=…). The class is accepted without **kwargs, and then "
    "every request fails.",
    remedy=f"Write `{_SIGNATURE}`.",
    source="https://github.com/GoogleCloudPlatform/python-docs-samples/issues/2186",
    prevents="predict() got an unexpected keyword argument 'stats'",
)
def no_keywords(subject: Subject) -> Iterator[Fault]:
    shape = shape_of(subject)
    if shape is not None and shape.arguments == 2 and shape.keywords is False:
        yield Fault(place(subject), f"predict takes no **kwargs, so every request to the service fails: {shape.signature}.")


@FAMILY.check(
    "CPR106",
    "from_path is not a class method",
    cause="The service calls from_path on the class, with the model directory alone.",
    remedy="Put @classmethod above `def from_path(cls, model_dir):`.",
    source="Google's prediction library in gcloud 528.0.0, custom_code_utils.py",
)
def unbound_from_path(subject: Subject) -> Iterator[Fault]:
    shape = shape_of(subject)
    if shape is not None and shape.from_path and not shape.bound:
        yield Fault(place(subject), "from_path is a plain method; called on the class, the model directory becomes its self.")


@FAMILY.check(
    "CPR107",
    "A module hides one of Python's or of the runtime's",
    cause="The package is installed into one folder beside the runtime's own packages. Of two modules of one name only one can "
    "be imported: the routine's is not found, or what needs the other one breaks.",
    remedy="Rename the module, and the imports of it.",
    source="platform contract: packages are installed flat, with pip install --target",
)
def shadowing(subject: Subject) -> Iterator[Fault]:
    names = {path.partition("/")[0].removesuffix(".py"): path for path in subject.sources if path.endswith(".py")}
    for name, path in sorted(names.items()):
        if name in sys.stdlib_module_names or name in _REMOVED:
            yield Fault(path, f"The module {name!r} has the name of a module of the standard library.")
        elif name in _PREINSTALLED:
            yield Fault(path, f"The module {name!r} has the name of a package that the runtime has.")
        elif name == "cpr" and subject.bundle.manifest.tool.files:
            yield Fault(path, "The module 'cpr' has the name of the package that the routine imports; pip would leave one out.")


# In the standard library of the runtimes' Python 3.5 and 3.7, and no longer in that of 3.13.
_REMOVED = frozenset(
    """aifc asynchat asyncore audioop binhex cgi cgitb chunk crypt distutils dummy_threading formatter imghdr imp lib2to3
    macpath mailcap msilib nis nntplib ossaudiodev parser pipes smtpd sndhdr spwd sunau symbol telnetlib uu xdrlib""".split()  # noqa: SIM905
)
