"""`openml` itself: its one function that talks to a server."""

from __future__ import annotations

import openml
import pytest

from .conftest import NOBODY_HAS_IT, WITH_CLIENT, World, refused

pytestmark = [
    *WITH_CLIENT,
    # the function itself leaves the choice to a default that will change
    pytest.mark.filterwarnings("ignore:.*will default to False starting in 0.16"),
]
DATABASES = ("sqlite", "postgresql")


def test_populate_cache(world: World) -> None:
    openml.populate_cache(
        task_ids=[world.task],
        dataset_ids=[world.dataset],
        flow_ids=[world.flow],
        run_ids=[world.run],
    )
    for kind, code in (("dataset", 111), ("task", 151), ("flow", 181), ("run", 236)):
        with refused(code):
            openml.populate_cache(**{f"{kind}_ids": [NOBODY_HAS_IT]})
