"""What every test stands on: no network but loopback, no cache but the run's own, a hub that belongs to the tests.

The hub's client and `datasets` read their settings when they are first imported, so these are set here, before any
test module is. Slow tests run with `--slow`.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from hub_server import HubServer

if TYPE_CHECKING:
    from tasksource_reg.export.export import ExportResult

# Time is no measure of a test: a busy machine draws examples slowly.
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")

_SERVER = HubServer()
_CACHES = Path(tempfile.mkdtemp(prefix="tsr-tests-"))
for _name in ("TSR_MIRROR", "TSR_REGISTRY", "HF_TOKEN", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_CACHE"):
    os.environ.pop(_name, None)
os.environ |= {
    "HF_ENDPOINT": _SERVER.url,
    "HF_HOME": str(_CACHES / "hf"),
    "HF_DATASETS_CACHE": str(_CACHES / "hf" / "datasets"),
    "TSR_CACHE": str(_CACHES / "tsr"),
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_ETAG_TIMEOUT": "2",
    "HF_HUB_DOWNLOAD_TIMEOUT": "1",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--slow`: run the slow tests too."""
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


def pytest_configure(config: pytest.Config) -> None:
    """Names the marker."""
    config.addinivalue_line("markers", "slow: takes more than a few seconds; runs with --slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skips slow tests unless they are asked for."""
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow; run with --slow"))


def pytest_unconfigure() -> None:
    """Removes the run's caches."""
    _SERVER.close()
    shutil.rmtree(_CACHES, ignore_errors=True)


@pytest.fixture(autouse=True, scope="session")
def only_loopback() -> Iterator[None]:
    """No test reaches the network: connecting or looking a name up elsewhere than on loopback fails at once."""
    real_connect, real_connect_ex, real_lookup = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(host: Any) -> None:
        if isinstance(host, bytes):
            host = host.decode()
        if host not in (None, "", "localhost", "::1") and not str(host).startswith("127."):
            raise ConnectionRefusedError(f"tests may not reach the network: {host}")

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            check(address[0])
        real_connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            check(address[0])
        return real_connect_ex(self, address)

    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        check(host)
        return real_lookup(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        patch.setattr(socket.socket, "connect_ex", connect_ex)
        patch.setattr(socket, "getaddrinfo", lookup)
        yield


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    """The tests' own hub, empty and without faults; `hub.root` is the folder that it serves."""
    root = tmp_path / "hub-root"
    root.mkdir()
    _SERVER.reset(root)
    yield _SERVER
    _SERVER.reset()


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test starts with nothing prepared, though with the index of the built-in registry."""
    from caches import new_cache  # reads the settings above

    monkeypatch.setenv("TSR_CACHE", new_cache(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def own_downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    """As `own_cache`, and nothing is downloaded; a request that fails is tried again at once."""
    import datasets
    import huggingface_hub.constants

    monkeypatch.setattr("tasksource_reg.sources.patience.RETRY_SECONDS", (0.0,) * 4)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "files"))


@pytest.fixture(scope="session")
def small_export(tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    """A finished export of the mixture SMALL in four shards. Tests do not change it."""
    from exporting import SHARD_ROWS, demo_data

    from tasksource_reg.export.export import export

    return export(demo_data(), tmp_path_factory.mktemp("small") / "out", shard_rows=SHARD_ROWS)


@pytest.fixture
def copied_export(small_export: ExportResult, tmp_path: Path) -> Path:
    """A copy of it that a test may damage."""
    return Path(shutil.copytree(small_export.out, tmp_path / "copy"))


@pytest.fixture(scope="session")
def shared_hub() -> Path:
    """The mirror of real datasets beside the repository; tests that need it are skipped where it is absent."""
    path = Path(__file__).resolve().parents[2] / "shared" / "hub"
    if not path.is_dir():
        pytest.skip("the mirror of real datasets, ../shared/hub, is not here")
    return path
