"""Files that are changed for as long as somebody looks at them."""

import contextlib


@contextlib.contextmanager
def flipped(path, position, flip):
    """The file with some bits of one byte changed."""
    with open(path, "r+b", buffering=0) as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ flip]))
        yield
        file.seek(position)
        file.write(bytes([byte]))
