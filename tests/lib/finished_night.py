"""What there must be when a service with fake calibration has finished a night, whatever it went through."""

import sqlite3
from pathlib import Path

import fake_calibration as fake

from calwebbd.daemon import sidecar

MOSAIC = "jw01234-o001_t001_nircam_clear-f200w-sub64p_i2d.fits"


def check_every_product_is_there_once(night: Path, exposures: int) -> None:
    """The folder of a service's configuration, after so many exposures of one dither pattern."""
    found = {path.name for path in (night / "out").iterdir() if not path.name.startswith(".")}
    each = {fake.name(n, suffix=s) for n in range(1, exposures + 1) for s in ("rate", "rateints", "cal")}
    asn = {name for name in found if name.endswith("_asn.json")}
    products = each | {MOSAIC}
    assert found == products | asn | {sidecar.path_of(Path(name)).name for name in products}
    lights = "+".join(f"cal(rate(light{n}))" for n in range(1, exposures + 1))
    assert fake.read(night / "out" / MOSAIC)["data"] == f"i2d({lights})"
    assert list((night / "out" / ".calwebbd").iterdir()) == []
    database = sqlite3.connect(night / "state" / "calwebbd.db")
    try:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        left = database.execute(
            "SELECT count(*) FROM job WHERE state NOT IN ('done', 'superseded')"
        ).fetchone()
        assert left == (0,)
        # One attempt, and only one, has made each version of each product.
        twice = "SELECT path, entity FROM generated GROUP BY path, entity HAVING count(*) > 1"
        assert database.execute(twice).fetchall() == []
        unmade = "SELECT path FROM file WHERE origin = 'product' AND path NOT IN (SELECT path FROM generated)"
        assert database.execute(unmade).fetchall() == []
        assert {Path(row[0]).name for row in database.execute("SELECT path FROM generated")} == found
    finally:
        database.close()
