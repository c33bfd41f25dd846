"""The script that makes the tables: on small wheels of every generation of wrappers, and on the installed TensorFlow."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest
from support.old_tensorflow import python_with

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
HEADER = """
#define TF_GRAPH_DEF_VERSION_MIN_PRODUCER 1
#define TF_GRAPH_DEF_VERSION_MIN_CONSUMER 2
#define TF_GRAPH_DEF_VERSION {version}  // Updated: 2019/8/23
"""
GENERATED = '"""Python wrappers around TensorFlow ops.\n\nThis file is MACHINE GENERATED! Do not edit.\n"""\n'

# As the wrappers of 0.12, 1.3, 1.6, 1.15, 2.4 and 2.21 are written.
GENERATIONS = {
    "graph": """
def _symbolic_gradient(input, Tout, f, name=None):
  r'''Computes the gradient \\d.'''
  result = _op_def_lib.apply_op("SymbolicGradient", input=input, Tout=Tout, f=f, name=name)
  return result
ops.RegisterShape("SymbolicGradient")(None)
_InitOpDefLibrary.op_list_ascii = '''op {
  name: "SymbolicGradient"
}
'''
""",
    "serialized list": """
def symbolic_gradient(input, Tout, f, name=None):
  result = _op_def_lib.apply_op("SymbolicGradient", input=input, Tout=Tout, f=f, name=name)
_op_def_lib = _InitOpDefLibrary(b"\\n\\022\\n\\020SymbolicGradient")
""",
    "eager": """
def symbolic_gradient(input, Tout, f, name=None):
  if _ctx.in_graph_mode():
    _, _, _op = _op_def_lib._apply_op_helper("SymbolicGradient", input=input, Tout=Tout, f=f, name=name)
  else:
    _result = _execute.execute(b"SymbolicGradient", len(Tout), inputs=_inputs_flat, attrs=_attrs, ctx=_ctx, name=name)
  _execute.record_gradient("SymbolicGradient", _inputs_flat, _attrs, _result, name)
""",
    "fast path": """
@_dispatch.add_dispatch_list
@tf_export("raw_ops.SymbolicGradient")
def symbolic_gradient(input, Tout, f, name=None):
  _result = _pywrap_tensorflow.TFE_Py_FastPathExecute(_ctx._context_handle, tld.device_name, "SymbolicGradient", name, input)
  _, _, _op = _op_def_lib._apply_op_helper("SymbolicGradient", input=input)
def symbolic_gradient_eager_fallback(input, Tout, f, name, ctx):
  _result = _execute.execute(b"SymbolicGradient", len(Tout), inputs=_inputs_flat)
""",
    "no list": """
def symbolic_gradient(input: Annotated[Any, TV_T], Tout, f, name=None):
  tld = _context._context._thread_local_data
  _, _, _op, _outputs = _op_def_library._apply_op_helper("SymbolicGradient", input=input, Tout=Tout)
  _execute.must_record_gradient()
