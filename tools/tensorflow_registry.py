"""Asks the shared libraries of a TensorFlow which operations and kernels they register; needs Python 3.6 and nothing else.

    python tools/tensorflow_registry.py FOLDER

FOLDER is the unpacked package: tensorflow, or tensorflow_core in 1.15 to 2.1. To be run by the Python that the TensorFlow was
built for, as the libraries of most releases look for that Python's symbols. TensorFlow's own Python is not imported, so nothing
that it depends on is needed. The libraries are those that `import tensorflow` loads.

Prints one JSON object: "operations", the registered names, null where the release has no call that lists them; "kernels", for
each operation the device types that it has kernels for, or null.
"""

import ctypes
import json
import sys
from pathlib import Path

LIBRARIES = (
    "libtensorflow_framework.so*",
    "libtensorflow_cc.so*",
    "python/_pywrap_tensorflow_internal.so",
    "python/_pywrap_tensorflow.so",
    "core/kernels/*.so",
    "lite/experimental/microfrontend/python/ops/_audio_microfrontend_op.so",
)
# void tensorflow::XlaOpRegistry::RegisterCompilationKernels()
COMPILATION_KERNELS = "_ZN10tensorflow13XlaOpRegistry26RegisterCompilationKernelsEv"


class Buffer(ctypes.Structure):
    """TF_Buffer of TensorFlow's C interface."""

    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocator", ctypes.c_void_p)]


def main():
    libraries = load(sys.argv[1])
    print(json.dumps({"operations": operations(libraries), "kernels": kernels(libraries)}, sort_keys=True))


def load(folder):
    found = []
    for pattern in LIBRARIES:
        for path in sorted(Path(folder).glob(pattern)):
            found.append(ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL))
    if not found:
        sys.exit(f"There is no TensorFlow library in {folder}.")
    return found


def operations(libraries):
    call = function(libraries, "TF_GetAllOpList")
    if call is None:
        return None
    call.restype = ctypes.POINTER(Buffer)
    return sorted({text(dict(fields(definition))[1]) for _, definition in fields(content(call()))})


def kernels(libraries):
    call = function(libraries, "TF_GetAllRegisteredKernels")
    if call is None:
        return None
    compiler = function(libraries, COMPILATION_KERNELS)
    if compiler is not None:
        compiler()  # the kernels of XLA register themselves only once something is compiled
    status = function(libraries, "TF_NewStatus")
    status.restype = ctypes.c_void_p
    call.restype = ctypes.POINTER(Buffer)
    call.argtypes = [ctypes.c_void_p]
    devices = {}
    for _, kernel in fields(content(call(status()))):
        values = dict(fields(kernel))  # KernelDef: 1 is the operation, 2 the device type
        devices.setdefault(text(values[1]), set()).add(text(values[2]))
    return {name: sorted(types) for name, types in devices.items()}


def function(libraries, name):
    for library in libraries:
        try:
            return getattr(library, name)
        except AttributeError:
            continue
    return None


def content(pointer):
    return ctypes.string_at(pointer.contents.data, pointer.contents.length)


def text(value):
    return value.decode("utf-8")


def fields(message):
    """The number and the value of each field of a protobuf message; of a group of numbers or a message, its bytes."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(message, at)
        else:
            length = {1: 8, 5: 4}.get(kind)
            if length is None:
                length, at = varint(message, at)
            value, at = message[at : at + length], at + length
        yield key >> 3, value


def varint(message, at):
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


if __name__ == "__main__":
    main()
