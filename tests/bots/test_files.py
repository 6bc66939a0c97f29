"""What an operator copies: read by the programs, or the formats, that it is for."""

from __future__ import annotations

import importlib.resources
import re
import subprocess

import pytest
import yaml

FILES = importlib.resources.files("hepml_tasks") / "bots"


def text_of(name: str) -> str:
    return (FILES / name).read_text("utf-8")


@pytest.mark.parametrize("name", ["htcondor-vanilla.sub", "htcondor-container.sub"])
def test_htcondor_accepts_the_submit_descriptions(name):
    import htcondor2

    submit = htcondor2.Submit(text_of(name))
    assert submit["universe"] == name.partition("-")[2].removesuffix(".sub")
    jobs = submit.expand("jobs")
    first = submit.expand("arguments")
    assert first.startswith(f"bot run --suite hep-toy --flows all --shard 1/{jobs} --n-jobs 2")
    assert submit.expand("kill_sig") == "SIGTERM"
    assert submit.getQArgs() == "$(jobs)"


@pytest.mark.parametrize("process", [0, 2, 9])
def test_each_job_of_htcondor_has_a_part_of_its_own(process):
    import htcondor2

    text = text_of("htcondor-vanilla.sub").replace("$(Process)", str(process))
    arguments = htcondor2.Submit(text).expand("arguments")
    assert f"--shard {process + 1}/10" in arguments


def test_the_array_script_is_a_shell_script_with_slurms_lines():
    script = text_of("slurm-array.sh")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    options = re.findall(r"^#SBATCH --([\w-]+)=?", script, flags=re.MULTILINE)
    assert {"array", "cpus-per-task", "mem", "time", "signal", "requeue"} <= set(options)


def test_reanas_file_is_a_serial_workflow_of_the_bot():
    workflow = yaml.safe_load(text_of("reana.yaml"))
    assert set(workflow) == {"version", "inputs", "workflow", "outputs"}
    assert workflow["workflow"]["type"] == "serial"
    (step,) = workflow["workflow"]["specification"]["steps"]
    assert {"environment", "commands", "kubernetes_memory_limit"} <= set(step)
    (command,) = step["commands"]
    used = set(re.findall(r"\$\{(\w+)\}", command))
    assert used == set(workflow["inputs"]["parameters"])
    assert "hepml bot run --suite ${suite}" in command
    assert workflow["outputs"]["directories"] == ["spool"]


def test_apptainers_file_has_a_base_and_runs_the_bot():
    text = text_of("hepml.def")
    head, *sections = re.split(r"^%", text, flags=re.MULTILINE)
    keys = dict(re.findall(r"^(\w+): (\S+)$", head, flags=re.MULTILINE))
    assert set(keys) == {"Bootstrap", "From"}
    names = {s.split()[0]: s for s in sections}
    assert set(names) == {"environment", "runscript", "test"}
    assert 'hepml bot "$@"' in names["runscript"]
    for section in sections:
        subprocess.run(["sh", "-n"], input=section.partition("\n")[2], text=True, check=True)


OURS = re.compile(
    r"registry\.example\.org|/software/|\bhep-toy\b|test\.openml\.org"
    r"|request_(cpus|memory|disk) =|MaxRuntime|--(array|cpus-per-task|mem|time|partition|account)="
    r"|Gi$|(spool|cache) = |export HEPML_(CACHE|SPOOL)|^program=|\bjobs = |\bflows: |\bserver: "
)


@pytest.mark.parametrize("name", sorted(p.name for p in FILES.iterdir() if p.suffix != ".py"))
def test_every_line_that_is_a_sites_own_says_so(name):
    """Find what looks like a site's own; a comment with CHANGE stands at most four lines above."""
    lines = text_of(name).splitlines()
    for number, line in enumerate(lines):
        own = OURS.search(line)
        if own and not (line.startswith("#") and not line.startswith(("#SBATCH", "##SBATCH"))):
            assert any("CHANGE" in above for above in lines[max(0, number - 4) : number]), line
