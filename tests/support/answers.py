"""Answer requests with prediction classes, and nothing but them.

A script, run by whichever Python a test is about (3.7 or newer). Reads from standard input
``{"path": [folders], "cases": [{"folder", "predictor", "model_dir", "requests"}]}``, puts ``path`` on the module search
path, and prints one JSON object: the versions it ran with, and for each case a list with, for each request, either
``{"predictions": …}`` or ``{"error": class name, "message": text}``. The service's own keyword arguments are passed along.
"""

import importlib
import json
import sys


def main():
    work = json.load(sys.stdin)
    sys.path[:0] = work["path"]
    answers = [case_answers(case) for case in work["cases"]]
    tensorflow = sys.modules.get("tensorflow")
    versions = {"python": list(sys.version_info[:2]), "tensorflow": tensorflow and tensorflow.__version__}
    json.dump({"versions": versions, "answers": answers}, sys.stdout)


def case_answers(case):
    """The routine's modules are forgotten afterwards: every routine has a ``predictor`` of its own."""
    before = set(sys.modules)
    sys.path.insert(0, case["folder"])
    try:
        module, _, name = case["predictor"].rpartition(".")
        predictor = getattr(importlib.import_module(module), name).from_path(case["model_dir"])
        return [answer(predictor, request) for request in case["requests"]]
    except Exception as error:
        return [failure(error) for _ in case["requests"]]
    finally:
        sys.path.remove(case["folder"])
        for name in set(sys.modules) - before:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(case["folder"]):
                del sys.modules[name]


def answer(predictor, request):
    arguments = dict({"stats": None, "signature_name": None}, **request)
    try:
        return {"predictions": predictor.predict(arguments.pop("instances"), **arguments)}
    except Exception as error:
        return failure(error)


def failure(error):
    return {"error": type(error).__name__, "message": str(error)}


if __name__ == "__main__":
    main()
