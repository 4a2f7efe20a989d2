"""The end of a JWST file: whole, or cut, or not yet written."""

import asdf
import numpy as np
import pytest

from calwebbd.stages.asdftail import flaw

TREE = b"#ASDF 1.0.0\n%YAML 1.1\n--- {}\n...\n"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What asdf writes: a tree, two blocks, the index of blocks."""
    path = tmp_path_factory.mktemp("asdf") / "a.asdf"
    tree = {"a": np.arange(50.0), "b": np.ones(70)}
    asdf.AsdfFile(tree).write_to(path, all_array_storage="internal")
    return path.read_bytes()


def test_a_tree_alone_is_whole():
    assert flaw(TREE) == ""


def test_what_asdf_writes_is_whole(written):
    assert written.count(b"\xd3BLK") == 2
    assert flaw(written) == ""


def test_blocks_without_an_index_are_whole(written):
    assert flaw(written[: written.index(b"#ASDF BLOCK INDEX")]) == ""


def test_zeros_from_any_byte_on_are_seen(written):
    for start in range(len(written) - 1):
        assert flaw(written[:start].ljust(len(written), b"\0")), start


def test_a_changed_block_is_seen(written):
    inside = written.index(b"\xd3BLK") + 80

    assert "incomplete block" in flaw(written[:inside] + b"?" + written[inside + 1 :])


@pytest.mark.parametrize("body", [b"", b"\0" * 100, b"%YAML 1.1\n...\n"])
def test_other_bytes_are_no_tree(body):
    assert "does not begin" in flaw(body)
