"""cpr's own packages that travel: the author's part inside every bundle that imports cpr, the whole tool inside an image.

Both are made from the files this process runs from, so that what was tried here is what runs there; neither is on any index
that can be counted on.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING

import cpr
from cpr.archive import write_sdist
from cpr.errors import BuildError

if TYPE_CHECKING:
    from importlib.abc import Traversable  # its home on Python 3.10, too

DISTRIBUTION = "cpr-kit"
_STEM = "cpr_kit"
_DATA = ("_deploy", "_samples", "_templates")
"""Packages of data: inside the package once installed, beside it in a source folder. An image needs no samples."""
_AUTHOR_PART = ("__init__.py", "errors.py")
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can hold

_AUTHOR_SETUP = """\
from setuptools import setup

setup(
    name="cpr-kit",
    version={version!r},
    description="The part of cpr that a prediction routine imports",
    packages=["cpr", "cpr.interface"],
    python_requires=">=3.7",
)
"""


def author_sdist() -> tuple[str, bytes]:
    """File name and content of the sdist that a routine's own ``import cpr`` needs: Python 3.7, no dependency.

    It has the distribution name of the whole tool, so that the two can never be installed side by side.
    """
    package = resources.files("cpr")
    members = {f"cpr/{name}": package.joinpath(name).read_bytes() for name in _AUTHOR_PART}
    members |= {f"cpr/interface/{name}": content for name, content in _tree(package.joinpath("interface"))}
    members["setup.py"] = _AUTHOR_SETUP.format(version=cpr.__version__).encode()
    members["PKG-INFO"] = f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: {cpr.__version__}\n".encode()
    top = f"{_STEM}-{cpr.__version__}"
    return f"{top}.tar.gz", write_sdist(top, members)


def wheel() -> tuple[str, bytes]:
    """File name and content of the tool's own wheel, rebuilt from its installed files, editable or not."""
    from importlib import metadata  # a build, which needs only the author's part, need not wait for it

    try:
        installed = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        raise BuildError(
            f"{DISTRIBUTION} is not installed here, only importable, so its wheel cannot be made.",
            f"Install it: pip install {DISTRIBUTION}, or pip install -e . in its source folder.",
        ) from None
    info = f"{_STEM}-{installed.version}.dist-info"
    files = {f"cpr/{name}": content for name, content in _tree(resources.files("cpr"))}
    for data in ("_deploy", "_templates"):
        files |= {f"cpr/{data}/{name}": content for name, content in _tree(resources.files(f"cpr.{data}"))}
    files[f"{info}/METADATA"] = (installed.read_text("METADATA") or "").encode()
    files[f"{info}/entry_points.txt"] = (installed.read_text("entry_points.txt") or "").encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: cpr\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    return f"{_STEM}-{installed.version}-py3-none-any.whl", _wheel_bytes(files, f"{info}/RECORD")


def _tree(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = prefix + entry.name
        if entry.is_dir():
            if entry.name != "__pycache__" and name not in _DATA:
                yield from _tree(entry, name + "/")
        elif not entry.name.endswith((".pyc", ".pyo")):
            yield name, entry.read_bytes()


def _wheel_bytes(files: dict[str, bytes], record: str) -> bytes:
    import zipfile

    rows = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in sorted(files.items())]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in [*sorted(files.items()), (record, "\n".join([*rows, f"{record},,", ""]).encode())]:
            member = zipfile.ZipInfo(name, _ZIP_TIME)
            member.external_attr = 0o100644 << 16
            archive.writestr(member, content)
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
