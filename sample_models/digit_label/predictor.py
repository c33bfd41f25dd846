"""Serve the digit_label model: everything is in its graph."""

import cpr


class DigitLabelPredictor(cpr.SavedModelPredictor):
    """An instance is ``{"b64": "<picture>"}`` or the base64 text alone, a prediction the digit's name: ``"seven"``."""
