"""The tables of TensorFlow's operations: against the TensorFlow that is installed, and what is said of them."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cpr.errors import UsageError
from cpr.saved_model import operations
from cpr.saved_model.operations import Needs, lowest

NEWEST = "2.21"
TABLES = ("operations.txt", "unwrapped.txt", "kernels.txt", "libraries.txt", "kinds.txt")


def entries(repository: Path, file: str) -> list[str]:
    """The names in one of the made tables."""
    lines = (repository / "deploy" / "tensorflow" / file).read_text().splitlines()
    return [line.split(" ")[0] for line in lines if line.split(" ")[0] not in ("#", "release", "asked", "wheel", "end")]


@pytest.fixture(scope="session")
def everything(repository: Path) -> set[str]:
    """Every operation that any release has."""
    return {*entries(repository, "operations.txt"), *entries(repository, "unwrapped.txt")}


@pytest.fixture(scope="session")
def registered() -> dict:
    command = [sys.executable, str(Path(__file__).with_name("tensorflow_registered.py"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def public(names: list[str]) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def test_every_operation_of_the_newest_release_is_what_tensorflow_registers(registered: dict, everything: set[str]) -> None:
    # It has a wrapper, and its library is loaded only where tf.distribute watches for the end of a machine.
    on_demand = {"CheckPreemption"}
    assert {op for op in everything if operations.known(op, NEWEST)} == public(registered["operations"]) | on_demand


def test_what_cannot_run_on_a_cpu_is_what_tensorflow_has_no_kernel_for(registered: dict, everything: set[str]) -> None:
    has = public(registered["operations"])
    without = {op for op in everything if op in has and operations.kernels_gone(op, NEWEST)}
    assert without == has - set(registered["on_the_cpu"]) - {"AccumulateNV2"}


def test_tensorflow_refuses_to_run_what_has_no_kernel_and_replaces_one(registered: dict) -> None:
    assert "No OpKernel was registered to support Op 'RiscAdd'" in registered["without_kernel"]
    assert operations.kernels_gone("RiscAdd", NEWEST) is True
    assert registered["replaced"] == ""
    assert operations.kernels_gone("AccumulateNV2", NEWEST) is False


def test_the_version_of_graphs_is_tensorflows(registered: dict) -> None:
    assert list(operations.graph_versions(NEWEST)) == registered["graph_def"]


def test_the_releases_are_all_there_are() -> None:
    minors = {0: range(12, 13), 1: range(16), 2: range(22)}
    assert operations.releases() == tuple(f"{major}.{minor}" for major, found in minors.items() for minor in found)
    assert operations.releases()[-1] == NEWEST
    for major in ("1.", "2."):  # 1.15 branched off after 2.0
        graphs = [operations.graph_versions(name).producer for name in operations.releases() if name.startswith(major)]
        assert graphs == sorted(graphs)


def test_every_release_tells_its_source(repository: Path) -> None:
    lines = (repository / "deploy" / "tensorflow" / "operations.txt").read_text().splitlines()
    told = [
        re.fullmatch(r"release (\S+) \d+ 0 0 \d{4}-\d\d-\d\d tensorflow-(\d+\.\d+)\S+\.whl [0-9a-f]{64}", line)
        for line in lines
    ]
    assert [match[1] for match in told if match] == list(operations.releases())
    assert all(match[1] == match[2] for match in told if match)


# Each was seen by hand in the wrappers of the two neighbouring releases.
@pytest.mark.parametrize(
    ("op", "first", "last"),
    [
        ("DisableCopyOnRead", "2.10", None),
        ("MatMul", "0.12", None),
        ("StatefulPartitionedCall", "1.10", None),
        ("XlaCallModule", "2.10", None),
        ("HashTableV2", "1.2", None),
        ("CudnnRNNV2", "1.9", None),
        ("RemoteFusedGraphExecute", "1.3", "2.4"),
        ("ExperimentalNumaMapAndBatchDataset", "1.13", "1.14"),
        ("CreateTRTResourceHandle", "2.1", "2.17"),
        ("NoSuchOperation", None, None),
        ("Addons>Resampler", None, None),
        ("_FusedConv2D", "0.12", None),
    ],
)
def test_when_an_operation_came_and_went(op: str, first: str | None, last: str | None) -> None:
    assert (operations.introduced(op), operations.last(op)) == (first, last)


def test_a_release_knows_what_lies_in_its_range() -> None:
    assert not operations.known("DisableCopyOnRead", "2.9")
    assert operations.known("DisableCopyOnRead", "2.10")
    assert operations.known("DisableCopyOnRead", "2.10.1")
    assert operations.known("ExperimentalNumaMapAndBatchDataset", "1.14.0")
    assert not operations.known("ExperimentalNumaMapAndBatchDataset", "1.15.5")
    assert not operations.known("Addons>Resampler", NEWEST)


def test_releases_outside_the_tables_are_their_ends() -> None:
    assert operations.known("DisableCopyOnRead", "3.0")
    assert operations.known("MatMul", "0.11")
    assert not operations.known("DisableCopyOnRead", "0.11")
    assert operations.graph_versions("2.99") == operations.graph_versions(NEWEST)
    for nonsense in ("two", "", "2", "2.x"):
        with pytest.raises(UsageError, match="is not a release"):
            operations.known("MatMul", nonsense)


def test_internal_operations_are_never_missed() -> None:
    for release in operations.releases():
        assert operations.known("_Arg", release)
        assert operations.kernels_gone("_Arg", release) is None
    assert lowest(["_Arg", "_NeverSeen"]) == Needs("0.12", None, (), ())


def test_what_cannot_be_asked_of_old_releases_is_not_called_missing() -> None:
    """No wrapper names it, and the libraries of 1.2 have no call that lists it; those of 1.3 list it."""
    assert operations.introduced("RemoteFusedGraphExecute") == "1.3"
    assert operations.known("RemoteFusedGraphExecute", "1.2")
    assert not operations.known("RemoteFusedGraphExecute", "2.5")
    assert not operations.known("DTensorAllReduce", "1.2")


def test_the_lowest_release_and_what_decides_it() -> None:
    assert lowest(["MatMul", "Add"]) == Needs("0.12", None, (), ())
    assert lowest([]) == Needs("0.12", None, (), ())
    assert lowest(["MatMul", "DisableCopyOnRead", "Mine", "StatefulPartitionedCall"]) == Needs(
        "2.10", None, ("DisableCopyOnRead",), ("Mine",)
    )
    assert lowest(["ExperimentalNumaMapAndBatchDataset", "Add"]).until == "1.14"


def test_operations_that_no_release_has_together() -> None:
    needs = lowest(["DisableCopyOnRead", "ExperimentalNumaMapAndBatchDataset", "MatMul", "Mine"])
    assert needs == Needs(None, None, ("DisableCopyOnRead", "ExperimentalNumaMapAndBatchDataset"), ("Mine",))


def test_lowest_is_what_asking_for_each_release_gives(repository: Path) -> None:
    chosen = random.Random(3)
    # Without those that may be in a release that cannot be asked: `known` counts them in.
    names = sorted(set(entries(repository, "operations.txt")) - set(entries(repository, "unwrapped.txt")))
    for count in (1, 2, 3, 5, 8) * 40:
        ops = chosen.sample(names, count)
        fit = [release for release in operations.releases() if all(operations.known(op, release) for op in ops)]
        needs = lowest(ops)
        assert needs.release == (fit[0] if fit else None), ops
        assert needs.until == (fit[-1] if fit and fit[-1] != NEWEST else None), ops
        if fit and fit[0] != operations.releases()[0]:
            before = operations.releases()[operations.releases().index(fit[0]) - 1]
            assert list(needs.ops) == sorted(op for op in ops if not operations.known(op, before)), ops


def test_kernels_that_are_gone() -> None:
    assert operations.kernels_gone("BoostedTreesPredict", "2.8") is False
    assert operations.kernels_gone("BoostedTreesPredict", "2.11") is True
    assert operations.last_kernel("BoostedTreesPredict") == "2.8"
    assert operations.kernels_gone("CudnnRNN", "2.5") is True
    assert operations.last_kernel("CudnnRNN") is None
    assert operations.kernels_gone("MatMul", NEWEST) is False
    assert operations.last_kernel("MatMul") is None


def test_kernels_of_which_nothing_is_known() -> None:
    assert operations.kernels_gone("MatMul", "1.0") is None
    assert operations.kernels_gone("NoSuchOperation", NEWEST) is None
    assert operations.kernels_gone("DisableCopyOnRead", "2.9") is None


@pytest.mark.parametrize(
    ("op", "package"),
    [
        ("Addons>Resampler", "tensorflow-addons"),
        ("Addons>NotSeenInAnyOfThem", "tensorflow-addons"),
        ("WordpieceTokenizeWithOffsets", "tensorflow-text"),
        ("SentencepieceEncodeSparse", "tf-sentencepiece"),
        ("IO>ArrowFeatherDataset", "tensorflow-io"),
        ("SimpleMLInferenceOpWithHandle", "tensorflow-decision-forests or ydf-tf"),
        ("TFRA>CuckooHashTableFind", "tensorflow-recommenders-addons"),
        ("Resampler", "tensorflow.contrib.resampler"),
        ("KafkaDataset", "tensorflow.contrib.kafka"),
        ("MatMul", None),
        ("Mine", None),
        ("My>Own", None),
    ],
)
def test_the_package_of_a_custom_operation(op: str, package: str | None) -> None:
    assert operations.package_of(op) == package


def test_no_custom_operation_is_one_of_tensorflow(repository: Path, everything: set[str]) -> None:
    assert not everything & set(entries(repository, "libraries.txt"))


def test_what_is_dangerous() -> None:
    for op in ("ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "EagerPyFunc", "PyFuncStateless", "Rpc", "Abort"):
        assert operations.dangerous(op), op
    for op in ("MatMul", "SaveV2", "RestoreV2", "MergeV2Checkpoints", "InitializeTableFromTextFileV2", "PrintV2", "Mine"):
        assert operations.dangerous(op) is None, op


def test_every_operation_that_names_a_file_or_an_address_is_sorted(registered: dict) -> None:
    # How a SavedModel saves and loads itself, what mostly has no file, and where the word means something else.
    own = {"Save", "SaveSlices", "Restore", "RestoreSlice", "MergeV2Checkpoints"}
    own |= {"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"}
    optional = {"CacheDataset", "CacheDatasetV2", "FixedUnigramCandidateSampler"}
    other = {"TensorSliceDataset"}
    places = set(registered["places"])
    assert len(places) > 40
    assert {op for op in places if operations.dangerous(op) is None} == own | optional | other


@pytest.mark.parametrize(
    ("op", "kind"),
    [
        ("TFRecordReaderV2", "reader"),
        ("QueueDequeueManyV2", "queue"),
        ("IteratorGetNext", "iterator"),
        ("ResourceApplyAdam", "optimizer"),
        ("SoftmaxCrossEntropyWithLogits", "loss"),
        ("ReluGrad", "gradient"),
        ("Conv2DBackpropInput", None),
        ("MapDataset", None),
        ("StopGradient", None),
        ("MatMul", None),
    ],
)
def test_what_is_training(op: str, kind: str | None) -> None:
    assert operations.training(op) == kind


def test_every_kind_is_of_an_operation_that_exists(repository: Path, everything: set[str]) -> None:
    lines = (repository / "deploy" / "tensorflow" / "kinds.txt").read_text().splitlines()
    named = {name for line in lines if line.startswith("  ") for name in line.split()}
    assert named <= everything | set(entries(repository, "libraries.txt"))


def test_no_optimizer_queue_or_file_is_forgotten(everything: set[str]) -> None:
    """As names go: what a new release adds is to be sorted when its table is made."""
    harmless = {"ShardedFilename", "ShardedFilespec", "InitializeTableFromTextFile", "InitializeTableFromTextFileV2"}
    harmless |= {"DeleteRpcFutureResource", "RpcCheckStatus", "RpcGetValue"}
    for op in everything:
        if re.match(r"(Resource)?(Sparse)?Apply[A-Z]", op):
            assert operations.training(op) == "optimizer", op
        if re.match(r"Queue[A-Z]|\w+FIFOQueue", op):
            assert operations.training(op) == "queue", op
        if re.search(r"File|Rpc|PyFunc|Sql|LMDB", op):
            assert operations.dangerous(op) or op in harmless, op


def test_the_tables_are_small(repository: Path) -> None:
    assert sum((repository / "deploy" / "tensorflow" / file).stat().st_size for file in TABLES) < 150_000


def test_nothing_is_read_before_the_first_question() -> None:
    code = (
        "import sys, cpr.saved_model.operations as o; print('cpr._deploy' in sys.modules); o.introduced('Add'); "
        "print('cpr._deploy' in sys.modules, {'yaml', 'json', 'importlib.resources'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["False", "True set()"]


# -- an installation that is damaged, or lies in a ZIP file


@pytest.fixture
def installed(repository: Path, tmp_path: Path) -> Path:
    """cpr as pip would install it: a folder to be put first on the path."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(repository / "predictor" / "cpr", tmp_path / "installed" / "cpr", ignore=ignore)
    shutil.copytree(repository / "deploy", tmp_path / "installed" / "cpr" / "_deploy", ignore=ignore)
    return tmp_path / "installed"


