"""How long each page takes with very many exposures on record; a part of load.py."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Any

from filled import MEMBERS

from calwebbd.daemon.config import Config

ROOT, MOSAIC = "jw00001003001_02101_00004_nrca1", "jw00001-o003_t001_nircam_clear-f200w"
PAGES = [
    "/", "/exposures", "/exposures?page={last}", "/exposures?begins=jw00001003", "/associations",
    "/associations?state=fired", "/associations?state=fired&page={groups}", "/quarantine", "/failures",
    "/decisions", "/search?q=jw00001003", "/search?q=00007_nrca1", "/search?q=nothing+like+it",
    "/program/00001", "/job/77", f"/file/{ROOT}_uncal.fits", f"/file/{ROOT}_cal.fits",
    f"/file/{MOSAIC}_i2d.fits",
    f"/association/image3%3A{MOSAIC}", "/metrics", "/health", f"/api/why/{ROOT}_cal.fits",
    f"/api/lineage/{MOSAIC}_i2d.fits", "/api/dead", "/api/status",
]  # fmt: skip


def times(config: Config, count: int, repeats: int) -> Iterator[tuple[str, float, float, int]]:
    """Of each page its address, the first and the median time, s, and its size, bytes."""
    from starlette.testclient import TestClient

    from calwebbd.daemon.web import desk
    from calwebbd.daemon.web.app import application

    desk.KEPT_S = 0.0  # nothing is kept: each time is that of the first who asks
    client: Any = TestClient(application(config), base_url="http://127.0.0.1:8765")
    for page in PAGES:
        address = page.format(last=max(1, count // 50), groups=max(1, count // MEMBERS // 50))
        taken = []
        for _ in range(repeats):
            client.app.__dict__["_app"].state.desk._kept.clear()
            start = time.perf_counter()
            answer = client.get(address)
            taken.append(time.perf_counter() - start)
            assert answer.status_code in (200, 503), (address, answer.status_code)
        yield address, taken[0], statistics.median(taken), len(answer.content)
