import json
import pathlib
from dataclasses import dataclass, field
from typing import Any, Dict, List


@dataclass(frozen=True)
class Linear:
    weights: List[float] = field(default_factory=list)
    bias: float = 0.0

    @classmethod
    def from_path(cls, model_dir: str) -> "Linear":
        return cls(**json.loads((pathlib.Path(model_dir) / "linear.json").read_text(encoding="utf-8")))

    def predict(self, instances: List[List[float]], **kwargs: Any) -> List[Dict[str, float]]:
        return [{"y": sum(w * x for w, x in zip(self.weights, row)) + self.bias} for row in instances]
