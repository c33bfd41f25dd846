"""Makes the tables in deploy/tensorflow from wheels of TensorFlow and of the libraries of custom operations.

    python tools/tensorflow_operations.py fetch RECORDS [--run]     download each wheel of wheels.txt, read it, delete it
    python tools/tensorflow_operations.py read RECORDS WHEEL ...    read wheels that are at hand
    python tools/tensorflow_operations.py write RECORDS FOLDER      make the tables out of what was read

A wheel is read as the ZIP file that it is: nothing in it is imported or run. RECORDS keeps one small JSON file for each wheel,
so that a second run downloads only what is new. With --run, each TensorFlow's libraries are also asked which operations and
kernels they register, by tensorflow_registry.py and the Python that the wheel is for, where that is on the PATH.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

# The functions that get an operation's name as their first argument in the generated wrappers: of graphs at first, of graphs
# later, and of eager execution.
CALLS = ("apply_op", "_apply_op_helper", "execute")
GENERATED = b"MACHINE GENERATED"
CONTRIB = "contrib"

CORE = re.compile(r"_pywrap_tensorflow(_internal)?\.so$")
VERSION_HEADER = re.compile(r"tensorflow(_core)?/include/tensorflow/core/public/version\.h$")
GRAPH_DEF = ("TF_GRAPH_DEF_VERSION", "TF_GRAPH_DEF_VERSION_MIN_CONSUMER", "TF_GRAPH_DEF_VERSION_MIN_PRODUCER")

LOADERS = re.compile(r"_?(load_op_library|load_library|load_module)|LazySO|LazyLoader")
GRADIENT = re.compile(r"(RegisterGradient|NotDifferentiable|NoGradient)$")
LIBRARY = re.compile(r"\.so(\.[\d.]+)?$")
TEXT = re.compile(rb"(?<=\0)[A-Z][A-Za-z0-9]*(?:>[A-Z][A-Za-z0-9]*)?(?=\0)")  # a C string that may be the name of an operation

PLATFORMS = (
    "manylinux_2_28",
    "manylinux_2_27",
    "manylinux_2_17",
    "manylinux2014",
    "manylinux_2_12",
    "manylinux2010",
    "manylinux1",
)

Record = dict[str, Any]


class Refused(Exception):
    """What cannot be read; its text says what and where."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("fetch", "read", "write"):
        options = verbs.add_parser(verb)
        options.add_argument("records", type=Path)
        if verb == "fetch":
            options.add_argument("--run", action="store_true")
        elif verb == "read":
            options.add_argument("wheels", type=Path, nargs="+")
        else:
            options.add_argument("folder", type=Path)
    given = parser.parse_args(arguments)
    try:
        if given.verb == "fetch":
            fetch(given.records, wanted(HERE / "wheels.txt"), given.run)
        elif given.verb == "read":
            for wheel in given.wheels:
                keep(given.records, read(wheel))
        else:
            write(load(given.records), given.folder)
    except Refused as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


# -- reading one wheel


def read(path: Path) -> Record:
    """What a wheel says: its name, version and SHA-256, the operations that its generated wrappers name, by file, the versions
    of its graphs, and the operations of the libraries that have no such wrappers."""
    try:
        with zipfile.ZipFile(path) as wheel:
            names = wheel.namelist()
            package, version = identity(path, wheel, names)
            sources = {name: wheel.read(name) for name in names if name.endswith(".py") and "/include/" not in name}
            record: Record = {
                "package": package,
                "version": version,
                "wheel": path.name,
                "sha256": digest(path),
                "read": datetime.date.today().isoformat(),
                "graph_def": graph_def(wheel, names),
                "wrappers": {plain(name): sorted(found) for name, found in wrappers(sources).items()},
                "called": called(wheel, names, sources),
            }
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, UnicodeDecodeError, OSError) as problem:
        raise Refused(f"{path} cannot be read as a wheel: {problem}") from problem
    return record


