"""Write model/ and examples.jsonl. Run by hand: python make_model.py

The same export as exports/module, made fit for TensorFlow 2.9, too.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODEL = HERE / "model"
sys.path += [str(HERE / "export"), str(HERE.parent / "tools")]

from exporting import save  # noqa: E402
from module import AddTwo  # noqa: E402
from predictor import AddTwo as Predictor  # noqa: E402

REQUESTS = [
    {"instances": [1.0]},
    {"instances": [1.0, 2.0]},
    {"instances": [{"x": -2.0}, {"x": 0.5}]},  # by the name of the input
    {"instances": [0, -2, 40]},  # whole numbers
    {"instances": [1e10, -1e-10], "signature_name": "serving_default"},  # float32 keeps seven digits
    {"instances": [number / 4 for number in range(-20, 20)]},
]

save(AddTwo(), MODEL / "saved_model")
predictor = Predictor.from_path(str(MODEL))
with open(HERE / "examples.jsonl", "w", encoding="utf-8") as file:
    for request in REQUESTS:
        file.write(json.dumps({**request, "expect": {"predictions": predictor.predict(**request)}}) + "\n")
