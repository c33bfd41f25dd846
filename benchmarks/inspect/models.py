"""Makes the models that are inspected, with Keras 3: ``python models.py FOLDER``. Those that are there already stay."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def resnet50(path: Path) -> None:
    """2 MB of graph, 205 MB of variables: ``Model.export`` stores each of them twice."""
    import keras

    keras.applications.ResNet50(weights=None).export(path, verbose=False)


def embedding(path: Path) -> None:
    """450 MB of variables, stored twice."""
    import keras

    layers = [keras.layers.Input([16], dtype="int32"), keras.layers.Embedding(1_760_000, 64), keras.layers.Dense(8)]
    keras.Sequential(layers).export(path, verbose=False)


MODELS = {"resnet50": resnet50, "embedding": embedding}


def main(folder: Path) -> None:
    for name, make in MODELS.items():
        if not (folder / name / "saved_model.pb").is_file():
            make(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
