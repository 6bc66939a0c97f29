"""The bot's image, built by buildah on a base made here, and run by podman.

No registry is asked: the base is Debian and its Python by debootstrap, under the name that the
Dockerfile gives. What this machine's apt, pip and certificates are set to is lent to the build and
written into no image.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
BASE = "docker.io/library/python:3.11-slim-bookworm"
NAME = "localhost/hepml:test"
_MIRROR = "http://deb.debian.org/debian"
_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
_LENT = ("/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")
_NO_MORE = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/lib/apt/lists")


@dataclass(frozen=True)
class Images:
    """A store of images in a folder of its own."""

    home: Path

    @property
    def storage(self) -> list[str]:
        return [
            *("--storage-driver", "vfs"),
            *("--root", str(self.home / "storage"), "--runroot", str(self.home / "run")),
        ]

    def buildah(self, *arguments: str) -> str:
        """Run buildah on the store."""
        return _run("buildah", *self.storage, *arguments)

    def podman_command(self, *options: str) -> list[str]:
        """Return the command that runs the image, and removes the container afterwards."""
        return [
            *("podman", *self.storage, "--runtime", "/usr/sbin/runc"),
            *("--cgroup-manager", "cgroupfs", "run", "--rm"),
            *("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", *options, NAME),
        ]

    @cached_property
    def config(self) -> dict[str, Any]:
        """What the image says of itself."""
        inspected = json.loads(self.buildah("inspect", "--type", "image", NAME))
        return dict(inspected["OCIv1"]["config"])

    @contextmanager
    def mounted(self, name: str) -> Iterator[Path]:
        """Give the files of an image."""
        container = self.buildah("from", "--pull-never", name).strip()
        try:
            yield Path(self.buildah("mount", container).strip())
        finally:
            self.buildah("rm", container)

    def compressed(self, name: str) -> int:
        """Return the bytes of an image's layers as a registry would hold them."""
        folder = self.home / "compressed"
        shutil.rmtree(folder, ignore_errors=True)
        self.buildah("push", "--quiet", name, f"oci:{folder}:it")
        index = json.loads((folder / "index.json").read_text())
        digest = index["manifests"][0]["digest"].replace(":", "/")
        manifest = json.loads((folder / "blobs" / digest).read_text())
        shutil.rmtree(folder)
        assert all(layer["mediaType"].endswith("gzip") for layer in manifest["layers"])
        return int(sum(layer["size"] for layer in manifest["layers"]))


def build(home: Path) -> Images:
    """Make the base, unless the folder has it from before, and the image."""
    images = Images(home)
    if BASE.rpartition(":")[0] not in images.buildah("images", "--format", "{{.Name}}").split():
        _make_base(images)
    lent = [f"--volume {path}:{path}:ro" for path in _LENT if Path(path).is_file()]
    options = ["--isolation chroot", "--network host", "--pull-never", *lent]
    _run(
        *("make", "-C", str(ROOT), "image", f"IMAGE={NAME}"),
        f"BUILDER=buildah {' '.join(images.storage)}",
        f"BUILD_OPTIONS={' '.join(options)}",
    )
    return images


def _make_base(images: Images) -> None:
    folder = images.home / "base"
    shutil.rmtree(folder, ignore_errors=True)
    options = ("--variant=minbase", f"--include={_PACKAGES}")
    _run("debootstrap", *options, "bookworm", folder, _MIRROR)
    for name in _NO_MORE:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("python", "python3"):
        # where the official image has it
        (folder / "usr/local/bin" / name).symlink_to("/usr/bin/python3")
    container = images.buildah("from", "scratch").strip()
    images.buildah("add", "--quiet", container, str(folder), "/")
    path = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    images.buildah("config", "--env", f"PATH={path}", "--env", "LANG=C.UTF-8", container)
    images.buildah("commit", "--quiet", "--rm", container, BASE)
    shutil.rmtree(folder)


def _run(*command: object) -> str:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout
