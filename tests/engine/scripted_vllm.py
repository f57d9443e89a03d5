"""Stands for the process that becomes vLLM: same command line, pipes and HTTP paths, scripted by a file.

    python scripted_vllm.py SCRIPT REPORT_FD GO_FD MODEL [OPTION...]

SCRIPT is JSON: report, log (lines printed after go), load_s, exit (status instead of serving), kill (signal),
completion (status of /v1/completions), answers (by what is asked, of /v1/completions and of chats), chat
(status of /v1/chat/completions), dies (lines printed over the first chat, which it doesn't survive), asked (a
file of the questions), hang (stop answering once that file exists), term_s (how long SIGTERM takes). It knows
nothing of the entrypoint. /metrics counts the streams of /stream?s=SECONDS.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

RIGHT = {"ok": True, "devices": 1}


class Running:
    """Counts what is in flight."""

    def __init__(self) -> None:
        self.count = 0
        self.lock = threading.Lock()

    def change(self, by: int) -> None:
        with self.lock:
            self.count += by


def handler(script: dict[str, Any], running: Running) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            while script.get("hang") and Path(script["hang"]).exists():
                time.sleep(0.05)
            if url.path == "/metrics":
                text = f'vllm:num_requests_running{{engine="0"}} {float(running.count)}\n'
                self.reply(200, text + 'vllm:num_requests_waiting{engine="0"} 0.0\n')
            elif url.path == "/stream":
                running.change(1)
                try:
                    self.stream(float(parse_qs(url.query)["s"][0]))
                finally:
                    running.change(-1)
            else:
                self.reply(200, "")

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if script.get("asked"):
                with Path(script["asked"]).open("a") as file:
                    file.write(json.dumps({"path": self.path, **asked}) + "\n")
            chat = "chat" in self.path
            if chat and script.get("dies"):
                print("\n".join(script["dies"]), flush=True)
                os._exit(1)
            code = script.get("chat" if chat else "completion", 200)
            self.reply(code, json.dumps(self.answer(asked) if code == 200 else script.get("error", {})))

        def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
            text = asked["messages"][-1]["content"] if "messages" in asked else asked["prompt"]
            said = script.get("answers", {}).get(text, "")
            if isinstance(said, dict):
                return said
            choice = {"message": {"content": said}} if "messages" in asked else {"text": said}
            return {"choices": [{**choice, "finish_reason": "stop"}]}

        def stream(self, seconds: float) -> None:
            self.send_response(200)
            self.end_headers()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                self.wfile.write(b"data: x\n\n")
                time.sleep(0.05)
            self.wfile.write(b"data: [DONE]\n\n")

        def reply(self, code: int, text: str) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def serve(script: dict[str, Any], options: list[str]) -> None:
    port = next(int(o.partition("=")[2]) for o in options if o.startswith("--port="))
    time.sleep(script.get("load_s", 0))
    server = ThreadingHTTPServer(("127.0.0.1", port), handler(script, Running()))

    def leave(*_: object) -> None:
        time.sleep(script.get("term_s", 0))
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    server.serve_forever()


def main(argv: list[str]) -> None:
    script = json.loads(Path(argv[0]).read_text())
    if script.get("record"):
        Path(script["record"]).write_text(json.dumps({"words": argv[3:], "env": dict(os.environ)}))
    time.sleep(script.get("report_s", 0))
    with os.fdopen(int(argv[1]), "w") as report:
        if script.get("report") != "none":
            report.write(json.dumps(script.get("report", RIGHT)) + "\n")
    for line in script.get("early", ()):
        print(line, flush=True)
    if "early_exit" in script:
        sys.exit(script["early_exit"])
    with os.fdopen(int(argv[2])) as go:
        if go.readline().strip() != "go":
            return
    for line in script.get("log", ()):
        print(line, flush=True)
    if "kill" in script:
        os.kill(os.getpid(), script["kill"])
    if "exit" in script:
        sys.exit(script["exit"])
    serve(script, argv[4:])


if __name__ == "__main__":
    main(sys.argv[1:])
