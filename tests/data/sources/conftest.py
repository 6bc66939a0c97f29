from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hepml_tasks.data import download

from ...archives import Archive, archive_at_settings


@pytest.fixture
def archive(real_data: Path) -> Iterator[Archive]:
    """Serve the recorded records, as the Zenodo and the CERN Open Data of the settings."""
    with archive_at_settings(real_data) as archive:
        yield archive


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again without a pause."""
    monkeypatch.setattr(download, "FIRST_DELAY", 0.0)
