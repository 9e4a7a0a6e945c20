"""Where the real server keeps what it is told: memory, a file, and the servers that the environment names."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator

import pytest
from bus_process import REPOSITORY, node_program

STORAGES = ["memory", "file", "redis", "postgres", "mysql"]
_VARIABLES = {"redis": "REDIS_URL", "postgres": "POSTGRES_URL", "mysql": "MYSQL_URL"}
_REMOVE = """
const { removePrefix } = await import(process.argv[1]);
await removePrefix(...process.argv.slice(2));
"""


@contextlib.contextmanager
def fresh_storage(name: str) -> Iterator[str]:
    """The URL, for `--storage`, of one in which nothing is kept; removed behind it. `npm test` starts the servers."""
    if name == "memory":
        yield "memory:"
    elif name == "file":
        with tempfile.TemporaryDirectory(prefix="agentbus-data-") as folder:
            yield f"file:{folder}/data"
    else:
        server = os.environ.get(_VARIABLES[name], "")
        if server == "":
            missing = f"there is no {name} server: {_VARIABLES[name]} is not set"
            if os.environ.get("AGENTBUS_TEST_REQUIRE") == "1":
                pytest.fail(missing)
            pytest.skip(missing)
        prefix = f"t{secrets.token_hex(8)}"
        yield f"{server}{'&' if '?' in server else '?'}prefix={prefix}"
        module = str(REPOSITORY / "test" / "support" / "test-storage.ts")
        remove = [node_program(), "--input-type=module", "-e", _REMOVE, module, name, server, prefix]
        subprocess.run(remove, cwd=REPOSITORY, check=True)
