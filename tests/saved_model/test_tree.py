"""A folder's files as one value."""

import os
import socket

import pytest

from cpr.errors import ModelError
from cpr.saved_model.tree import Tree, _files, local_tree


@pytest.fixture
def folder(tmp_path):
    for name, size in {"b/c/d": 3, "b/e": 2, "a": 1, "bb/f": 4}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * size)
    return tmp_path


def test_every_file_with_its_size_in_order_of_path(folder):
    tree = local_tree(folder)
    assert list(tree.files.items()) == [("a", 1), ("b/c/d", 3), ("b/e", 2), ("bb/f", 4)]
    assert (tree.root, tree.origin) == (folder, str(folder))
    assert tree.has("b/e") and not tree.has("b")
    assert tree.size("b/c/d") == 3
    assert tree.below("b") == ("b/c/d", "b/e")
    assert tree.head("bb/f", 2) == b"xx"


def test_a_folder_below_is_a_tree_itself(folder):
    inner = local_tree(folder).folder("b")
    assert dict(inner.files) == {"c/d": 3, "e": 2}
    assert inner.path("e").read_bytes() == b"xx"
    assert inner.origin == f"{folder}/b"
    assert inner.folder(".") is inner


def test_what_is_listed_only_has_no_content(folder):
    tree = Tree(folder, {"large": 1 << 40}, "gs://bucket/model")
    assert tree.has("large")
    assert tree.head("large", 5) == b""


def test_links(folder):
    for name, target in {"to_file": "a", "to_folder": "b", "to_nothing": "nothing", "circle": "circle"}.items():
        (folder / name).symlink_to(folder / target)
    assert set(local_tree(folder).files) == {"a", "b/c/d", "b/e", "bb/f", "to_file"}


def test_pipes_devices_and_sockets_are_no_files(folder):
    os.mkfifo(folder / "pipe")
    (folder / "endless").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(folder / "socket"))  # an address has 108 bytes at most
    assert set(local_tree(folder).files) == {"a", "b/c/d", "b/e", "bb/f"}


def test_a_folder_that_goes_while_the_files_are_listed(folder):
    (folder / "variables_temp").mkdir()
    listing = _files(str(folder))
    first = next(listing)
    (folder / "variables_temp").rmdir()
    assert {name for name, _ in (first, *listing)} == {"a", "b/c/d", "b/e", "bb/f"}


def test_a_folder_that_is_gone(folder):
    with pytest.raises(ModelError, match="cannot be read") as caught:
        local_tree(folder / "absent")
    assert caught.value.where == str(folder / "absent")
