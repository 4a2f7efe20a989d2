"""Files come into the cache whole and verified, or not at all."""

import threading
from pathlib import Path

import pytest
from crds_server import CrdsServer, Faults

from calwebbd.stages.crds.fetch import Fetcher, Patience, alone
from calwebbd.stages.crds.server import Limits, Refused, Server, ServerError
from calwebbd.stages.errors import ReferenceMissing

GAIN = "jwst_nircam_gain_0001.fits"
QUICK = Limits(silent_s=0.3, answer_s=0.5, slowest=1e9)


def fetcher(double: CrdsServer, attempts: int = 3) -> Fetcher:
    return Fetcher(Server(double.url, QUICK), patience=Patience(attempts=attempts), sleep=lambda _: None)


def files(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def test_a_file_is_brought_once(double: CrdsServer, empty_cache: Path, origin: Path) -> None:
    fetch = fetcher(double)
    path = fetch.fetch(GAIN)
    assert path == empty_cache / "references" / "jwst" / "nircam" / GAIN
    assert path.read_bytes() == (origin / "references" / "jwst" / "nircam" / GAIN).read_bytes()
    assert fetch.fetch(GAIN) == path
    assert double.fetched(GAIN) == 1
    assert files(empty_cache) == [GAIN]


@pytest.mark.parametrize(
    "faults",
    [Faults(status=500), Faults(wrong=True), Faults(short=True), Faults(truncate=5000), Faults(slow=0.6)],
    ids=["500", "wrong bytes", "wrong length", "broken off", "silent"],
)
def test_what_goes_wrong_once_is_tried_again(
    double: CrdsServer, empty_cache: Path, origin: Path, faults: Faults
) -> None:
    double.faults = faults
    faults.files, faults.times = (GAIN,), 1
    content = fetcher(double).fetch(GAIN).read_bytes()
    assert content == (origin / "references" / "jwst" / "nircam" / GAIN).read_bytes()
    assert double.fetched(GAIN) == 2
    assert files(empty_cache) == [GAIN]


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (Faults(status=500), "status 500"),
        (Faults(wrong=True), "not what the server says it is"),
        (Faults(short=True), "ends after 102399 of 102400 bytes"),
        (Faults(truncate=0), "breaks off"),
        (Faults(endless=True), "not what the server says it is"),
        (Faults(slow=0.6), "cannot be read"),
    ],
)
def test_what_always_goes_wrong_never_gets_its_name(
    double: CrdsServer, empty_cache: Path, faults: Faults, reason: str
) -> None:
    double.faults = faults
    faults.files = (GAIN,)
    with pytest.raises(ServerError, match=reason):
        fetcher(double, attempts=2).fetch(GAIN)
    assert GAIN not in files(empty_cache)
    assert double.fetched(GAIN) >= 2


def test_a_server_that_lies_about_checksums_gives_nothing(double: CrdsServer, empty_cache: Path) -> None:
    double.faults = Faults(lies=True)
    with pytest.raises(ServerError, match="not what the server says it is"):
        fetcher(double).fetch(GAIN)
    assert files(empty_cache) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_what_broke_off_is_continued_where_the_server_can(
    double: CrdsServer, empty_cache: Path, origin: Path, ranges: bool
) -> None:
    double.faults = Faults(truncate=90000, files=(GAIN,), times=1, no_ranges=not ranges)
    fetch = fetcher(double, attempts=1)
    with pytest.raises(ServerError, match="breaks off"):
        fetch.fetch(GAIN)
    (part,) = (empty_cache / "references" / "jwst" / "nircam").iterdir()
    assert part.name == f".{GAIN}.part"
    have = part.stat().st_size
    assert have
    path = fetch.fetch(GAIN)
    assert double.requests[-1][1] == f"bytes={have}-"
    assert path.read_bytes() == (origin / "references" / "jwst" / "nircam" / GAIN).read_bytes()


def test_a_part_of_something_else_is_not_continued_for_ever(double: CrdsServer, empty_cache: Path) -> None:
    folder = empty_cache / "references" / "jwst" / "nircam"
    folder.mkdir(parents=True)
    (folder / f".{GAIN}.part").write_bytes(b"x" * 1000)
    assert fetcher(double).fetch(GAIN).stat().st_size == 102400
    (folder / GAIN).unlink()
    (folder / f".{GAIN}.part").write_bytes(b"x" * 200000)
    assert fetcher(double).fetch(GAIN).stat().st_size == 102400


def test_what_the_server_does_not_have_is_asked_for_once(double: CrdsServer, empty_cache: Path) -> None:
    with pytest.raises(Refused, match=r"is not a file that .* knows"):
        fetcher(double).fetch("jwst_nircam_gain_0099.fits")
    double.faults = Faults(status=404, files=(GAIN,))
    with pytest.raises(Refused, match="status 404"):
        fetcher(double).fetch(GAIN)
    assert double.fetched(GAIN) == 1


def test_names_that_lead_out_of_the_cache_are_refused(double: CrdsServer, empty_cache: Path) -> None:
    for name in ("../../etc/passwd", "/etc/passwd", ".hidden", "a/b.fits", ""):
        with pytest.raises(ReferenceMissing, match="is not a name of CRDS"):
            fetcher(double).fetch(name)


def test_two_who_want_one_file_bring_it_once(double: CrdsServer, empty_cache: Path) -> None:
    double.faults = Faults(slow=0.1, files=(GAIN,))
    fetches = [threading.Thread(target=fetcher(double).fetch, args=(GAIN,)) for _ in range(4)]
    for each in fetches:
        each.start()
    for each in fetches:
        each.join()
    assert double.fetched(GAIN) == 1
    assert files(empty_cache) == [GAIN]


def test_the_lock_is_that_of_the_crds_client(tmp_path: Path) -> None:
    from filelock import FileLock, Timeout

    target = tmp_path / GAIN
    with alone(target, 1.0), pytest.raises(Timeout):
        FileLock(f"{target}.lock", timeout=0.1).acquire()
    with (
        FileLock(f"{target}.lock"),
        pytest.raises(ReferenceMissing, match="has been bringing"),
        alone(target, 0.1),
    ):
        raise AssertionError("two hold one lock")


def test_a_cache_on_read_only_storage_is_used_as_it_is(
    double: CrdsServer, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fetcher(double).fetch(GAIN)
    monkeypatch.setenv("CRDS_READONLY_CACHE", "1")
    assert fetcher(double).fetch(GAIN) == path
    with pytest.raises(ReferenceMissing, match="read-only"):
        fetcher(double).fetch("jwst_nircam_gain_0002.fits")


def test_a_full_disk_is_said_before_it_is_full(
    double: CrdsServer, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from calwebbd.stages.crds import fetch

    monkeypatch.setattr(fetch, "SPARE", 1 << 60)
    with pytest.raises(ReferenceMissing, match="there is no room"):
        fetcher(double).fetch(GAIN)
