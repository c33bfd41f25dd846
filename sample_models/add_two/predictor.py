"""Serve the model as it is: a number in, the number plus two out."""

import cpr


class AddTwo(cpr.SavedModelPredictor):
    """Nothing before the model and nothing after it: the base class finds, loads and runs the SavedModel."""
