"""A registry in a thread of the test: the two calls of Confluent's REST interface that we make."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from streams.registry_topic import TopicSchemas


@contextmanager
def served_registry(behind: TopicSchemas | None, port: int = 0) -> Iterator[str]:
    """Serve the two calls of Confluent's REST interface that we make, as its documentation has them."""

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if behind is None:
                answers = {"/proxy": (404, b"{}"), "/html": (200, b"<html>"), "/down": (500, b'{"error_code":50001}')}
                self._answer(*answers["/" + self.path.split("/")[1]])
                return
            schema = behind.schema(int(self.path.rsplit("/", 1)[1]))
            if schema is None:
                self._answer(404, b'{"error_code":40403,"message":"Schema not found"}')
            else:
                self._answer(200, json.dumps({"schema": schema.decode()}).encode())

        def do_POST(self) -> None:
            assert behind is not None
            schema = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["schema"]
            if schema == "not Avro":
                self._answer(422, b'{"error_code":42201,"message":"not Avro"}')
                return
            subject = self.path.split("/")[2].replace("%20", " ").replace("%2F", "/")
            self._answer(200, json.dumps({"id": behind.register(subject, schema.encode())}).encode())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Registry)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
