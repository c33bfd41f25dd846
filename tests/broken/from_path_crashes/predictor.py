import os
import signal


class Broken:
    @classmethod
    def from_path(cls, model_dir):
        os.kill(os.getpid(), signal.SIGSEGV)

    def predict(self, instances, **kwargs):
        return instances
