import socket


class Broken:
    @classmethod
    def from_path(cls, model_dir):
        socket.create_connection(("models.example.com", 443), timeout=5).close()
        return cls()

    def predict(self, instances, **kwargs):
        return instances