def identity(path: Path, wheel: zipfile.ZipFile, names: Iterable[str]) -> tuple[str, str]:
    metadata = next((name for name in names if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)), None)
    if metadata is None:
        raise Refused(f"{path} is not a wheel: it has no METADATA")
    fields = dict(re.findall(r"^(Name|Version): *(.+?)\s*$", wheel.read(metadata).decode("utf-8"), re.MULTILINE))
    if set(fields) != {"Name", "Version"}:
        raise Refused(f"{path}: {metadata} names no package or no version")
    return re.sub(r"[-_.]+", "-", fields["Name"]).lower(), fields["Version"]


def digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def plain(name: str) -> str:
    """A file's path as it is when installed."""
    return re.sub(r"^[^/]+\.data/(purelib|platlib)/", "", name)


def graph_def(wheel: zipfile.ZipFile, names: Iterable[str]) -> list[int] | None:
    """The version that a graph made by this release has, and the lowest consumer and producer that go with it."""
    for name in names:
        if VERSION_HEADER.search(name):
            header = wheel.read(name).decode("utf-8")
            found = dict(re.findall(r"^#define (TF_GRAPH_DEF_\w+) (\d+)", header, re.MULTILINE))
            if not set(GRAPH_DEF) <= set(found):
                raise Refused(f"{name} lacks {', '.join(sorted(set(GRAPH_DEF) - set(found)))}")
            return [int(found[key]) for key in GRAPH_DEF]
    return None


def wrappers(sources: dict[str, bytes]) -> dict[str, set[str]]:
    """The operations that each generated file calls by name."""
    found = {name: operations(parsed(name, source)) for name, source in sources.items() if GENERATED in source[:300]}
    return {name: operations for name, operations in found.items() if operations}


def parsed(name: str, source: bytes) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in docstrings, which were in order in their day
            return ast.parse(source)
    except (SyntaxError, ValueError) as problem:
        raise Refused(f"{name} is not Python that can be parsed: {problem}") from problem


def operations(module: ast.Module) -> set[str]:
    found = set()
    for call in ast.walk(module):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in CALLS and call.args:
            first = call.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str | bytes):
                found.add(first.value.decode() if isinstance(first.value, bytes) else first.value)
    return found


# -- the libraries that wrap their operations only when they are loaded


def called(wheel: zipfile.ZipFile, names: Iterable[str], sources: dict[str, bytes]) -> list[str]:
    """The operations whose names lie in a shared library and that the package's Python calls through what it loaded.

    Loading a library makes a function for each operation, ``Addons>Gelu`` becoming ``addons_gelu``. So a name in the library's
    text is one of an operation where the Python asks the loaded library for that function, or registers a gradient for that
    name. Names of one word are left out: ``data`` and ``Data`` would meet by chance.
    """
    sources = {name: source for name, source in sources.items() if not own(name)}
    if not any(b"load_op_library" in source for source in sources.values()):
        return []
    candidates = {
        name: parsed_or_none(source) for name, source in sources.items() if LOADERS.search(source.decode("utf-8", "replace"))
    }
    loaders = {name: module for name, module in candidates.items() if any(map(loads, ast.walk(module)))}
    packages = {plain(name).split("/")[0] for name in loaders}
    handles = {Path(name).stem for name in loaders} | {handle for module in loaders.values() for handle in loaded(module)}
    handles |= {Path(name).stem for name, source in sources.items() if passed_on(source, handles)}
    functions: set[str] = set()
    gradients: set[str] = set()
    for name, source in sources.items():
        if plain(name).split("/")[0] in packages:
            module = loaders.get(name) or parsed_or_none(source)
            functions |= set(asked(module, handles - {"__init__", "ops"}))
            gradients |= set(registered_gradients(module))
    found = set()
    for name in names:
        if LIBRARY.search(name) and not own(name):
            texts = {text.decode() for text in TEXT.findall(wheel.read(name))}
            texts = {text for text in texts if "_" in function_name(text)}
            sure = {text for text in texts if {text, function_name(text)} & functions or text in gradients}
            namespaces = {text.partition(">")[0] for text in sure if ">" in text}
            found |= sure | {text for text in texts if ">" in text and text.partition(">")[0] in namespaces}
    return sorted(found)


def own(name: str) -> bool:
    """Whether a file is of TensorFlow without its contrib library: all operations of that have wrappers in files, or none."""
    return re.match(r"tensorflow(_core)?/", plain(name)) is not None and f"/{CONTRIB}/" not in name


