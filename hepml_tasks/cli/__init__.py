"""The command line: one file a command, thin.

Exit codes: 0 everything is done; 1 an error, told in one line; 2 the command was typed wrongly;
3 some work failed or is still waiting; 130 and 143 interrupted or terminated, finished work kept.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import click

from hepml_tasks.cli.bot import bot
from hepml_tasks.cli.cache import cache
from hepml_tasks.cli.data import data
from hepml_tasks.cli.demo import demo
from hepml_tasks.cli.evaluate import evaluate
from hepml_tasks.cli.flows import flows
from hepml_tasks.cli.metrics import metrics
from hepml_tasks.cli.new import new
from hepml_tasks.cli.private import private
from hepml_tasks.cli.register import register
from hepml_tasks.cli.report import report
from hepml_tasks.cli.reproduce import reproduce
from hepml_tasks.cli.run import run
from hepml_tasks.cli.serve import serve
from hepml_tasks.cli.spool import spool
from hepml_tasks.cli.submit import submit
from hepml_tasks.cli.tasks import tasks
from hepml_tasks.cli.users import users
from hepml_tasks.cli.verify import verify
from hepml_tasks.errors import HepmlError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="hepml_tasks")
def hepml() -> None:
    """Run common machine-learning benchmarks for high-energy physics.

    Try `hepml demo`: the whole of it on this machine, without a network.
    """


for command in (
    demo,
    tasks,
    cache,
    flows,
    metrics,
    new,
    run,
    evaluate,
    verify,
    reproduce,
    data,
    register,
    bot,
    submit,
    spool,
    serve,
    users,
    private,
    report,
):
    hepml.add_command(command)


def main() -> NoReturn:
    """Run the command line and turn every known error into one line and an exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    # threads that wait for each other leave the core to others, on a node that is shared
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = hepml.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = _say("interrupted; finished work is kept, the same command goes on", 130)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except KeyboardInterrupt:
        code = _say("interrupted; finished work is kept, the same command goes on", 130)
    except HepmlError as error:
        code = _say(f"error: {error}", 1)
    except BrokenPipeError:
        # whoever read our output has seen enough
        code = 0
    except OSError as error:
        code = _say(f"error: {error}", 1)
    sys.exit(code if isinstance(code, int) else 0)


def _say(message: str, code: int) -> int:
    click.echo(f"hepml: {message}", err=True)
    return code


def _terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(143)
