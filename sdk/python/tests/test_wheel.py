"""The package as users get it: built, installed into an environment of its own, used outside the repository."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

PROJECT = pathlib.Path(__file__).parents[1]

PROGRAM = """
import asyncio, sys
import agentbus, agentbus.sync
from agentbus.v1 import bus_service_pb2

assert agentbus.__file__.startswith(sys.prefix), agentbus.__file__
assert bus_service_pb2.PublishRequest(agent_id="alice").agent_id == "alice"

async def main():
    async with agentbus.AgentBus("http://127.0.0.1:1", call_timeout=1) as bus:
        try:
            await bus.ping()
        except agentbus.BusError as error:
            print(error.code)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Built without isolation: the build backend is that of the development environment, so nothing is fetched."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(PROJECT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_its_types_and_nothing_else(wheel: pathlib.Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"agentbus"}
    for wanted in (
        "agentbus/py.typed",
        "agentbus/sync/bus.py",
        "agentbus/v1/bus_service_pb2.py",
        "agentbus/v1/bus_service_pb2.pyi",
        "agentbus/v1/bus_service_pb2_grpc.pyi",
    ):
        assert wanted in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_it_installs_and_runs_outside_the_repository(wheel: pathlib.Path, tmp_path: pathlib.Path) -> None:
    home = tmp_path / "env"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--no-index", "--no-deps", "--quiet", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, text=True)
    # What the package depends on is taken from the development environment, so that no index is asked.
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = home / "lib" / version / "site-packages"
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = [str(python), "-W", "error", "-c", PROGRAM]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50, env={})
    assert (run.returncode, run.stdout) == (0, "UNAVAILABLE\n"), run.stderr
