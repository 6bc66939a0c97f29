"""A plan as jobs of a batch system: one array, each of its tasks a part, no daemon of ours.

What is sent are the files of ``bots/``, which an operator may copy and change instead.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hepml_tasks import settings
from hepml_tasks.errors import FarmError, UnknownNameError

FOLDER = Path(__file__).resolve().parent.parent / "bots"


@dataclass(frozen=True)
class Request:
    """An array of jobs that together do a plan.

    Parameters
    ----------
    bot : sequence of str
        What `hepml bot run` gets beside its part.
    jobs : int
        How many parts.
    spool : Path
        A folder that all nodes see.
    options : sequence of str
        For the batch system's own program: queue, time, memory.
    """

    bot: Sequence[str]
    jobs: int
    spool: Path
    options: Sequence[str] = ()

    @property
    def places(self) -> dict[str, str]:
        """The environment variables of what all nodes share."""
        return {
            "HEPML_SPOOL": str(self.spool.absolute()),
            "HEPML_CACHE": str(settings.cache_dir().absolute()),
        }


@dataclass(frozen=True)
class Submission:
    """What is given to a batch system.

    Parameters
    ----------
    command : list of str
        ``{file}`` stands for the file.
    text : str
        The file.
    environment : mapping of str to str
        Beside this process's own.
    """

    command: list[str]
    text: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Show it to a person: the command and its environment as comments, then the file."""
        settings_ = [f"{k}={shlex.quote(v)}" for k, v in self.environment.items()]
        return f"# {' '.join([*settings_, shlex.join(self.command)])}\n{self.text}"


@dataclass(frozen=True)
class BatchSystem:
    """A batch system that takes arrays of jobs.

    Parameters
    ----------
    write : callable
        Makes the submission of a request.
    number : str
        Finds the job's number in what its program answers.
    """

    write: Callable[[Request], Submission]
    number: str


def prepare(system: str, request: Request) -> Submission:
    """Write what a batch system is given, and send nothing."""
    if system not in SYSTEMS:
        raise UnknownNameError("batch system", system, SYSTEMS)
    return SYSTEMS[system].write(request)


def send(system: str, submission: Submission) -> str:
    """Give jobs to a batch system.

    Returns
    -------
    str
        The number of the job.

    Raises
    ------
    FarmError
        If the batch system isn't here, or refuses.
    """
    program = submission.command[0]
    if shutil.which(program) is None:
        raise FarmError(
            f"{program} is not on this machine: submit from a node of the farm, or write the file"
            " with --dry-run and take it there"
        )
    with tempfile.NamedTemporaryFile("w", prefix="hepml-", suffix=".job") as file:
        file.write(submission.text)
        file.flush()
        answer = subprocess.run(
            [file.name if part == "{file}" else part for part in submission.command],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **submission.environment},
        )
    found = re.search(SYSTEMS[system].number, answer.stdout)
    if answer.returncode != 0 or found is None:
        said = (answer.stderr.strip() or answer.stdout.strip() or "nothing").splitlines()[0]
        raise FarmError(f"{program} did not take the jobs: {said}")
    return found[1]


def _slurm(request: Request) -> Submission:
    return Submission(
        [
            *("sbatch", "--parsable", f"--array=1-{request.jobs}", *request.options),
            *("{file}", *request.bot),
        ],
        (FOLDER / "slurm-array.sh").read_text("utf-8"),
        # sbatch gives its environment to the jobs
        {**request.places, "HEPML_PROGRAM": str(_program())},
    )


def _htcondor(request: Request) -> Submission:
    text = (FOLDER / "htcondor-vanilla.sub").read_text("utf-8")
    lines = {
        "jobs": str(request.jobs),
        "bot": shlex.join(request.bot),
        "program": str(_program()),
        "spool": request.places["HEPML_SPOOL"],
        "cache": request.places["HEPML_CACHE"],
    }
    for name, value in lines.items():
        # a backslash of the value is no escape of a pattern's
        line = f"{name} = {value}".replace("\\", r"\\")
        text = re.sub(rf"^{name} = .*$", line, text, flags=re.MULTILINE)
    return Submission(["condor_submit", *request.options, "{file}"], text)


def _program() -> Path:
    return Path(sys.executable).parent / "hepml"


SYSTEMS = {
    "slurm": BatchSystem(_slurm, number=r"^(\d+)"),
    "htcondor": BatchSystem(_htcondor, number=r"submitted to cluster (\d+)"),
}