def parsed_or_none(source: bytes) -> ast.Module:
    try:
        return parsed("", source)
    except Refused:
        return ast.Module([], [])


def loads(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and LOADERS.fullmatch(ast.unparse(node.func).rpartition(".")[2]) is not None


def loaded(module: ast.Module) -> Iterator[str]:
    """The variables that hold a loaded library."""
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and any(map(loads, ast.walk(node.value))):
            for target in node.targets:
                yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))


def passed_on(source: bytes, handles: set[str]) -> bool:
    """Whether a file gives everything on that a module which loads a library has."""
    modules = re.findall(rb"^from ([\w.]+) import \*", source, re.MULTILINE)
    return any(module.decode().rpartition(".")[2] in handles for module in modules)


def asked(module: ast.Module, handles: set[str]) -> Iterator[str]:
    """The functions that a file takes from a loaded library, or from the module that loads it."""
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and is_handle(node.value, handles):
            yield node.attr
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.rpartition(".")[2] in handles:
            yield from (alias.name for alias in node.names)


def is_handle(node: ast.expr, handles: set[str]) -> bool:
    if isinstance(node, ast.Call):
        return loads(node)
    if isinstance(node, ast.Attribute):
        return node.attr in handles or (node.attr == "ops" and is_handle(node.value, handles))
    return isinstance(node, ast.Name) and (node.id in handles or node.id.startswith("gen_"))


