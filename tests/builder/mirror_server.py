"""A mirror on this machine's loopback: serves a folder, counts what was asked for, can cut a file short."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Mirror(ThreadingHTTPServer):
    """``asked``: paths of all requests; ``ranges``: their Range headers; ``cut``: path -> bytes to send before hanging up."""

    asked: list[str]
    ranges: list[str]
    cut: dict[str, int]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/debian"


class _Handler(SimpleHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.ranges.append(self.headers.get("Range", ""))
        whole = Path(self.translate_path(self.path))
        if not whole.is_file():
            self.send_error(404)
            return
        content = whole.read_bytes()
        start = int(self.server.ranges[-1].removeprefix("bytes=").rstrip("-") or 0)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(content[start:][: self.server.cut.pop(self.path, len(content))])

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def mirror(folder: Path) -> Iterator[Mirror]:
    """Serve ``folder`` as a mirror's root."""
    server = Mirror(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    server.asked, server.ranges, server.cut = [], [], {}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
