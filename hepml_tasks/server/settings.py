"""How a server is run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The choices of whoever starts a server.

    Parameters
    ----------
    public_url : str, optional
        The address that clients see, where a proxy stands in front of the server.
    max_upload : int
        Bytes at most in one request, and in a dataset that is fetched from its URL.
    fetch_seconds : float
        Time allowed for fetching a dataset from its URL.
    evaluation_seconds : float
        Time allowed for evaluating one run.
    read_only : bool
        Whether all writes are refused.
    allow_private_urls : bool
        Whether a dataset may be fetched from an address that only this machine's network has.
    submissions_per_day : int
        Runs of a user in a day of UTC on a task with withheld labels that doesn't say itself.
    """

    public_url: str | None = None
    max_upload: int = 2_000_000_000
    fetch_seconds: float = 600.0
    evaluation_seconds: float = 1800.0
    read_only: bool = False
    allow_private_urls: bool = False
    submissions_per_day: int = 5