def registered_gradients(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and GRADIENT.search(ast.unparse(node.func)):
            yield from (
                first.value for first in node.args[:1] if isinstance(first, ast.Constant) and isinstance(first.value, str)
            )


def function_name(operation: str) -> str:
    """The name of the Python function that loading a library makes for an operation, by the rule of python_op_gen.cc."""
    spelled = ""
    for at, letter in enumerate(operation):
        if letter == ">":
            spelled += "_"
            continue
        before, after = operation[at - 1 : at], operation[at + 1 : at + 2]
        if letter.isupper() and before and before != ">" and (before.islower() or after.islower()):
            spelled += "_"
        spelled += letter.lower()
    return spelled


# -- downloading


def wanted(path: Path) -> list[tuple[str, str, str]]:
    """The lines of wheels.txt: package, version, and the Python whose wheel is taken."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.partition("#")[0].split()
        if words and len(words) != 3:
            raise Refused(f"{path}, line {number}: a package, a version and a Python are needed, not {line!r}")
        if words:
            found.append((words[0], words[1], words[2]))
    return found


def fetch(records: Path, wheels: list[tuple[str, str, str]], run: bool) -> None:
    """One wheel at a time, for a release of TensorFlow alone has up to 600 MB."""
    missing = []
    for package, version, python in wheels:
        if (records / f"{package}-{version}.json").exists():
            continue
        with tempfile.TemporaryDirectory(dir=records.parent) as folder:
            platforms = [f"--platform={platform}_x86_64" for platform in PLATFORMS]
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--only-binary=:all:"]
            command += [*platforms, "--platform=any", "--implementation=cp", f"--python-version={python}", f"--dest={folder}"]
            if subprocess.run([*command, f"{package}=={version}"]).returncode:
                missing.append(f"{package} {version} for Python {python}")
                continue
            (wheel,) = Path(folder).glob("*.whl")
            record = read(wheel)
            if run and package == "tensorflow":
                record["registry"] = registry(wheel, python, Path(folder))
            keep(records, record)
            print(f"{wheel.name}: {summary(record)}", flush=True)
    if missing:
        raise Refused(f"pip could not download {'; '.join(missing)}")


def registry(wheel: Path, python: str, folder: Path) -> dict[str, Any] | None:
    """What the release's own libraries say, or ``None`` where there is no such Python here or they cannot be loaded by it."""
    interpreter = shutil.which(f"python{python}")
    if interpreter is None:
        return None
    with zipfile.ZipFile(wheel) as archive:
        libraries = [name for name in archive.namelist() if LIBRARY.search(name) and plain(name).startswith("tensorflow")]
        for name in libraries:
            if f"/{CONTRIB}/" not in name:
                archive.extract(name, folder)
    root = next(path for path in folder.glob("**/python/_pywrap_tensorflow*.so") if CORE.search(path.name)).parent.parent
    done = subprocess.run([interpreter, str(HERE / "tensorflow_registry.py"), str(root)], capture_output=True, text=True)
    if done.returncode:
        print(f"{wheel.name}: its libraries cannot be asked: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def keep(records: Path, record: Record) -> None:
    records.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=1, sort_keys=True)
    (records / f"{record['package']}-{record['version']}.json").write_text(text, encoding="utf-8")


def summary(record: Record) -> str:
    counts = f"{len(wrapped(record))} operations in wrappers, {len(record['called'])} of loaded libraries"
    asked = record.get("registry")
    return counts + (f", {len(asked['operations'] or ())} registered" if asked else "")


def wrapped(record: Record, contrib: bool = True) -> set[str]:
    files = record["wrappers"].items()
    return {name for path, names in files if contrib or CONTRIB not in path.split("/") for name in names}


# -- the tables


def load(records: Path) -> list[Record]:
    found = []
    for path in sorted(records.glob("*.json")):
        try:
            found.append(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as problem:
            raise Refused(f"{path} is not a record: {problem}") from problem
    if not any(record["package"] == "tensorflow" for record in found):
        raise Refused(f"{records} has no record of a release of TensorFlow")
    return found


def write(records: list[Record], folder: Path) -> None:
    releases = sorted((record for record in records if record["package"] == "tensorflow"), key=version)
    names = [release(record) for record in releases]
    if len(set(names)) < len(names):
        raise Refused(f"there are two records of one release among {', '.join(names)}")
    core = [{name for name in wrapped(record, contrib=False) if public(name)} for record in releases]
    registered = [registered_in(record) for record in releases]
    known = [wrappers | (asked or set()) for wrappers, asked in zip(core, registered, strict=True)]
    tables = {
        "operations.txt": [*comment(OPERATIONS), *map(release_line, releases), *rows(names, core)],
        "unwrapped.txt": [*comment(UNWRAPPED), *asked_line(names, registered), *rows(names, unwrapped(core, registered))],
        "kernels.txt": [*comment(KERNELS), *kernel_lines(names, releases, known)],
        "libraries.txt": [*comment(LIBRARIES), *library_lines(records, releases, set().union(*known))],
    }
    for file, lines in tables.items():
        count = sum(line[0] != "#" and line.partition(" ")[0] not in HEADINGS for line in lines)
        (folder / file).write_text("\n".join([*lines, f"end {count}", ""]), encoding="utf-8")
        print(f"{folder / file}: {count} lines")


HEADINGS = ("release", "asked", "wheel")
OPERATIONS = """The operations of each release of TensorFlow, from the oldest that can be had; `2.10-` is 2.10 and every later
one. Source: the generated Python wrappers in the wheels below, read without running them; tensorflow/contrib is left out. Of a
release: the version of the graphs that it makes, the lowest consumer and producer for them, the day it was read, the wheel and
its SHA-256."""
UNWRAPPED = """Operations that a release of TensorFlow has although no generated wrapper in its wheel names them, or only one in
tensorflow/contrib. Names that begin with _ are left out. Source: the registered operations that the libraries in the wheels of
operations.txt list when they are run, asked on the day that each was read; releases before the first below cannot be asked."""
KERNELS = """Operations, and the releases of TensorFlow that have them without a kernel for the CPU, for any device, or for XLA
on the CPU. Source: the kernels that the libraries in the wheels of operations.txt list when they are run, asked on the day that
each was read; releases before the first below cannot be asked. Left out: AccumulateNV2, which TensorFlow replaces before it
looks for a kernel, as running it shows."""
LIBRARIES = """Custom operations, the package whose libraries have them, and the versions of it that were seen to. Of
tensorflow.contrib the versions are TensorFlow's. Source: the wheels below and those of operations.txt, read without running
them: the generated wrappers, and the names in shared libraries that the package's own Python calls."""
MADE = "Made by tools/tensorflow_operations.py."


def comment(text: str) -> list[str]:
    return textwrap.wrap(" ".join(f"{text} {MADE}".split()), 128, initial_indent="# ", subsequent_indent="# ")


REPLACED = ("AccumulateNV2",)
CPU = {"CPU", "DEFAULT", "XLA_CPU_JIT"}


def version(record: Record) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", record["version"]))


def release(record: Record) -> str:
    return ".".join(map(str, version(record)[:2]))


def release_line(record: Record) -> str:
    if record["graph_def"] is None:
        raise Refused(f"{record['wheel']} does not tell the version of its graphs")
    graph = " ".join(map(str, record["graph_def"]))
    return f"release {release(record)} {graph} {record['read']} {record['wheel']} {record['sha256']}"


def public(name: str) -> bool:
    return not name.startswith("_")


def registered_in(record: Record) -> set[str] | None:
    asked = (record.get("registry") or {}).get("operations")
    return None if asked is None else {name for name in asked if public(name)}


def unwrapped(core: list[set[str]], registered: list[set[str] | None]) -> list[set[str]]:
    return [(asked or set()) - wrappers for wrappers, asked in zip(core, registered, strict=True)]


def asked_line(names: list[str], answers: list[Any]) -> list[str]:
    if not any(answers):
        raise Refused("no record tells what the libraries of a release register: fetch with --run")
    return ["asked " + spans(names, [answer is not None for answer in answers])]


def rows(names: list[str], has: list[set[str]]) -> list[str]:
    """A line an operation, in order of name, with the releases whose set has it."""
    every = sorted(set().union(*has))
    return [f"{operation} {spans(names, [operation in some for some in has])}" for operation in every]


def spans(names: list[str], present: list[bool]) -> str:
    """``2.1-2.3,2.6-``: the runs of neighbouring releases; one that reaches the newest has no end."""
    found: list[str] = []
    start: int | None = None
    for at, here in enumerate([*present, False]):
        if here and start is None:
            start = at
        elif not here and start is not None:
            last = "" if at == len(names) else names[at - 1]
            found.append(names[start] if last == names[start] else f"{names[start]}-{last}")
            start = None
    return ",".join(found)


def kernel_lines(names: list[str], releases: list[Record], known: list[set[str]]) -> list[str]:
    kernels = [(record.get("registry") or {}).get("kernels") for record in releases]
    registered = [registered_in(record) or set() for record in releases]
    lacking = [
        set() if found is None else {name for name in has - set(REPLACED) if not CPU & set(found.get(name, ()))}
        for found, has in zip(kernels, registered, strict=True)
    ]
    return [*asked_line(names, kernels), *rows(names, lacking)]


def library_lines(records: list[Record], releases: list[Record], core: set[str]) -> list[str]:
    """Of each operation that no release of TensorFlow has itself a line: its packages, each with its versions."""
    found: dict[str, dict[str, list[Record]]] = {}
    others = sorted(
        (record for record in records if record["package"] != "tensorflow"), key=lambda it: (it["package"], version(it))
    )
    homes = {name: home for record in releases for name, home in contrib_homes(record).items()}
    for record in releases:
        for name in {*contrib_homes(record), *record["called"]} - core:
            found.setdefault(name, {}).setdefault(homes.get(name, "tensorflow.contrib"), []).append(record)
    for record in others:
        for name in {*wrapped(record), *record["called"]} - core:
            if public(name):
                found.setdefault(name, {}).setdefault(record["package"], []).append(record)
    wheels = [f"wheel {it['package']} {it['version']} {it['read']} {it['wheel']} {it['sha256']}" for it in others]
    told = {
        name: " ".join(f"{home} {seen(versions)}" for home, versions in packages.items()) for name, packages in found.items()
    }
    return [*wheels, *(f"{name} {packages}" for name, packages in sorted(told.items()))]


def contrib_homes(record: Record) -> dict[str, str]:
    """The operations of the contrib library, with the module of it that they belong to."""
    found = {}
    for path, names in record["wrappers"].items():
        parts = path.split("/")
        if CONTRIB in parts:
            found.update(dict.fromkeys(names, f"tensorflow.{CONTRIB}.{parts[parts.index(CONTRIB) + 1]}"))
    return found


def seen(records: list[Record]) -> str:
    versions = [release(record) if record["package"] == "tensorflow" else record["version"] for record in records]
    return versions[0] if len(versions) == 1 else f"{versions[0]}-{versions[-1]}"


if __name__ == "__main__":
    sys.exit(main())
