"""The official package and calwebbd give the same numbers (``pytest -m oracle``)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from nights import SMALL, Case

sys.path.insert(0, str(Path(__file__).parent))


@pytest.mark.oracle
@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_calwebbd_agrees_with_the_official_package(case: Case, tmp_path: Path) -> None:
    from compare_official import compare

    findings = compare([case], [1], tmp_path)
    assert findings.rows
    assert not findings.wrong
    assert not findings.invalid
