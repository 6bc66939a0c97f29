"""Bots and servers are killed at hundreds of moments: no run is lost, and none is there twice."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from .conftest import Site
from .harness import Hits, check, kill_bots, kill_servers


def report(name: str, hits: Hits, runs: int) -> None:
    """Write the figures down where HEPML_CHAOS_REPORT says."""
    if place := os.environ.get("HEPML_CHAOS_REPORT"):
        with Path(place).open("a") as file:
            file.write(json.dumps({"campaign": name, **vars(hits), "runs": runs}) + "\n")


def bots(site: Site, kills: int, seed: int) -> Hits:
    site.field.seeds = 2
    assert site.field.bot().wait() == 0  # task and flows are registered, and how long a life is
    site.field.seeds = 6
    hits = kill_bots(site.field, site.uploads, kills=kills, chance=random.Random(seed), life=6.0)
    site.field.finish()
    report("bots", hits, check(site.field, site.connection, site.task_id))
    return hits


@pytest.mark.slow
def test_a_bot_that_is_killed_loses_no_run_and_sends_none_twice(site: Site) -> None:
    assert bots(site, kills=3, seed=0).kills == 3


@pytest.mark.campaign
def test_bots_that_are_killed_hundreds_of_times_lose_nothing(site: Site) -> None:
    hits = bots(site, kills=200, seed=1)
    assert hits.kills == 200
    assert min(hits.fit, hits.write, hits.upload) >= 20, hits


def servers(site: Site, kills: int, seed: int) -> Hits:
    site.server.kill()
    hits = kill_servers(
        site.field, site.server, site.uploads, kills=kills, chance=random.Random(seed)
    )
    site.field.finish()
    report("servers", hits, check(site.field, site.connection, site.task_id))
    return hits


@pytest.mark.slow
def test_a_server_that_is_killed_has_every_run_once_in_the_end(site: Site) -> None:
    assert servers(site, kills=2, seed=0).kills == 2


@pytest.mark.campaign
def test_a_server_that_is_killed_a_hundred_times_has_every_run_once(site: Site) -> None:
    hits = servers(site, kills=100, seed=1)
    assert hits.upload >= 20, hits
