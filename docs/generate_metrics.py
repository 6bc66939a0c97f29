"""Write docs/metrics from the metrics themselves: ``python docs/generate_metrics.py``."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from functools import cache
from pathlib import Path

from metric_pictures import PICTURES

from hepml_tasks.metrics import all_metrics
from hepml_tasks.metrics.describe import Description, describe
from hepml_tasks.metrics.registry import LAWS, Metric

FOLDER = Path(__file__).with_name("metrics")

_NEEDS = {
    "selection": "which events are selected",
    "labels": "a class for each event",
    "score": "a score for each event",
    "probability": "a probability of signal for each event",
    "tracks": "a track id for each hit, and the true particle's",
    "regression": "a number for each event, and the true one",
    "quantile": "a quantile for each event, and the true number",
    "interval": "an interval for each event, and the true number",
    "samples": "the features of two samples",
}

_INDEX = """\
# Metrics

A page for each registered metric, generated from its docstring by `docs/generate_metrics.py`.
`hepml metrics` lists them, `hepml metrics show NAME` prints the short of a page. How values and
their uncertainties are made is in [uncertainties](../uncertainties.md).

{table}

## A metric of your own

```sh
hepml new metric my_figure
```

makes a package with a metric that works and a test that passes, the laws that every metric obeys
included. Change the function and its docstring, then install it (`pip install --editable
hepml-my-figure`). A metric is found by the entry point `hepml_tasks.metrics` of its package, so
that nothing else has to be told of it:

- `hepml metrics` lists it, and so does `evaluationmeasure/list` of a server that runs where it is
  installed;
- every run made there is scored with it, beside the task's own metrics, and `hepml evaluate` shows
  it;
- a server computes it for every new run, and its pages have a column for it.

This holds for metrics that are computed from predictions alone: `needs` is `selection`, `labels`,
`score` or `probability`, without columns beside them. A task's ranking stays with its own primary
metric. A metric that fails on a run is left out with its reason, and the others stand.

Runs that are older than the metric get it when they are scored again:

```sh
hepml evaluate --all
hepml evaluate --all --server http://127.0.0.1:8080
```

The first goes through the run folders of the spool, the second asks a server, with an
administrator's key; start the server again after the installation. Neither changes a value that was
right before.
"""


def render() -> dict[str, str]:
    """Return every file of the folder by its name."""
    own = [m for m in all_metrics().values() if not m.is_added]
    files = {"README.md": _INDEX.format(table=_table(own))}
    for metric in own:
        files[f"{metric.name}.md"] = _page(metric)
    return files | {f"{name}.svg": draw() for name, (draw, _) in PICTURES.items()}


def _table(metrics: list[Metric]) -> str:
    rows = [
        f"| [{m.name}]({m.name}.md) | {m.title} | {m.needs} | {'yes' if m.weighted else 'no'} |"
        for m in metrics
    ]
    return "\n".join(["| metric | what | needs | weights |", "|---|---|---|---|", *rows])


def _page(metric: Metric) -> str:
    about = describe(metric)
    # the function that a metric is made of often has its name
    summary = re.sub(rf": :func:`{metric.name}`[^.]*", "", about.summary)
    parts = [f"# {metric.title}", f"`{metric.name}`: {_markdown(summary)}"]
    if about.formula:
        parts.append(f"```math\n{about.formula}\n```")
    if about.symbols:
        parts.append(_markdown(about.symbols))
    parts += [
        f"**For a physicist:** {_markdown(about.physicist)}",
        f"**For an ML reader:** {_markdown(about.ml)}",
        *map(_markdown, about.details),
    ]
    if metric.name in PICTURES:
        parts.append(f"![{PICTURES[metric.name][1]}]({metric.name}.svg)")
    parts += ["## In short", _facts(metric), "## Arguments", _arguments(about)]
    code, printed = _example(metric), _printed()[metric.name]
    parts += ["## Example", f"```python\n{code}\n```", "prints", f"```text\n{printed}\n```"]
    if "Examples" in about.sections:
        parts.append(f"The function itself:\n\n```pycon\n{about.sections['Examples']}\n```")
    parts += ["## Uncertainty", *_uncertainty(metric, about)]
    broken = [f"- {LAWS[law]}: not here, as {why}" for law, why in metric.exempt.items()]
    if broken:
        parts += ["## Laws that don't hold", "\n".join(broken)]
    parts += ["## Reference", f"{metric.source}."]
    if "References" in about.sections:
        parts.append(_markdown(" ".join(about.sections["References"].split())))
    return "\n\n".join(parts) + "\n"


def _facts(metric: Metric) -> str:
    low, high = (f"{end:g}".replace("inf", "∞") for end in metric.range)
    options = ", ".join(f"`{k}={v!r}`" for k, v in metric.keywords().items())
    facts = {
        "computed from": _NEEDS[metric.needs],
        "further columns": ", ".join(f"`{c}`" for c in metric.columns),
        "event weights": "enter" if metric.weighted else "don't enter",
        "full luminosity": "matters: classes are scaled to their sums" if metric.luminosity else "",
        "better is": "higher" if metric.higher_is_better else "lower",
        "range": f"{low} to {high}, for weights that aren't negative",
        "options": options,
    }
    rows = [f"| {name} | {fact} |" for name, fact in facts.items() if fact]
    return "\n".join(["| | |", "|---|---|", *rows])


def _arguments(about: Description) -> str:
    """Turn the docstring's section into a list: a name, its type, and what it is."""
    lines: list[str] = []
    for line in about.sections["Parameters"].splitlines():
        if not line.startswith(" "):
            name, _, kind = line.partition(" : ")
            lines.append(f"- `{name}`" + (f" ({kind})" if kind else "") + ":")
        elif line.strip():
            lines[-1] += f" {_markdown(line.strip())}"
    return "\n".join(lines)


