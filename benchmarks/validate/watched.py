"""Imports TensorFlow as the child of a rehearsal does: by the finders that hide modules and count what each package costs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cpr

PLACE = Path(cpr.__file__).parent / "isolation" / "probe_imports.py"


def main() -> None:
    spec = importlib.util.spec_from_file_location("probe_imports", PLACE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    job = {
        "hidden": {"hidden_here": "hidden-here"},
        "packages": ["tensorflow", "keras", "numpy"],
        "distributions": ["hidden-here"],
    }
    sight = module.Sight(job, "/nowhere", lambda *event, **fields: None)
    sight.folders = ("/",)  # everything else that is installed may be seen
    sight.install()
    import tensorflow  # noqa: F401

    assert sight.costs.by_package["tensorflow"][0] > 0.1


if __name__ == "__main__":
    main()
