"""The programs of the README, as they stand there."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest
from bus_process import PROGRAM, BusProcess

README = pathlib.Path(__file__).parents[1] / "README.md"

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="the server is not here: this is not its repository")


def test_s1_5_1_the_programs_of_the_first_minute_run(tmp_path: pathlib.Path) -> None:
    """S1-5.1: import, connect, send, read."""
    server = BusProcess()
    server.start()
    try:
        first, second = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)[:2]
        first = first.replace("http://127.0.0.1:7400", server.url)
        second = second.replace("AgentBus()", f"AgentBus({server.url!r})")
        assert [_run(first, tmp_path), _run(second, tmp_path)] == [
            "alice hi science:explore\nalice {'secret': 42} _inbox:bob\n",
            "science:explore@EPOCH.2\nalice hi\nalice hi\n",
        ]
    finally:
        server.kill()


def _run(program: str, folder: pathlib.Path) -> str:
    path = folder / "program.py"
    path.write_text(program)
    source = str(README.parent / "src")
    run = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=50, env={"PYTHONPATH": source}
    )
    assert run.returncode == 0, run.stderr
    return re.sub(r"@[0-9a-f]{8}\.", "@EPOCH.", run.stdout)