SymbolicGradient = tf_export("raw_ops.SymbolicGradient")(_ops.to_raw_op(symbolic_gradient))
""",
}


@pytest.fixture(scope="session")
def tool(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("tensorflow_operations", repository / "tools" / "tensorflow_operations.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wheel(folder: Path, version: str, files: dict[str, str | bytes], name: str = "tensorflow") -> Path:
    path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}-{version}.dist-info/METADATA", METADATA.format(name=name, version=version))
        for file, content in files.items():
            archive.writestr(file, content)
    return path


def release(folder: Path, version: str, ops: str, graph: int = 7, **more: str) -> Path:
    """A wheel of TensorFlow whose wrappers name these operations."""
    calls = "".join(f'_op_def_library._apply_op_helper("{op}", name=name)\n' for op in ops.split())
    files = {
        "tensorflow/python/ops/gen_math_ops.py": GENERATED + calls,
        "tensorflow/include/tensorflow/core/public/version.h": HEADER.format(version=graph),
    }
    return wheel(folder, version, files | more)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_wrapper_of_every_generation_is_read(tool: ModuleType, tmp_path: Path, generation: str) -> None:
    files = {
        "tensorflow-0.12.1.data/purelib/tensorflow/python/ops/gen_functional_ops.py": GENERATED + GENERATIONS[generation],
        "tensorflow/python/ops/functional_ops.py": '_op_def_lib.apply_op("NotGenerated", name=name)\n',
        "tensorflow/include/tensorflow/core/public/version.h": HEADER.format(version=17),
    }
    record = tool.read(wheel(tmp_path, "0.12.1", files))
    assert record["wrappers"] == {"tensorflow/python/ops/gen_functional_ops.py": ["SymbolicGradient"]}
    assert record["graph_def"] == [17, 2, 1]
    assert (record["package"], record["version"]) == ("tensorflow", "0.12.1")
    assert len(record["sha256"]) == 64


def test_the_installed_tensorflow_reads_as_the_tables_say(tool: ModuleType, repository: Path, tmp_path: Path) -> None:
    installed = metadata.distribution("tensorflow")
    path = tmp_path / "tensorflow.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file in installed.files:
            if re.search(r"^tensorflow/.*\.py$|core/public/version\.h$|dist-info/METADATA$", str(file)):
                archive.write(file.locate(), str(file))
    record = tool.read(path)
    assert record["version"].startswith("2.21.")
    lines = (repository / "deploy" / "tensorflow" / "operations.txt").read_text().splitlines()
    listed = {line.split(" ")[0] for line in lines if re.search(r"^[A-Z]\S* (\S+,)?[\d.]+-$", line)}
    assert {op for op in tool.wrapped(record) if not op.startswith("_")} == listed
    told = next(line.split(" ") for line in lines if line.startswith("release 2.21 "))
    assert [str(number) for number in record["graph_def"]] == told[2:5]


def asked(interpreter: str, repository: Path, package: Path) -> dict:
    command = [interpreter, str(repository / "tools" / "tensorflow_registry.py"), str(package)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def registered_as_told(repository: Path, said: dict, release: str) -> None:
    from cpr.saved_model import operations

    names = {name for name in said["operations"] if not name.startswith("_")}
    assert {name for name in names if not operations.known(name, release)} == set()
    without = {name for name in names if not {"CPU", "DEFAULT", "XLA_CPU_JIT"} & set(said["kernels"].get(name, ()))}
    assert {name for name in names if operations.kernels_gone(name, release)} == without - {"AccumulateNV2"}


def test_the_libraries_of_the_newest_release_list_what_the_tables_say(repository: Path) -> None:
    package = next(file.locate() for file in metadata.distribution("tensorflow").files if str(file) == "tensorflow/__init__.py")
    registered_as_told(repository, asked(sys.executable, repository, package.parent), "2.21")


def test_the_libraries_of_an_old_release_list_what_the_tables_say(repository: Path) -> None:
    python = python_with("2.11.0")
    found = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
    )
    registered_as_told(repository, asked(python, repository, Path(found.stdout.strip()) / "tensorflow"), "2.11")


def test_a_folder_without_tensorflow_is_told(repository: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(repository / "tools" / "tensorflow_registry.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (1, f"There is no TensorFlow library in {tmp_path}.")


# -- libraries of custom operations


@pytest.mark.parametrize(
    ("operation", "function"),
    [
        ("Addons>EuclideanDistanceTransform", "addons_euclidean_distance_transform"),
        ("CaseFoldUTF8", "case_fold_utf8"),
        ("IO>AudioDecodeAAC", "io_audio_decode_aac"),
        ("SimpleMLInferenceOp", "simple_ml_inference_op"),
        ("TFRA>CuckooHashTableFind", "tfra_cuckoo_hash_table_find"),
        ("MatMul", "mat_mul"),
        ("LRN", "lrn"),
    ],
)
def test_the_function_that_a_library_makes_for_an_operation(tool: ModuleType, operation: str, function: str) -> None:
    assert tool.function_name(operation) == function


def test_function_names_are_tensorflows(tool: ModuleType, repository: Path) -> None:
    """The functions in the wrappers of the installed TensorFlow follow the rule, but for those with a name of their own."""
    folder = next(
        file.locate() for file in metadata.distribution("tensorflow").files if str(file) == "tensorflow/__init__.py"
    ).parent
    text = (folder / "python" / "ops" / "gen_image_ops.py").read_text()
    pairs = re.findall(r'^(\w+) = tf_export\("raw_ops\.\w+"\)\(_ops\.to_raw_op\((\w+)\)\)', text, re.MULTILINE)
    assert len(pairs) > 40
    assert [pair for pair in pairs if tool.function_name(pair[0]) != pair[1]] == []


LIBRARY = (
    b"\x7fELF\0\0Mine>FirstOne\0Mine>Second\0SecondThing\0ThirdThing\0Fourth\0data\0FifthThingGrad\0NeverCalled\0" + bytes(90)
)


def test_operations_that_a_library_makes_when_it_is_loaded_are_read(tool: ModuleType, tmp_path: Path) -> None:
    files = {
        "mine/mine_ops.py": "_lib = tf.load_op_library('lib.so')\nx = _lib.mine_first_one(_lib.fourth())\n",
        "mine/use.py": "import mine_ops\nfrom mine.mine_ops import third_thing\nmine_ops.second_thing(mine_ops)\n",
        "mine/gradients.py": "@tf.RegisterGradient('FifthThing')\ndef f(op): pass\ntf.no_gradient('NotThere')\n"
        "tf.NotDifferentiable('FifthThingGrad')\n",
        "mine/broken.py": "print 'of another Python'\n",
        "mine/lib.so": LIBRARY,
        "mine/other.txt": b"\0Mine>InNoLibrary\0",
    }
    record = tool.read(wheel(tmp_path, "0.3", files, "mine-lib"))
    assert record["called"] == ["FifthThingGrad", "Mine>FirstOne", "Mine>Second", "SecondThing", "ThirdThing"]
    assert record["package"] == "mine-lib"


# -- the tables


def test_the_tables_of_three_releases(tool: ModuleType, tmp_path: Path) -> None:
    records, folder = tmp_path / "records", tmp_path / "tables"
    folder.mkdir()
    contrib = {
        "tensorflow/contrib/resampler/ops/gen_resampler_ops.py": GENERATED + '_op_def_lib.apply_op("Resampler", data)\n',
        "tensorflow/contrib/image/gen_image_ops.py": GENERATED + '_op_def_lib.apply_op("Moved", data)\n',
    }
    for path in (
        release(tmp_path, "1.9.1", "Always Gone _Internal", 5, **contrib),
        release(tmp_path, "1.10.0", "Always Returns Moved", 6),
        release(tmp_path, "2.0.3", "Always New", 7),
    ):
        tool.keep(records, tool.read(path))
    tool.keep(
        records,
        tool.read(
            wheel(tmp_path, "0.3", {"mine/ops.py": "load_op_library('a').new_one()", "mine/a.so": b"\0NewOne\0"}, "mine")
        ),
    )
    told = json.loads((records / "tensorflow-2.0.3.json").read_text())
    told["registry"] = {"operations": ["Always", "New", "Hidden", "_Internal"], "kernels": {"Always": ["CPU"], "New": ["GPU"]}}
    tool.keep(records, told)
    assert tool.main(["write", str(records), str(folder)]) == 0
    tables = {path.name: [line for line in path.read_text().splitlines() if line[0] != "#"] for path in folder.iterdir()}
    assert [line.split(" ")[:5] for line in tables["operations.txt"][:3]] == [
        ["release", "1.9", "5", "2", "1"],
        ["release", "1.10", "6", "2", "1"],
        ["release", "2.0", "7", "2", "1"],
    ]
    assert tables["operations.txt"][3:] == ["Always 1.9-", "Gone 1.9", "Moved 1.10", "New 2.0-", "Returns 1.10", "end 5"]
    assert tables["unwrapped.txt"] == ["asked 2.0-", "Hidden 2.0-", "end 1"]
    assert tables["kernels.txt"] == ["asked 2.0-", "Hidden 2.0-", "New 2.0-", "end 2"]
    assert tables["libraries.txt"][0].startswith("wheel mine 0.3 ")
    assert tables["libraries.txt"][1:] == ["NewOne mine 0.3", "Resampler tensorflow.contrib.resampler 1.9", "end 2"]


@pytest.mark.parametrize(
    ("present", "text"),
    [
        ("1111", "1.0-"),
        ("0111", "1.1-"),
        ("1000", "1.0"),
        ("1100", "1.0-1.1"),
        ("1011", "1.0,1.2-"),
        ("1010", "1.0,1.2"),
        ("0001", "1.3-"),
        ("0000", ""),
    ],
)
def test_ranges_of_releases(tool: ModuleType, present: str, text: str) -> None:
    assert tool.spans(["1.0", "1.1", "1.2", "1.3"], [digit == "1" for digit in present]) == text


def test_the_tables_in_the_repository_name_the_wheels_that_the_list_asks_for(tool: ModuleType, repository: Path) -> None:
    wanted = {(package, version) for package, version, _ in tool.wanted(repository / "tools" / "wheels.txt")}
    folder = repository / "deploy" / "tensorflow"
    read = set(re.findall(r"^release .* (tensorflow)-([\d.]+)-\S+\.whl", (folder / "operations.txt").read_text(), re.MULTILINE))
    read |= set(re.findall(r"^wheel (\S+) (\S+) ", (folder / "libraries.txt").read_text(), re.MULTILINE))
    assert read == wanted


# -- what cannot be read


def refused(repository: Path, *arguments: str | Path) -> str:
    command = [sys.executable, str(repository / "tools" / "tensorflow_operations.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    return done.stderr


def test_what_is_no_wheel_is_told(repository: Path, tmp_path: Path) -> None:
    text = tmp_path / "tensorflow-2.9.3-cp37-none-any.whl"
    text.write_text("not a ZIP file")
    assert f"{text} cannot be read as a wheel" in refused(repository, "read", tmp_path / "records", text)
    assert "cannot be read as a wheel" in refused(repository, "read", tmp_path / "records", tmp_path / "absent.whl")
    whole = release(tmp_path, "2.0.0", "Add " * 300)
    cut = tmp_path / "cut.whl"
    cut.write_bytes(whole.read_bytes()[:-100])
    assert "cannot be read as a wheel" in refused(repository, "read", tmp_path / "records", cut)
    squeezed = tmp_path / "squeezed.whl"
    with zipfile.ZipFile(squeezed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tensorflow-2.0.0.dist-info/METADATA", METADATA.format(name="tensorflow", version="2.0.0"))
        archive.writestr("tensorflow/python/ops/gen_x.py", GENERATED + "".join(f"x{n} = {n * n}\n" for n in range(2000)))
    content = bytearray(squeezed.read_bytes())
    content[2000:2100] = bytes(100)
    squeezed.write_bytes(content)
    assert "cannot be read as a wheel" in refused(repository, "read", tmp_path / "records", squeezed)
    altered = tmp_path / "altered.whl"
    altered.write_bytes(whole.read_bytes().replace(b"_apply_op_helper", b"_apply_op_helpeR", 1))
    assert "cannot be read as a wheel" in refused(repository, "read", tmp_path / "records", altered)
    bare = tmp_path / "bare.whl"
    with zipfile.ZipFile(bare, "w") as archive:
        archive.writestr("tensorflow/__init__.py", "")
    assert "it has no METADATA" in refused(repository, "read", tmp_path / "records", bare)


def test_a_wheel_whose_parts_cannot_be_read_is_told(repository: Path, tmp_path: Path) -> None:
    broken = wheel(tmp_path, "1.0", {"tensorflow/python/ops/gen_x.py": GENERATED + "def f(:\n"})
    assert "gen_x.py is not Python that can be parsed" in refused(repository, "read", tmp_path / "records", broken)
    header = wheel(tmp_path, "1.1", {"tensorflow/include/tensorflow/core/public/version.h": "#define TF_GRAPH_DEF_VERSION 3\n"})
    assert "lacks TF_GRAPH_DEF_VERSION_MIN_CONSUMER" in refused(repository, "read", tmp_path / "records", header)


def test_records_that_make_no_table_are_told(repository: Path, tool: ModuleType, tmp_path: Path) -> None:
    records = tmp_path / "records"
    assert "has no record of a release" in refused(repository, "write", records, tmp_path)
    tool.keep(records, tool.read(release(tmp_path, "2.0.0", "Add")))
    assert "no record tells what the libraries of a release register" in refused(repository, "write", records, tmp_path)
    tool.keep(records, tool.read(release(tmp_path, "2.0.1", "Add")))
    assert "two records of one release" in refused(repository, "write", records, tmp_path)
    (records / "tensorflow-2.0.1.json").write_text("{")
    assert "is not a record" in refused(repository, "write", records, tmp_path)
    (records / "tensorflow-2.0.0.json").unlink()
    tool.keep(records, tool.read(wheel(tmp_path, "2.0.1", {})))
    assert "does not tell the version of its graphs" in refused(repository, "write", records, tmp_path)


def test_a_list_of_wheels_that_cannot_be_read_is_told(tool: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "wheels.txt").write_text("# a comment\n\ntensorflow 2.0.4 3.7  # and another\nmine 0.3\n")
    with pytest.raises(tool.Refused, match="line 4: a package, a version and a Python are needed"):
        tool.wanted(tmp_path / "wheels.txt")