_DATA = {
    "selection": "y_pred=np.where(y, noise**0.4, noise) > 0.8",
    "labels": "y_pred=np.where(noise > 0.8, 1 - y, y)",
    "score": "y_score=np.where(y, noise**0.4, noise)",
    "probability": "y_score=0.2 + 0.4 * y + 0.2 * noise",
    "samples": "y_score=np.column_stack([noise + 0.1 * y, noise**2])",
    "tracks": "y_pred=np.where(noise < 0.2, 0, y)",
    "regression": "y_pred=y * (1.02 + 0.1 * np.sin(i))",
    "quantile": "y_pred=y * (1.02 + 0.1 * np.sin(i))",
    "interval": "y_pred=np.column_stack([y - 9 + 6 * np.sin(i), y + 5.4 + 10 * np.sin(i)])",
}
_OPTIONS = {
    "correlation_cvm": {"window": 50, "step": 25},
    "frechet_physics_distance": {"min_samples": 100, "max_samples": 400},
    "kernel_physics_distance": {"batch_size": 400},
}
_TRUTH = {
    "tracks": "y = 1 + i // 10",
    "regression": "y = 10 + 90 * noise",
    "quantile": "y = 10 + 90 * noise",
    "interval": "y = 10 + 90 * noise",
}


def _example(metric: Metric) -> str:
    """Write a script that scores made-up events."""
    arguments = [f'"{metric.name}"', "y", _DATA[metric.needs]]
    if metric.weighted and metric.needs in {"selection", "score", "probability"}:
        arguments.append("sample_weight=np.where(y == 1, 0.5, 10)")
    columns = {"event_id": "i // 100", "mass": "i * 0.414214 % 1"}
    arguments += [f"{name}={columns[name]}" for name in metric.columns]
    arguments += [f"{name}={value!r}" for name, value in _OPTIONS.get(metric.name, {}).items()]
    call = f"score({', '.join(arguments)})"
    if len(call) > 85:
        lines = textwrap.indent(",\n".join(arguments), "    ")
        call = f"score(\n{lines},\n)"
    return "\n".join(
        [
            "import numpy as np",
            "from hepml_tasks.metrics import score",
            "",
            "i = np.arange(1000)",
            "noise = i * 0.618034 % 1",
            _TRUTH.get(metric.needs, "y = i % 2"),
            f"result = {call}",
            'print(f"{result.value:.4g} ± {result.uncertainty:.2g}")',
            "print(result.method)",
        ]
    )


@cache
def _printed() -> dict[str, str]:
    """Run the examples of all metrics in one process, and give what each prints."""
    examples = {name: _example(metric) for name, metric in all_metrics().items()}
    mark = "---"
    script = f"\nprint({mark!r})\n".join(examples.values())
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    printed = (text.rstrip() for text in done.stdout.split(f"{mark}\n"))
    return dict(zip(examples, printed, strict=True))


def _uncertainty(metric: Metric, about: Description) -> list[str]:
    if metric.estimate is not None:
        how = "The published procedure gives it, without a bootstrap."
    elif metric.additive:
        how = "The squared weights of the sums are propagated."
    elif metric.units is not None:
        how = "A Poisson bootstrap over collision events, each with all its hits."
    else:
        how = "A Poisson bootstrap over events."
    parts = [f"{how} See [uncertainties](../uncertainties.md)."]
    if "Notes" in about.sections:
        parts.append(_markdown(" ".join(about.sections["Notes"].split())))
    return parts


def _markdown(text: str) -> str:
    """Turn the docstring's markup into Markdown."""
    names = set(all_metrics())

    def reference(match: re.Match[str]) -> str:
        name = match[1].rpartition(".")[2]
        return f"[`{name}`]({name}.md)" if name in names else f"`{name}`"

    text = re.sub(r":func:`~?([\w.]+)`", reference, text)
    text = re.sub(r":math:`([^`]*)`", r"$`\1`$", text)
    return re.sub(r"``([^`]*)``", r"`\1`", text)


def main() -> None:
    """Write the folder; pages of metrics that are no more are removed."""
    FOLDER.mkdir(exist_ok=True)
    files = render()
    for path in FOLDER.iterdir():
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
