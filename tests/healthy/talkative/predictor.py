import logging
import sys
import warnings

LOG = logging.getLogger(__name__)
logging.basicConfig(level=logging.INFO)


class Talkative:
    @classmethod
    def from_path(cls, model_dir):
        print("loading", model_dir)
        warnings.warn("this is old", DeprecationWarning)
        return cls()

    def predict(self, instances, **kwargs):
        LOG.info("%d instances", len(instances))
        print("\N{SNOWMAN}", "\x1b[31mred", file=sys.stderr)
        return [len(text) for text in instances]
