"""The official package and calwebbd give the same numbers (``pytest -m oracle``)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from nights import CAMPAIGNS, Campaign

sys.path.insert(0, str(Path(__file__).parent))


@pytest.mark.oracle
@pytest.mark.parametrize("campaign", CAMPAIGNS.values(), ids=lambda campaign: campaign.name)
def test_calwebbd_agrees_with_the_official_package(campaign: Campaign, tmp_path: Path) -> None:
    from compare_official import Comparison

    findings = Comparison(tmp_path).compare(campaign, [1])
    assert findings.rows
    assert not findings.wrong
    assert not findings.invalid
    assert not findings.failed
