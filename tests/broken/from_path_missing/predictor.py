class Broken:
    def predict(self, instances, **kwargs):
        return instances
