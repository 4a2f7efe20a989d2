"""The cache is kept whole: verified before use and once a week, mended where there is a server."""

import os
import time
from pathlib import Path

import pytest
from crds_server import CrdsServer, Faults

from calwebbd.stages import crds
from calwebbd.stages.crds import cache, keep, mapping
from calwebbd.stages.crds.fetch import Fetcher, Patience, measure
from calwebbd.stages.crds.ledger import WEEK_S, Corrupt, Ledger
from calwebbd.stages.crds.server import Limits, Server, Sum
from calwebbd.stages.errors import ReferenceMissing

GAIN = "jwst_nircam_gain_0001.fits"
CONTEXT = "jwst_0002.pmap"


@pytest.fixture
def served(double: CrdsServer, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Fetcher:
    """An empty cache and a server."""
    monkeypatch.setenv("CRDS_SERVER_URL", double.url)
    server = Server(double.url, Limits(silent_s=1.0))
    return Fetcher(server, patience=Patience(attempts=1), sleep=lambda _: None)


def test_a_reference_that_is_used_is_fetched_and_verified_once(
    served: Fetcher, double: CrdsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = crds.locate(GAIN, CONTEXT)
    assert double.fetched(GAIN) == 1
    entry = Ledger().get(GAIN)
    assert entry is not None
    assert Sum(entry.sha1, entry.size) == measure(path)

    def hashed(_: Path) -> Sum:
        raise AssertionError("hashed again")

    from calwebbd.stages.crds import ledger

    monkeypatch.setattr(ledger, "measure", hashed)
    assert crds.locate(GAIN, CONTEXT) == path
    os.utime(path)
    with pytest.raises(AssertionError, match="hashed again"):
        crds.locate(GAIN, CONTEXT)


def test_a_reference_is_verified_again_after_a_week(tmp_path: Path) -> None:
    path = tmp_path / GAIN
    path.write_bytes(b"gain")
    now = [1e9]
    ledger = Ledger(tmp_path / "ledger", now=lambda: now[0])
    first = ledger.verify(path)
    now[0] += WEEK_S / 2
    assert ledger.verify(path) == first
    assert ledger.verify(path, anew=True).at == now[0]
    now[0] += WEEK_S + 1
    assert ledger.verify(path).at == now[0]


def test_a_changed_reference_is_corrupt_and_it_is_known_when_it_was_well(tmp_path: Path) -> None:
    path = tmp_path / GAIN
    path.write_bytes(b"gain")
    ledger = Ledger(tmp_path / "ledger")
    good = ledger.verify(path)
    path.write_bytes(b"gone")
    for _ in range(2):
        with pytest.raises(Corrupt, match="it is corrupt") as caught:
            ledger.verify(path)
        assert caught.value.good_at == good.at
    assert dict(ledger.entries())[GAIN].corrupt
    path.write_bytes(b"gain")
    assert not ledger.verify(path).corrupt


def test_a_ledger_that_cannot_be_written_or_read_costs_time_only(tmp_path: Path) -> None:
    path = tmp_path / GAIN
    path.write_bytes(b"gain")
    nowhere = Ledger(path / "below a file")
    assert nowhere.verify(path).size == 4
    assert nowhere.get(GAIN) is None
    ledger = Ledger(tmp_path / "ledger")
    ledger.verify(path)
    (tmp_path / "ledger" / f"{GAIN}.json").write_text("{")
    assert ledger.verify(path).size == 4


def test_a_corrupt_reference_is_set_aside_and_fetched_again(served: Fetcher, double: CrdsServer) -> None:
    path = crds.locate(GAIN, CONTEXT)
    sound = path.read_bytes()
    path.write_bytes(sound[:-1] + b"x")
    assert crds.locate(GAIN, CONTEXT).read_bytes() == sound
    assert double.fetched(GAIN) == 2
    assert path.with_name(f".{GAIN}.corrupt").read_bytes() == sound[:-1] + b"x"
    assert keep.cached_references() == [GAIN]


def test_a_corrupt_reference_without_a_server_is_missing(
    served: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = crds.locate(GAIN, CONTEXT)
    monkeypatch.delenv("CRDS_SERVER_URL")
    path.write_bytes(b"x")
    with pytest.raises(ReferenceMissing, match="it is corrupt"):
        crds.locate(GAIN, CONTEXT)
    assert path.exists()


def test_a_context_is_fetched_whole_and_verified(served: Fetcher, double: CrdsServer) -> None:
    sums = keep.keep_context(CONTEXT, served)
    assert sorted(sums) == [CONTEXT, "jwst_nircam_0002.imap", "jwst_nircam_gain_0002.rmap"]
    before = len(double.requests)
    assert keep.keep_context(CONTEXT, served) == sums
    assert len(double.requests) == before


def test_a_mapping_corrected_under_its_name_is_fetched_again(served: Fetcher, origin: Path) -> None:
    keep.keep_context(CONTEXT, served)
    path = cache.place("jwst_nircam_gain_0002.rmap")
    old = path.read_text().replace("'text_descr' : 'gain'", "'text_descr' : 'old'")
    stated = mapping.read(path).header["sha1sum"]
    path.write_text(old.replace(stated, mapping.checksum(old)))
    assert mapping.read(path).header["text_descr"] == "old"
    keep.keep_context(CONTEXT, served)
    assert path.read_bytes() == (origin / "mappings" / "jwst" / path.name).read_bytes()


def test_a_broken_mapping_is_mended_or_missing(
    served: Fetcher, double: CrdsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep.keep_context(CONTEXT, served)
    path = cache.place("jwst_nircam_0002.imap")
    path.write_text("import os")
    keep.keep_context(CONTEXT, served)
    path.write_text("import os")
    double.faults = Faults(status=500)
    with pytest.raises(ReferenceMissing, match="status 500"):
        keep.keep_context(CONTEXT, served)
    monkeypatch.delenv("CRDS_SERVER_URL")
    with pytest.raises(ReferenceMissing, match="is not in the cache"):
        keep.keep_context(CONTEXT)


def test_a_file_on_a_list_of_bad_files_is_not_used(
    served: Fetcher, double: CrdsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    double.bad_files.append(GAIN)
    keep.remember(served.info)
    with pytest.raises(ReferenceMissing, match="bad files of CRDS"):
        crds.locate(GAIN, CONTEXT)
    monkeypatch.setenv("CALWEBBD_BAD_FILES", "a.fits jwst_nircam_gain_0002.fits")
    with pytest.raises(ReferenceMissing, match="site's list"):
        crds.locate("jwst_nircam_gain_0002.fits", CONTEXT)
    monkeypatch.setenv("CRDS_ALLOW_BAD_REFERENCES", "1")
    assert crds.locate(GAIN, CONTEXT).exists()


def test_what_the_server_said_is_remembered_as_the_crds_client_does(served: Fetcher) -> None:
    keep.remember(served.info, "jwst_0001.pmap")
    assert crds.literal_context("latest") == "jwst_0001.pmap"
    assert crds.server_info()["mapping_url"] == served.info["mapping_url"]
    crds.locate(GAIN, CONTEXT)
    time.sleep(0.01)
    path = cache.place(GAIN)
    path.write_bytes(b"x")
    with pytest.raises(Corrupt):
        Ledger().verify(path, lambda: keep._expected(GAIN, None))


def test_all_references_are_verified_whatever_the_ledger_says(served: Fetcher) -> None:
    for name in (GAIN, "jwst_nircam_gain_0002.fits"):
        crds.locate(name, CONTEXT)
    cache.place(GAIN).write_bytes(b"x")
    found = dict(keep.verify_all([*keep.cached_references(), "jwst_nircam_gain_0009.fits"], served))
    assert isinstance(found[GAIN], Corrupt)
    assert found[GAIN].good_at > 0
    assert not isinstance(found["jwst_nircam_gain_0002.fits"], Corrupt)


def test_a_flat_cache_stays_flat(empty_cache: Path) -> None:
    config = empty_cache / "config" / "jwst"
    config.mkdir(parents=True)
    (config / "ref_cache_subdir_mode").write_text("flat")
    assert cache.place(GAIN) == empty_cache / "references" / "jwst" / GAIN
    (config / "ref_cache_subdir_mode").write_text("instrument")
    assert cache.place(GAIN) == empty_cache / "references" / "jwst" / "nircam" / GAIN
    (config / "ref_cache_subdir_mode").unlink()
    folder = empty_cache / "references" / "jwst"
    folder.mkdir(parents=True)
    for n in range(30):
        (folder / f"jwst_nircam_dark_{n:04d}.fits").touch()
    assert cache.place(GAIN).parent == folder
