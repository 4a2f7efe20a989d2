"""Ask a CRDS server: JSON-RPC and plain HTTP, with limits that the crds client does not have.

An answer has a largest size and a latest time, so that a server which is slow, broken or
hostile costs a minute and one sentence. Source: specification crds §4.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import urllib3

from calwebbd.stages.errors import ReferenceMissing

LARGEST_ANSWER = 64 * 2**20  #: bytes, encoded or not
CHUNK = 2**16


class ServerError(ReferenceMissing):
    """The server cannot be reached, refuses, or does not say what a CRDS server says."""


class Refused(ServerError):
    """It says that it does not have what was asked for: asking again is of no use."""


@dataclass(frozen=True)
class Limits:
    """connect_s, silent_s : until a connection, and until the next byte
    answer_s : until the end of a JSON answer
    slowest : bytes/s; a file has the time that it takes at this rate, and `answer_s`
    """

    connect_s: float = 10.0
    silent_s: float = 30.0
    answer_s: float = 120.0
    slowest: float = 20_000.0


@dataclass(frozen=True)
class Sum:
    """What a file must be: SHA-1 ("" if nobody knows it) and size in bytes."""

    sha1: str
    size: int


@dataclass
class Server:
    url: str
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        timeout = urllib3.Timeout(connect=self.limits.connect_s, read=self.limits.silent_s)
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False, maxsize=4)
        self._ids = itertools.count(1)

    def info(self) -> dict[str, Any]:
        """What the server says about itself: contexts, folders of files, bad files, sums."""
        answer = self.ask("get_server_info")
        if not isinstance(answer, dict) or not isinstance(answer.get("mapping_url"), dict):
            raise ServerError(f"{self.url} does not describe itself as a CRDS server does")
        if "download_metadata" not in answer:
            sums = self.ask("get_file_info_map", "jwst", None, ["sha1sum", "size"])
            answer["download_metadata"] = sums
        return answer

    def build_context(self, version: str) -> str:
        """The context that belongs to this version of the official package."""
        return str(self.ask("get_build_context", "jwst", version))

    def ask(self, method: str, *parameters: Any) -> Any:
        """One remote procedure call. Raises ServerError."""
        name = f"calwebbd-{os.getpid()}-{next(self._ids):08x}"
        question = {"jsonrpc": "1.0", "method": method, "params": parameters, "id": name}
        latest = time.monotonic() + self.limits.answer_s
        try:
            with self._pool.urlopen(
                "POST",
                f"{self.url}/json/{method}/{name}/",
                body=json.dumps(question),
                headers={"Content-Type": "application/json"},
                preload_content=False,
                redirect=True,
            ) as response:
                if response.status != 200:
                    raise ServerError(f"{self.url} answers {method} with status {response.status}")
                answer = json.loads(self._all(response, latest))
        except urllib3.exceptions.HTTPError as error:
            raise ServerError(f"{self.url} does not answer {method} ({said(error)})") from error
        except (ValueError, RecursionError) as error:
            raise ServerError(f"{self.url} answers {method} with what is no JSON") from error
        if not isinstance(answer, dict) or "result" not in answer:
            raise ServerError(f"{self.url} answers {method} with no result")
        if answer.get("error"):
            raise ServerError(f"{self.url} answers {method} with an error: {_message(answer['error'])}")
        return decode(answer["result"])

    def _all(self, response: urllib3.BaseHTTPResponse, latest: float) -> bytes:
        body = bytearray()
        for chunk in response.stream(CHUNK):
            body += chunk
            if len(body) > LARGEST_ANSWER or time.monotonic() > latest:
                raise ServerError(f"an answer of {self.url} does not end")
        return bytes(body)

    def bytes_of(self, url: str, start: int, size: int) -> tuple[int, Iterator[bytes]]:
        """A file's content from byte `start` on, or from 0 if the server starts there; and which it is.

        No more than `size` bytes, and one more if there are any. Raises Refused if the server
        does not have it, ServerError.
        """
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        try:
            response = self._pool.request("GET", url, headers=headers, preload_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise ServerError(f"{url} cannot be read ({said(error)})") from error
        if response.status in (400, 401, 403, 404, 410, 451):
            response.close()
            raise Refused(f"{url} is refused with status {response.status}")
        if response.status == 416:  # what we have cannot be a part of it
            response.close()
            return self.bytes_of(url, 0, size)
        if response.status not in (200, 206):
            response.close()
            raise ServerError(f"{url} is answered with status {response.status}")
        begins = start if response.status == 206 else 0
        return begins, self._limited(url, response, size - begins)

    def _limited(self, url: str, response: urllib3.BaseHTTPResponse, most: int) -> Iterator[bytes]:
        latest = time.monotonic() + self.limits.answer_s + most / self.limits.slowest
        left = most
        try:
            for chunk in response.stream(CHUNK):
                yield chunk[: left + 1]
                left -= len(chunk)
                if left < 0:
                    return
                if time.monotonic() > latest:
                    raise ServerError(f"{url} comes too slowly")
        except urllib3.exceptions.HTTPError as error:
            raise ServerError(f"{url} breaks off ({said(error)})") from error
        finally:
            response.close()


def sums_of(info: Mapping[str, Any]) -> dict[str, Sum]:
    """What each file of the server must be, by name. Raises ServerError."""
    table = decode(info.get("download_metadata") or {})
    try:
        return {str(name): _sum(entry) for name, entry in table.items() if "NOT FOUND" not in str(entry)}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ServerError(f"the server's file information cannot be read ({error})") from error


def folder_url(info: Mapping[str, Any], kind: str) -> str:
    """Address of the folder of mappings, or of references; always with a final slash."""
    table = info.get(f"{kind}_url") or {}
    table = table.get("unchecked", table)
    url = table.get("jwst") if isinstance(table, dict) else None
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise ServerError(f"the server does not say where its {kind}s are")
    return url.rstrip("/") + "/"


def decode(value: Any) -> Any:
    """Undo the server's way of sending large tables (JSON, gzip, base64). Raises ServerError."""
    if not isinstance(value, dict) or "crds_encoded" not in value:
        return value
    try:
        packed = base64.b64decode(value["crds_payload"], validate=True)
        unpacker = zlib.decompressobj(wbits=31)
        content = unpacker.decompress(packed, LARGEST_ANSWER)
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise ServerError("the server's table is larger than any, or has no end")
        return json.loads(content)
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error, RecursionError) as error:
        raise ServerError(f"the server's table cannot be unpacked ({error})") from error


def said(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _sum(entry: Mapping[str, Any]) -> Sum:
    sha1 = str(entry["sha1sum"]).lower()
    return Sum("" if sha1 == "none" else sha1, int(entry["size"]))


def _message(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return " ".join(str(message).split())[:200]
