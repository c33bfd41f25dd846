"""Arrays in files and in JSON: ``.npy`` and ``.npz`` read without pickle, outputs written whole or not at all.

What a file says of its own size is checked against its real one before a byte of it is given memory.
"""

from __future__ import annotations

import errno
import math
import os
import secrets
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import numpy as np

from cpr.errors import CprError, OutputError, RequestError
from cpr.interface.b64 import encode_b64

_NPY_MARK, _ZIP_MARK = b"\x93NUMPY", b"PK"
_SAVE = "Write it with numpy.save or numpy.savez."


def read_array(path: Path, key: str | None = None) -> Any:
    """The array in a ``.npy`` file, or the one called ``key`` in a ``.npz``. The content decides which of the two it is.

    Without ``key`` a ``.npz`` must hold one array. ``RequestError`` for a file that is neither, is cut short, holds Python
    objects, or lacks the key; ``OSError`` where it cannot be opened.
    """
    if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would be waited for
        raise RequestError(f"{path} is no file, but a pipe or a device.", "Save the array to a file first.", str(path))
    with open(path, "rb") as stream:
        mark = stream.read(len(_NPY_MARK))
        stream.seek(0)
        if mark.startswith(_ZIP_MARK):
            return _from_npz(stream, path, key)
        if mark != _NPY_MARK:
            raise RequestError("This is neither a .npy nor a .npz file.", _SAVE, str(path))
        if key is not None:
            raise RequestError("This .npy file holds one array, without a name.", f"Leave out [{key}].", str(path))
        return _from_npy(stream, path.stat().st_size, str(path))


def array_names(path: Path) -> list[str] | None:
    """The names of the arrays in a ``.npz`` file; ``None`` for any other. ``RequestError`` where it is cut or altered."""
    with open(path, "rb") as stream:
        if not stream.read(len(_ZIP_MARK)).startswith(_ZIP_MARK):
            return None
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except Exception as error:  # as where a member is read
        raise _unreadable(error, str(path)) from None


def write_arrays(folder: Path, arrays: Mapping[str, Any], *, overwrite: bool = False) -> dict[str, Path]:
    """Write each array as ``folder/NAME.npy``, all or none; the paths by name.

    What a file name should not hold is percent-encoded in it, so that no two names meet. Strings become fixed-width bytes,
    bfloat16 becomes float32. ``OutputError`` where a file is there already (without ``overwrite``), cannot be written, or would
    not give back what was put in.
    """
    paths = {name: folder / f"{quote(name, safe='')}.npy" for name in arrays}
    plain = {name: _plain(name, array) for name, array in arrays.items()}
    taken = [path for path in paths.values() if not overwrite and os.path.lexists(path)]
    if taken:
        raise OutputError(f"{taken[0]} is there already.", "Name another folder, or take --overwrite.", str(taken[0]))
    beside = {name: path.with_name(f".{path.name}.new.{secrets.token_hex(4)}") for name, path in paths.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in beside.items():
            with open(path, "xb") as stream:
                np.save(stream, plain[name], allow_pickle=False)
        for name, path in beside.items():
            path.replace(paths[name])
    except OSError as error:
        remedy = "Free some space, or name a folder where you may write."
        if error.errno == errno.ENAMETOOLONG:
            remedy = "Take --json without --output-dir: it has every output, whatever its name."
        raise OutputError(f"The outputs cannot be written: {error.strerror or error}.", remedy, str(folder)) from None
    finally:
        for path in beside.values():
            with suppress(OSError):
                path.unlink()
    return paths


def listed(name: str, array: Any) -> Any:
    """An output as nested lists that strict JSON can hold.

    Bytes are text if all of them are UTF-8 and the name does not end in ``_bytes``, else ``{"b64": …}``. NaN and infinities are
    ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, as protobuf writes them in JSON; a complex number is ``[real, imaginary]``.
    """
    if array.dtype.kind == "O":
        texts = _texts(name, array)
        return texts.tolist()
    if array.dtype.kind == "V":  # bfloat16 and other types that NumPy itself does not know
        array = array.astype(np.float32)
    if array.dtype.kind == "c":
        array = np.stack([array.real, array.imag], axis=-1)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        spelt = array.astype(object)
        for index in np.argwhere(~np.isfinite(array)):
            value = float(array[tuple(index)])
            spelt[tuple(index)] = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return spelt.tolist()
    return array.tolist()


def dtype_name(array: Any) -> str:
    """The type as TensorFlow spells it: ``float32``, ``string``."""
    return "string" if array.dtype.kind == "O" else array.dtype.name


def _from_npz(stream: IO[bytes], path: Path, key: str | None) -> Any:
    try:
        with zipfile.ZipFile(stream) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            names = ", ".join(members) or "nothing"
            if key is None and len(members) != 1:
                raise RequestError(
                    f"It holds several arrays: {names}." if members else "It holds no array.",
                    f"Name one: @{path}[{next(iter(members), 'key')}].",
                    str(path),
                )
            chosen = next(iter(members)) if key is None else key
            if chosen not in members:
                raise RequestError(f"It holds no array {chosen!r}, but {names}.", "Name one of these in brackets.", str(path))
            with archive.open(members[chosen]) as member:
                return _from_npy(member, members[chosen].file_size, f"{path}[{chosen}]")
    except CprError:
        raise
    except Exception as error:  # zipfile raises what it likes: BadZipFile, RuntimeError, NotImplementedError, zlib.error
        raise _unreadable(error, str(path)) from None


def _from_npy(stream: IO[bytes], size: int, where: str) -> Any:
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise RequestError("It holds records, not plain numbers or text.", "Save the one column that is meant.", where)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(stream)
        if dtype.hasobject:
            raise RequestError(
                "It holds Python objects (pickle), which are not read.",
                "Save numbers, or text as numpy.save(file, array.astype(str)).",
                where,
            )
        there, needed = size - stream.tell(), dtype.itemsize * math.prod(shape)
        if min(shape, default=0) < 0 or there != needed:
            raise RequestError(f"Its header says {needed} bytes of values, and there are {there}.", _SAVE, where)
        stream.seek(0)
        return np.lib.format.read_array(stream, allow_pickle=False)
    except CprError:
        raise
    except Exception as error:  # a damaged header makes NumPy raise nearly anything
        raise _unreadable(error, where) from None


def _unreadable(error: Exception, where: str) -> RequestError:
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return RequestError(f"It cannot be read: {text}.", _SAVE, where)


def _plain(name: str, array: Any) -> Any:
    if array.dtype.kind == "V":
        return array.astype(np.float32)
    if array.dtype.kind != "O":
        return array
    if any(value.endswith(b"\0") for value in array.ravel().tolist()):
        raise OutputError(
            f"The output {name!r} holds bytes that end in zero, which a .npy file of bytes drops.",
            "Take --json without --output-dir: it has them as base64.",
            name,
        )
    return array.astype(np.bytes_)


def _texts(name: str, array: Any) -> Any:
    values = array.ravel().tolist()
    texts = np.empty(len(values), object)
    try:
        texts[:] = [encode_b64(value) if name.endswith("_bytes") else value.decode() for value in values]
    except UnicodeDecodeError:
        texts[:] = [encode_b64(value) for value in values]
    return texts.reshape(array.shape)
