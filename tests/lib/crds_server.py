"""A CRDS server on loopback: speaks what the `crds` client asks, and misbehaves when told to.

It serves a cache as `calwebbd simulate` makes it. JSON-RPC requests are POSTs to
``/json/METHOD/ID/``; files are GETs of ``/unchecked_get/{mappings,references}/jwst/NAME``.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from calwebbd.stages.simulate import mappings

INFINITE = 1 << 40


@dataclass
class Faults:
    """What goes wrong. `files` : names of files it concerns, all if empty; `times` : how often, at most.

    slow : s before each answer
    down : connections are closed without a word
    status : answered instead of content, as 500 or 403
    truncate : bytes after which the connection ends, though the length said more
    wrong : one byte of each file is another one
    short : a file without its last byte, under the true name
    endless : a body that never ends
    garbage : JSON-RPC is answered with text that is no JSON
    no_ranges : a Range is answered with the whole file
    lies : checksums in the file info are those of other content
    """

    slow: float = 0.0
    down: bool = False
    status: int = 0
    truncate: int | None = None
    wrong: bool = False
    short: bool = False
    endless: bool = False
    garbage: bool = False
    no_ranges: bool = False
    lies: bool = False
    files: tuple[str, ...] = ()
    times: int = 1 << 30

    def meet(self, name: str) -> bool:
        """Whether this request is one that goes wrong; counts it."""
        concerned = (not self.files or name in self.files) and self.times > 0
        self.times -= concerned
        return concerned


@dataclass
class CrdsServer:
    """The server's state; tests change it while it runs.

    cache : folder of what it serves
    contexts : the answer for each state: latest, edit, build, …
    requests : (method or path, parameters or Range) of all requests so far
    """

    cache: Path
    contexts: dict[str, str]
    bad_files: list[str] = field(default_factory=list)
    builds: dict[str, str] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    requests: list[tuple[str, Any]] = field(default_factory=list)
    url: str = ""

    def find(self, name: str) -> Path | None:
        return next((path for path in self.cache.rglob(name) if path.is_file()), None)

    def fetched(self, name: str) -> int:
        """How often a file was asked for."""
        return sum(path.endswith("/" + name) for path, _ in self.requests)

    def file_info(self) -> dict[str, dict[str, str]]:
        folders = (self.cache / "mappings" / "jwst", self.cache / "references" / "jwst")
        files = (path for folder in folders for path in folder.rglob("jwst_*.*map") if path.is_file())
        references = (path for path in folders[1].rglob("*") if path.is_file())
        return {path.name: self._sum(path) for path in (*files, *references)}

    def _sum(self, path: Path) -> dict[str, str]:
        content = path.read_bytes() + (b"lie" if self.faults.lies else b"")
        return {"sha1sum": hashlib.sha1(content).hexdigest(), "size": str(path.stat().st_size)}

    def get_server_info(self) -> dict[str, Any]:
        content = gzip.compress(json.dumps(self.file_info()).encode())
        urls = {
            f"{kind}_url": {"jwst": f"{self.url}/unchecked_get/{folder}/jwst/"}
            for kind, folder in (
                ("mapping", "mappings"),
                ("reference", "references"),
                ("config", "config"),
                ("pickle", "pickles"),
            )
        }
        return {
            "observatory": "jwst",
            "status": "server",
            "connected": True,
            **{f"{state}_context": name for state, name in self.contexts.items()},
            "operational_context": self.contexts["latest"],
            "bad_files_list": self.bad_files,
            "crds_version": {"str": "14.0.3"},
            "force_remote_mode": False,
            "last_synced": "2026-01-01 00:00:00",
            "mappings": sorted(p.name for p in (self.cache / "mappings" / "jwst").iterdir()),
            "download_metadata": {
                "crds_encoded": "1.0",
                "crds_payload": base64.b64encode(content).decode(),
            },
            **urls,
        }

    def get_default_context(self, observatory: str, state: str | None = None) -> str:
        return self.contexts[state or "latest"]

    def get_build_context(self, observatory: str, version: str) -> str:
        return self.builds[version]

    def get_context_by_date(self, date: str, observatory: str) -> str:
        return self.contexts["latest"]

    def get_context_history(self, observatory: str) -> list[list[str]]:
        return [["2026-01-01 00:00:00", name, "a delivery"] for name in sorted(self.contexts.values())]

    def get_mapping_names(self, context: str) -> list[str]:
        return self._rules(context).mapping_names()  # type: ignore[no-any-return]

    def get_reference_names(self, context: str) -> list[str]:
        return self._rules(context).reference_names()  # type: ignore[no-any-return]

    def list_mappings(self, observatory: str, pattern: str) -> list[str]:
        return sorted(p.name for p in (self.cache / "mappings" / "jwst").glob(pattern))

    def list_references(self, observatory: str, pattern: str) -> list[str]:
        return sorted(p.name for p in (self.cache / "references" / "jwst").rglob(pattern) if p.is_file())

    def get_file_info(self, context: str, name: str) -> dict[str, str]:
        return self.file_info()[name]

    def get_file_info_map(
        self, observatory: str, files: list[str] | None = None, fields: list[str] | None = None
    ) -> dict[str, dict[str, str]]:
        known = self.file_info()
        missing = {"size": "NOT FOUND", "sha1sum": "NOT FOUND"}
        return {name: known.get(name, missing) for name in files or known}

    def get_best_references(self, context: str, header: dict[str, str], types: list[str] | None) -> Any:
        return self._rules(context).get_best_references(header, types)

    def get_required_parkeys(self, context: str) -> Any:
        return self._rules(context).get_required_parkeys()

    def _rules(self, context: str) -> Any:
        from crds.core import rmap

        folder = self.cache / "mappings" / "jwst"
        return rmap.load_mapping(str(folder / context), path=str(folder))


def small_cache(folder: Path) -> Path:
    """Two contexts of one rmap each, which choose files of a few bytes."""
    rules, files = folder / "mappings" / "jwst", folder / "references" / "jwst" / "nircam"
    rules.mkdir(parents=True)
    files.mkdir(parents=True)
    for n in (1, 2):
        gain = f"jwst_nircam_gain_000{n}.fits"
        (files / gain).write_bytes(bytes(range(256)) * 400 * n)
        rmap, imap = f"jwst_nircam_gain_000{n}.rmap", f"jwst_nircam_000{n}.imap"
        clauses = {("NRCA1",): gain, ("NRCA2",): "jwst_nircam_gain_0001.fits"}
        mappings.write_rmap(rules / rmap, "NIRCAM", "gain", ("META.INSTRUMENT.DETECTOR",), clauses)
        mappings.write_imap(rules / imap, "NIRCAM", {"gain": rmap})
        mappings.write_pmap(rules / f"jwst_000{n}.pmap", {"NIRCAM": imap})
    return folder


@contextmanager
def serve(cache: Path, latest: str = "jwst_0002.pmap", **states: str) -> Iterator[CrdsServer]:
    """Run a server in a thread for as long as the block."""
    contexts = {"latest": latest, "edit": latest, "build": latest, "versions": latest} | states
    server = CrdsServer(cache, contexts)
    with ThreadingHTTPServer(("localhost", 0), _handler(server)) as http:
        http.daemon_threads = True
        http.block_on_close = False
        server.url = f"http://localhost:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def _handler(server: CrdsServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Tests are quiet."""

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            method, parameters = asked["method"], asked["params"]
            server.requests.append((method, parameters))
            faults = server.faults
            if faults.meet(method):
                time.sleep(faults.slow)
                if faults.down:
                    self.close_connection = True
                    return
                if faults.status:
                    self._send(faults.status, b"a fault")
                    return
                if faults.garbage:
                    self._send(200, b"<html>maintenance</html>")
                    return
                if faults.endless:
                    self._stream(lambda: b" " * 65536, INFINITE)
                    return
            answer = {"id": asked["id"], "jsonrpc": "1.0", "result": None, "error": None}
            try:
                answer["result"] = getattr(server, method)(*parameters)
            except Exception as error:
                answer["error"] = {"message": f"{type(error).__name__}: {error}", "code": 500}
            self._send(200, json.dumps(answer).encode())

        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            server.requests.append((self.path, self.headers.get("Range")))
            path = server.find(name)
            if path is None:
                self._send(404, b"no such file")
                return
            faults, content = server.faults, path.read_bytes()
            faulty = faults.meet(name)
            if faulty:
                time.sleep(faults.slow)
                if faults.down:
                    self.close_connection = True
                    return
                if faults.status:
                    self._send(faults.status, b"a fault")
                    return
                if faults.wrong:
                    content = content[:-1] + bytes([content[-1] ^ 1])
                if faults.short:
                    content = content[:-1]
                if faults.endless:
                    self._stream(lambda: b"\0" * 65536, INFINITE)
                    return
            start = 0
            if (ranged := self.headers.get("Range")) and not faults.no_ranges:
                start = int(ranged.removeprefix("bytes=").partition("-")[0])
            if start >= len(content) > 0 and start:
                self._send(416, b"")
                return
            body, length = content[start:], len(content) - start
            cut = faults.truncate if faulty else None
            headers = {"Content-Length": str(length)}
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._send(206 if start else 200, body if cut is None else body[:cut], headers)
            self.close_connection = cut is not None or self.close_connection

        def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            try:
                self.send_response(status)
                for key, value in (headers or {"Content-Length": str(len(body))}).items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _stream(self, more: Callable[[], bytes], length: int) -> None:
            try:
                self.send_response(200)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                while True:
                    self.wfile.write(more())
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

    return Handler
