"""Metadata trees made to harm: refused before a library builds what they ask for."""

import os
import struct
from pathlib import Path

import pytest

from calwebbd.stages import asdftail
from calwebbd.stages.asdftree import check
from calwebbd.stages.errors import InputError

HEAD = b"#ASDF 1.0.0\n#ASDF_STANDARD 1.6.0\n%YAML 1.1\n%TAG ! tag:stsci.edu:asdf/\n--- !core/asdf-1.1.0\n"
END = b"\n...\n"


def tree(text: str) -> bytes:
    return HEAD + text.encode() + END


def laughs(levels: int) -> str:
    lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    for n in range(1, levels):
        lines.append(f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x: !!python/object/apply:os.system ['true']", "has the tag 'tag:yaml.org,2002:python/"),
        ("x: !!python/name:os.system ''", "has the tag"),
        ("x: !!python/object/new:subprocess.Popen [[id]]", "has the tag"),
        ("x: !<tag:evil.org:thing> 1", "has the tag 'tag:evil.org:thing'"),
        ("x: !core/ndarray-1.0.0 {source: 0, datatype: float64, shape: [1000000, 1000000]}", "samples"),
        ("x: !core/ndarray-1.0.0 {source: 0, strides: [0, 0], shape: [999999, 999999]}", "samples"),
        ("x: !core/ndarray-1.0.0 {source: 'http://example.org/a.asdf', shape: [1]}", "outside of the file"),
        ("x: !core/ndarray-1.0.0 {source: 'file:///etc/passwd', shape: [1]}", "outside of the file"),
        ("x: !core/ndarray-1.0.0 {source: ../other.asdf, shape: [1]}", "outside of the file"),
        ("x: {$ref: 'http://example.org/a.asdf#/x'}", "refers to another file"),
        ("x: {$ref: 'file:///etc/passwd'}", "refers to another file"),
        (laughs(9), "values"),
        ("x: " + "[" * 5000 + "]" * 5000, "nested too deep"),
        ("x: " + "{a: " * 5000 + "1" + "}" * 5000, "nested too deep"),
        ("x: [1, 2", "is no YAML"),
        ("x: *nothing", ""),
    ],
)
def test_what_a_tree_must_not_ask_for(text: str, reason: str) -> None:
    if not reason:
        check(tree(text))  # it asks for nothing that is not there; the library refuses it
        return
    with pytest.raises(InputError, match=reason) as error:
        check(tree(text))
    assert len(str(error.value)) < 300


def test_usual_trees_pass() -> None:
    check(
        tree(
            "asdf_library: !core/software-1.0.0 {author: a, homepage: 'http://x', name: asdf}\n"
            "meta: {wcs: !<tag:stsci.edu:gwcs/wcs-1.4.0> {steps: [], source: 0}}\n"
            "sci: !core/ndarray-1.0.0 {source: 'fits:SCI,1', datatype: float32, shape: [2048, 2048]}\n"
            "points: &p [1.0, 2.0]\nagain: *p"
        )
    )


def block(compression: bytes, used: bytes, size: int) -> bytes:
    body = struct.pack(">I4sQQQ16s", 0, compression, len(used), len(used), size, bytes(16))
    return b"\xd3BLK" + struct.pack(">H", len(body)) + body + used


@pytest.mark.parametrize("compression", [b"zlib", b"bzp2", b"lz4\0"])
def test_a_block_that_would_become_very_large_is_refused(compression: bytes) -> None:
    with pytest.raises(InputError, match="compressed block"):
        asdftail.flaw(tree("x: 1") + block(compression, b"x" * 100, 2**40))


def test_a_block_that_says_more_than_it_has_is_unfinished() -> None:
    lie = bytearray(block(b"\0\0\0\0", b"x" * 100, 100))
    lie[14:22] = struct.pack(">Q", 2**62)  # allocated
    assert "incomplete block" in asdftail.flaw(tree("x: 1") + bytes(lie))


def test_no_tree_reaches_the_interpreter(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with pytest.raises(InputError):
        check(tree(f"x: !!python/object/apply:os.mkdir ['{mark}']"))
    assert not os.path.exists(mark)
