import zoneinfo


class Broken:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return [str(zoneinfo.ZoneInfo) for _ in instances]