ASK = """
import sys; sys.path.insert(0, sys.argv[1])
from cpr.errors import CprError
from cpr.saved_model import operations as o
try:
    print(o.introduced("DisableCopyOnRead"), o.known("Add", "1.0"), o.kernels_gone("Add", "2.21"), end=" ")
    print(o.package_of("My>Own"), o.dangerous("PyFunc"))
except CprError as error:
    print("", error.where, error, error.remedy, sep="|")
"""


def ask(place: Path) -> str:
    done = subprocess.run([sys.executable, "-c", ASK, str(place)], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_tables_are_read_from_a_zip_file(installed: Path) -> None:
    archive = installed.parent / "installed.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in installed.rglob("*"):
            file.write(path, path.relative_to(installed))
    assert ask(archive) == ask(installed)
    assert ask(archive).startswith("2.10 True False None it runs Python")


DAMAGES = {
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "cut in a line": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "not text": lambda path: path.write_bytes(b"\xff\xfe" * 1000),
    "a line is lost": lambda path: path.write_bytes(
        re.sub(rb"\n(Add|  ReadFile|Addons>Gelu|Copy|CudnnRNN) [^\n]*", b"", path.read_bytes())
    ),
    "a line of one word": lambda path: path.write_bytes(path.read_bytes().replace(b"\nend ", b"\nWord\nend ")),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", TABLES)
def test_a_damaged_table_is_told(installed: Path, file: str, damage: str) -> None:
    DAMAGES[damage](installed / "cpr" / "_deploy" / "tensorflow" / file)
    told = ask(installed)
    assert f"|deploy/tensorflow/{file}|cpr's own table of TensorFlow's operations, {file}, is missing or damaged.|" in told
    assert "pip install --force-reinstall" in told


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("operations.txt", b"\nDisableCopyOnRead 2.10-", b"\nDisableCopyOnRead 2.1x-"),
        ("operations.txt", b"\nrelease 2.10 ", b"\nrelease 2.10 x"),
        ("unwrapped.txt", b"\nasked ", b"\nasked 9."),
        ("kernels.txt", b"\nasked ", b"\nasked 9."),
    ],
)
def test_a_damaged_line_is_told(installed: Path, file: str, old: bytes, new: bytes) -> None:
    path = installed / "cpr" / "_deploy" / "tensorflow" / file
    assert path.read_bytes().count(old) == 1
    path.write_bytes(path.read_bytes().replace(old, new))
    assert f"|deploy/tensorflow/{file}|" in ask(installed)
