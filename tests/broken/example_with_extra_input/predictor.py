import cpr


class Broken(cpr.SavedModelPredictor):
    pass
