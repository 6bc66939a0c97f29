"""``python -m hepml_tasks.server``: the server in the foreground."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hepml_tasks.errors import HepmlError
from hepml_tasks.server.process import ServerAddress, serve
from hepml_tasks.server.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until it is told to end.

    Returns
    -------
    int
        The exit status: 1 with one line on standard error if it could not start.
    """
    parser = argparse.ArgumentParser(prog="python -m hepml_tasks.server", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="directory of the server's state")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 for any free one")
    parser.add_argument(
        "--database",
        default=os.environ.get("HEPML_DATABASE"),
        help="URL; HEPML_DATABASE, or SQLite in the directory by default",
    )
    parser.add_argument("--public-url", help="the address that clients see, behind a proxy")
    parser.add_argument("--read-only", action="store_true", help="refuse all writes")
    parser.add_argument("--max-upload", type=int, default=Settings.max_upload, help="bytes")
    parser.add_argument("--allow-private-urls", action="store_true")
    parser.add_argument("--submissions-per-day", type=int, default=Settings.submissions_per_day)
    parser.add_argument("--json", action="store_true", help="say where it answers in one JSON line")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)

    def ready(address: ServerAddress) -> None:
        line = f"{address.server} (pages: {address.pages}, key: {address.apikey})"
        print(address.to_json() if options.json else line, flush=True)  # noqa: T201 - a program's output

    try:
        serve(
            options.data,
            host=options.host,
            port=options.port,
            database=options.database,
            settings=Settings(
                read_only=options.read_only,
                max_upload=options.max_upload,
                allow_private_urls=options.allow_private_urls,
                submissions_per_day=options.submissions_per_day,
            ),
            public_url=options.public_url,
            ready=ready,
            end_with=sys.stdin.buffer if options.with_parent else None,
        )
    except HepmlError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program's output
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
