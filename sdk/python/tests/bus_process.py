"""The real server, as a process."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import threading

REPOSITORY = pathlib.Path(__file__).parents[3]
PROGRAM = REPOSITORY / "bin" / "agentbus.js"


# Below those that systems give to whoever asks for any, and above those of scripts/servers/lasting-port.ts.
_PORTS = range(30_100, 32_700)


class BusProcess:
    """Starts on a free port; `kill` is kill -9, and `start` again takes the same port, which nobody gets meanwhile."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None
        self._log: threading.Thread | None = None
        self.port = _lasting_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [node_program(), str(PROGRAM), "serve", "--port", str(self.port), *self._arguments]
        self._process = subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout is not None
        said: list[str] = []
        for line in self._process.stdout:
            said.append(line)
            if line.startswith("{") and (told := json.loads(line)).get("msg") == "listening":
                self.port = told["port"]
                break
        else:
            self.kill()
            raise RuntimeError(f"the server did not start: {''.join(said)}")
        # Its log must be read, or it would block when the pipe is full.
        self._log = threading.Thread(target=self._process.stdout.read, daemon=True)
        self._log.start()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._log is not None and self._process.stdout is not None:
                self._log.join()
                self._process.stdout.close()
            self._process = None


def _lasting_port() -> int:
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"all ports from {_PORTS[0]} to {_PORTS[-1]} are taken")


def node_program() -> str:
    found = shutil.which("node", path=f"{REPOSITORY / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        raise RuntimeError("node is not here: run npm ci in the repository")
    return found
