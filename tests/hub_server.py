"""A small dataset hub on loopback, for tests: the requests that the hub's client makes, and the ways they fail.

`<root>/<owner>/<name>/` is the main branch of a dataset; `<root>/<owner>/<name>@refs+convert+parquet/` is another
branch of it (`+` stands for `/`). `faults` says what goes wrong and may be changed at any time; `requests` lists what
was asked for.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

PIECE = 1 << 16


@dataclass
class Faults:
    """What goes wrong. Paths are matched by substring, datasets by id; nothing goes wrong by default."""

    unavailable: bool = False  # 503 for everything
    unavailable_every: int = 0  # 503 for every Nth request of a file
    cut_off: str | None = None  # the connection ends in the middle of the body
    shortened: str | None = None  # half of the body, as if it were whole; listings still give the whole size
    dropped: bool = False  # the connection ends without an answer
    cut_off_every: int = 0  # as `cut_off`, for every Nth GET of a file
    shortened_every: int = 0  # as `shortened`, for every Nth
    dropped_every: int = 0  # as `dropped`, for every Nth
    garbled: str | None = None  # the last half of each body is other bytes
    hang: str | None = None  # no answer to GET until the server is reset
    gated: set[str] = field(default_factory=set)  # 403 for files, with the hub's code for gated datasets
    login: set[str] = field(default_factory=set)  # 401 for everything
    forbidden: set[str] = field(default_factory=set)  # 403 for everything


class HubServer:
    """The server; `url` is what HF_ENDPOINT is set to."""

    def __init__(self) -> None:
        self.root: Path | None = None
        self.faults = Faults()
        self.requests: list[str] = []
        self.moved: dict[str, str] = {}  # former id -> present id, of which the hub answers under both
        self.released = threading.Event()
        self.ranges: list[tuple[str, int, int]] = []  # path, first byte and byte after the last of each GET of a file
        self.seconds = 0.0  # time that each answer of a file waits
        self.delivered = 0  # bytes of bodies that went out
        self._files_served = self._files_sent = 0
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def reset(self, root: Path | None = None) -> None:
        """Serves another folder, without faults; requests that hang are let go."""
        self.released.set()
        self.released = threading.Event()
        self.root, self.faults, self.requests, self.moved = root, Faults(), [], {}
        self.ranges, self.seconds, self.delivered, self._files_served, self._files_sent = [], 0.0, 0, 0, 0

    @property
    def sent(self) -> int:
        """Bytes of files that were asked for since the server was reset."""
        return sum(stop - start for _, start, stop in self.ranges)

    def close(self) -> None:
        """Stops the server."""
        self.reset()
        self._server.shutdown()
        self._server.server_close()

    def fails_now(self) -> bool:
        """Counts a request of a file; True for each that is to fail."""
        self._files_served += 1
        every = self.faults.unavailable_every
        return bool(every) and self._files_served % every == 0

    def next_sent(self) -> int:
        """Counts a GET of a file."""
        self._files_sent += 1
        return self._files_sent

    def split(self, path: str) -> tuple[str, list[str]] | None:
        """`owner/name/rest` or `name/rest` as (id, rest); None where there is no such dataset."""
        parts = path.split("/")
        for length in (2, 1):
            name = "/".join(parts[:length])
            name = self.moved.get(name, name)
            if self.root is not None and len(parts) >= length and any((self.root / name).glob("*.*")):
                return name, [unquote(part) for part in parts[length:]]
        return None

    def tree(self, name: str, revision: str) -> tuple[Path, str] | None:
        """The folder of a revision (branch or commit) and its commit."""
        assert self.root is not None
        folder = self.root / name
        for candidate in (folder, *sorted(folder.parent.glob(f"{folder.name}@*"))):
            branch = candidate.name.partition("@")[2].replace("+", "/") or "main"
            commit = _commit(candidate)
            if revision in (branch, commit):
                return candidate, commit
        return None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _commit(folder: Path) -> str:
    total = hashlib.sha1()
    for path in _files(folder):
        total.update(f"{path.relative_to(folder)} {_blob(path)}\n".encode())
    return total.hexdigest()


def _blob(path: Path) -> str:
    stat = path.stat()
    return _blob_of(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(4096)
def _blob_of(path: Path, size: int, changed: int) -> str:
    total = hashlib.sha1(b"blob %d\0" % size)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def _entry(folder: Path, path: Path) -> dict[str, object]:
    name = path.relative_to(folder).as_posix()
    if path.is_dir():
        return {"type": "directory", "path": name, "oid": "0" * 40, "size": 0}
    return {"type": "file", "path": name, "oid": _blob(path), "size": path.stat().st_size}


def _meant(part: str | None, every: int, path: Path, number: int) -> bool:
    """Whether a fault is meant for a file, by its path or by the number of the GET."""
    return bool(part and part in str(path)) or bool(every and number % every == 0)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes, of which the second would wait for 40 ms
    server_hub: HubServer

    def log_message(self, format: str, *args: object) -> None:
        """Requests are kept in `HubServer.requests`, nothing is printed."""

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _answer(self, body: bytes) -> None:
        hub = self.server_hub
        url = urlsplit(self.path)
        hub.requests.append(f"{self.command} {unquote(url.path)}")
        if hub.faults.dropped:
            self.close_connection = True
            return
        if self.command == "GET" and hub.faults.hang and hub.faults.hang in unquote(url.path):
            hub.released.wait(60)
            self.close_connection = True
            return
        if hub.faults.unavailable:
            return self._send(503, {"error": "unavailable"})
        kind, path = ("api", url.path[14:]) if url.path.startswith("/api/datasets/") else ("file", url.path[10:])
        found = hub.split(path) if url.path.startswith(("/api/datasets/", "/datasets/")) else None
        name = "/".join(path.split("/")[:2])
        if name in hub.faults.login:
            return self._send(401, {"error": "Invalid username or password."})
        if name in hub.faults.forbidden:
            return self._send(403, {"error": "Forbidden"})
        if found is None:
            return self._send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        if kind == "api":
            return self._api(*found, parse_qs(url.query), body)
        return self._file(*found)

    def _api(self, name: str, rest: list[str], query: dict[str, list[str]], body: bytes) -> None:
        found = self.server_hub.tree(name, rest[1] if len(rest) > 1 else "main")
        if found is None:
            return self._send(404, {"error": "no such revision"}, {"X-Error-Code": "RevisionNotFound"})
        folder, commit = found
        verb = rest[0] if rest else "revision"
        if verb == "revision":
            gated = "manual" if name in self.server_hub.faults.gated else False
            siblings = [{"rfilename": path.relative_to(folder).as_posix()} for path in _files(folder)]
            about = {"id": name, "sha": commit, "gated": gated, "private": False, "siblings": siblings, "tags": []}
            return self._send(200, about)
        if verb == "tree":
            start = folder / "/".join(rest[2:])
            if not start.is_dir():
                return self._send(404, {"error": "no such entry"}, {"X-Error-Code": "EntryNotFound"})
            deep = query.get("recursive", [""])[0].lower() in ("1", "true")
            return self._send(
                200, [_entry(folder, path) for path in sorted(start.rglob("*") if deep else start.iterdir())]
            )
        if verb == "paths-info":
            try:
                wanted = json.loads(body)["paths"]
            except json.JSONDecodeError:
                wanted = parse_qs(body.decode()).get("paths", [])
            return self._send(200, [_entry(folder, folder / path) for path in wanted if (folder / path).exists()])
        return self._send(404, {"error": "no such entry"}, {"X-Error-Code": "EntryNotFound"})

    def _file(self, name: str, rest: list[str]) -> None:
        hub = self.server_hub
        if name in hub.faults.gated:
            return self._send(403, {"error": "gated"}, {"X-Error-Code": "GatedRepo"})
        found = hub.tree(name, rest[1]) if len(rest) > 2 and rest[0] == "resolve" else None
        if found is None:
            return self._send(404, {"error": "no such revision"}, {"X-Error-Code": "RevisionNotFound"})
        folder, commit = found
        path = folder / "/".join(rest[2:])
        headers = {"X-Repo-Commit": commit}
        if not path.is_file():
            return self._send(404, {"error": "no such entry"}, headers | {"X-Error-Code": "EntryNotFound"})
        if hub.fails_now():
            return self._send(503, {"error": "unavailable"})
        size = path.stat().st_size
        headers |= {"ETag": f'"{_blob(path)}"', "Accept-Ranges": "bytes"}
        if self.command != "GET":
            return self._send(200, path.read_bytes(), headers)
        number, faults = hub.next_sent(), hub.faults
        time.sleep(hub.seconds)
        if faults.dropped_every and number % faults.dropped_every == 0:
            self.close_connection = True
            return
        if _meant(faults.shortened, faults.shortened_every, path, number):
            return self._send(200, path.read_bytes()[: size // 2], headers)
        span = self.headers.get("Range", "").removeprefix("bytes=")
        first, _, last = span.partition("-")
        start, stop = int(first or 0), min(int(last or size - 1), size - 1) + 1
        hub.ranges.append((path.name, start, stop))
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(stop - start)
        if faults.garbled and faults.garbled in str(path):
            data = data[: len(data) // 2] + bytes(255 - byte for byte in data[len(data) // 2 :])
        if span:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        cut = _meant(faults.cut_off, faults.cut_off_every, path, number)
        return self._send(206 if span else 200, data, headers, sent=len(data) // 2 if cut else None)

    def _send(self, status: int, body: object, headers: dict[str, str] | None = None, sent: int | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if body is data else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            body = memoryview(data)[:sent]
            for start in range(0, len(body), PIECE):
                self.server_hub.delivered += self.wfile.write(body[start : start + PIECE])
        if sent is not None:
            self.close_connection = True
