"""What the author of a routine imports, and nothing else.

``Predictor`` is the contract, ``SavedModelPredictor`` a complete predictor around a SavedModel, ``decode_b64``
reads binary values. Runs on Python 3.7 with no dependency of its own: NumPy and TensorFlow are imported when a
``SavedModelPredictor`` loads its model.
"""

from cpr.interface.b64 import decode_b64
from cpr.interface.predictor import Predictor
from cpr.interface.saved_model import SavedModelPredictor

__all__ = ["Predictor", "SavedModelPredictor", "decode_b64"]
