class Scaler:
    """It was pickled as ``steps.Scaler``, and travels."""

    def __init__(self, mean, scale):
        self.mean = mean
        self.scale = scale

    def transform(self, rows):
        return [(value - self.mean) / self.scale for value in rows]
