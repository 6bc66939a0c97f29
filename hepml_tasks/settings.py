"""Where things are kept, each by an environment variable or the platform's own default."""

from __future__ import annotations

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return the folder of downloaded and derived data: ``HEPML_CACHE``, else the user's cache."""
    if folder := os.environ.get("HEPML_CACHE"):
        return Path(folder)
    import platformdirs

    return platformdirs.user_cache_path("hepml")


def spool_dir() -> Path:
    """Return the folder of runs: ``HEPML_SPOOL``, else ``spool`` in the user's data folder."""
    if folder := os.environ.get("HEPML_SPOOL"):
        return Path(folder)
    import platformdirs

    return platformdirs.user_data_path("hepml") / "spool"


def state_dir() -> Path:
    """Return the folder of what is remembered: ``HEPML_STATE``, else the user's state folder."""
    if folder := os.environ.get("HEPML_STATE"):
        return Path(folder)
    import platformdirs

    return platformdirs.user_state_path("hepml")


def mirrors() -> tuple[str, ...]:
    """Return the places, folders, URLs or records, that hold copies of published files.

    ``HEPML_MIRRORS`` lists them with commas between, nearest first.
    """
    listed = os.environ.get("HEPML_MIRRORS", "")
    return tuple(m.strip() for m in listed.split(",") if m.strip())


def zenodo_url() -> str:
    """Return the base address of Zenodo: ``HEPML_ZENODO_URL``, such as its sandbox's."""
    return _address("HEPML_ZENODO_URL", "https://zenodo.org")


def cernopendata_url() -> str:
    """Return the base address of the CERN Open Data portal: ``HEPML_CERNOPENDATA_URL``."""
    return _address("HEPML_CERNOPENDATA_URL", "https://opendata.cern.ch")


def _address(variable: str, default: str) -> str:
    return (os.environ.get(variable, "").strip() or default).rstrip("/")
