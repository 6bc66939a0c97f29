from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def client(scratch_server: Any, tmp_path: Path) -> Iterator[Any]:
    """Give the stock `openml` client, pointed at the server with an empty cache."""
    import openml

    config = openml.config
    before = (config.server, config.apikey, config._root_cache_directory)
    config.server, config.apikey = scratch_server.server, scratch_server.apikey
    config.set_root_cache_directory(tmp_path / "openml-cache")
    yield openml
    config.server, config.apikey, cache = before
    config.set_root_cache_directory(cache)
