"""A service and its hosts as machines of their own, in network namespaces: ``pytest -m namespaces``.

Calibration is fake; scheduler, hosts, network and certificates are real. The machines share a file system.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fake_calibration as fake
import pytest
from dask_cluster import DaskCluster, environment
from finished_night import check_every_product_is_there_once
from in_memory import tmp_path

from calwebbd.daemon.ask import asking

__all__ = ["tmp_path"]
pytestmark = [
    pytest.mark.namespaces,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="needs root and ip"),
]
LIB = Path(__file__).resolve().parents[1] / "lib"
EXPOSURES = 12
PATIENCE_S = 120.0
HEAD = "10.77.0.1"
HOSTS = {"one": "10.77.0.2", "two": "10.77.0.3"}
CONFIG = """
[folders]
watch = ["in"]
output = "out"
state = "state"
[crds]
context = "jwst_0001.pmap"
[workers]
engine = "dask"
scheduler = "tls://10.77.0.1:8786"
memory_mb = 4000
[watch]
settle_seconds = 0.05
"""


class Network:
    """A machine for the service, one for each host, and a bridge that joins them."""

    def __init__(self) -> None:
        self._prefix = f"calwebbd-{os.getpid()}-"
        self._made: list[str] = []
        try:
            self._machine("head")
            self._at("head", "link", "add", "bridge", "type", "bridge")
            self._at("head", "link", "set", "bridge", "up")
            self._at("head", "address", "add", f"{HEAD}/24", "dev", "bridge")
            for name, address in HOSTS.items():
                self._join(name, address)
        except subprocess.CalledProcessError:
            self.remove()
            pytest.skip("may not make network namespaces here")

    def within(self, name: str) -> list[str]:
        """What comes before a command, to run on that machine."""
        return ["ip", "netns", "exec", self._prefix + name]

    def cut(self, name: str) -> None:
        self._at("head", "link", "set", name, "down")

    def mend(self, name: str) -> None:
        self._at("head", "link", "set", name, "up")

    def remove(self) -> None:
        for name in self._made:
            _ip("netns", "delete", name)

    def _machine(self, name: str) -> None:
        _ip("netns", "add", self._prefix + name)
        self._made.append(self._prefix + name)
        self._at(name, "link", "set", "lo", "up")

    def _join(self, name: str, address: str) -> None:
        self._machine(name)
        peer = ["peer", "name", name, "netns", self._prefix + "head"]
        self._at(name, "link", "add", "eth0", "type", "veth", *peer)
        self._at("head", "link", "set", name, "master", "bridge", "up")
        self._at(name, "address", "add", f"{address}/24", "dev", "eth0")
        self._at(name, "link", "set", "eth0", "up")

    def _at(self, name: str, *arguments: str) -> None:
        _ip("-netns", self._prefix + name, *arguments)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def network() -> Iterator[Network]:
    found = Network()
    yield found
    found.remove()


@pytest.fixture
def cluster(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DaskCluster]:
    """Nothing runs yet; all of it will speak TLS."""
    subject = ["-subj", "/CN=calwebbd", "-days", "1", "-keyout", "key.pem", "-out", "cert.pem"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TLS__CA_FILE", str(tmp_path / "cert.pem"))
    for who in ("SCHEDULER", "WORKER", "CLIENT"):
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{who}__CERT", str(tmp_path / "cert.pem"))
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{who}__KEY", str(tmp_path / "key.pem"))
    found = DaskCluster(tmp_path, listen=f"tls://{HEAD}")
    found.within = {name: network.within(name) for name in HOSTS} | {"scheduler": network.within("head")}
    yield found
    found.stop()


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """A configuration, and exposures that take until `go` is there."""
    (tmp_path / "in").mkdir()
    (tmp_path / "calwebbd.toml").write_text(CONFIG)
    for exposure in range(1, EXPOSURES + 1):
        until = str(tmp_path / "go")
        fake.expose(tmp_path / "in", exposure, of=EXPOSURES, text=f"light{exposure}", UNTIL=until)
    return tmp_path


@pytest.fixture
def service(night: Path, network: Network, cluster: DaskCluster) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, str(LIB / "fake_service.py"), str(night / "calwebbd.toml"), "--once"]
    with (night / "log").open("ab") as log:
        process = subprocess.Popen([*network.within("head"), *command], env=environment(), stderr=log)
    yield process
    process.kill()
    process.wait()


def busy(night: Path) -> set[str]:
    """Hosts with jobs in hand, as the service last told."""
    with asking(night / "state" / "calwebbd.db") as ask:
        return {host["name"] for host in ask.status()["cluster"].get("hosts", []) if host["jobs"]}


def until(condition: Callable[[], object], night: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, _logs(night)
        time.sleep(0.1)


def _logs(night: Path) -> str:
    return "\n\n".join(f"{path}:\n{path.read_text()[-2000:]}" for path in sorted(night.glob("*log")))


def said(night: Path, words: str) -> bool:
    return words in (night / "log").read_text()


def test_hosts_cut_off_and_killed_and_a_scheduler_lost_cost_only_attempts(
    night: Path, network: Network, cluster: DaskCluster, service: "subprocess.Popen[bytes]"
) -> None:
    cluster.schedule(port=8786)
    for name in HOSTS:
        cluster.host(name)
    until(lambda: said(night, '"event": "started"') and busy(night) == {"one", "two"}, night)

    network.cut("one")
    until(lambda: said(night, "one: its host is gone"), night)
    until(lambda: busy(night) == {"two"}, night)
    cluster.kill("two")
    until(lambda: said(night, "two: its host is gone"), night)

    network.mend("one")
    cluster.processes.pop("one").wait(timeout=PATIENCE_S)  # it has lost its scheduler
    for name in HOSTS:
        cluster.host(name)
    until(lambda: busy(night) == {"one", "two"}, night)
    cluster.kill("scheduler")
    until(lambda: busy(night) == set(), night)
    for name in HOSTS:
        cluster.processes.pop(name).wait(timeout=PATIENCE_S)
    cluster.schedule(port=8786)
    for name in HOSTS:
        cluster.host(name)

    (night / "go").touch()
    assert service.wait(timeout=PATIENCE_S) == 0
    check_every_product_is_there_once(night, EXPOSURES)
