"""A container engine of CI's own, with an image of each product: no registry needed.

`up DIRECTORY` builds the images from Debian's packages, starts Docker and prints what
DOCKER_HOST is to be; `down DIRECTORY` stops it. Needs root, and the packages docker.io,
mmdebstrap and iptables.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import docker

IMAGES: Final = Path(__file__).parent / "images"
COMMON: Final = ("busybox-static", "libc-bin", "util-linux")
LEFT_OUT: Final = (
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
    "*/bitcode/*",
    "*/libLLVM*",
)
PATIENCE: Final = 30.0


@dataclass(frozen=True)
class Image:
    """What behaves as the official image of the tag, as far as tests use it."""

    repository: str
    tag: str
    packages: tuple[str, ...]
    entrypoint: str
    user: str
    """A line of /etc/passwd."""
    settings: tuple[str, ...]


ALL: Final = (
    Image(
        "postgres",
        "15",
        ("postgresql-15",),
        "postgres.sh",
        "postgres:x:999:999::/var/lib/postgresql:/bin/sh",
        (
            "ENV PGDATA=/var/lib/postgresql/data",
            "ENV PATH=/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "EXPOSE 5432",
        ),
    ),
    Image(
        "mariadb",
        "10.11",
        ("mariadb-server-core", "mariadb-client-core"),
        "mariadb.sh",
        "mysql:x:999:999::/var/lib/mysql:/bin/sh",
        ("ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin", "EXPOSE 3306"),
    ),
)


def up(directory: Path) -> None:
    """Start the engine with all images, unless they are there already."""
    host = f"unix://{directory / 'docker.sock'}"
    if not (directory / "engine.pid").exists():
        start(directory, host)
    client = docker.DockerClient(base_url=host)
    for image in ALL:
        tar = directory / f"{image.repository}.tar"
        if not tar.exists():
            build(image, directory / image.repository, tar)
        changes = ['ENTRYPOINT ["/entrypoint"]', *image.settings]
        client.api.import_image_from_file(
            str(tar), repository=image.repository, tag=image.tag, changes=changes
        )
    print(host)


def down(directory: Path) -> None:
    """Stop the engine and its containers, and remove its data."""
    pid = int((directory / "engine.pid").read_text())
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + PATIENCE
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    shutil.rmtree(directory / "data")


def start(directory: Path, host: str) -> None:
    """Start the engine; raises TimeoutError when it does not answer."""
    directory.mkdir(parents=True, exist_ok=True)
    places = (
        f"--data-root={directory / 'data'}",
        f"--exec-root={directory / 'exec'}",
        f"--pidfile={directory / 'engine.pid'}",
    )
    with (directory / "engine.log").open("wb") as log:
        subprocess.Popen(
            ["dockerd", *places, f"--host={host}"],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            docker.DockerClient(base_url=host).ping()
        except (docker.errors.DockerException, OSError):
            time.sleep(0.1)
        else:
            return
    raise TimeoutError((directory / "engine.log").read_text())


def build(image: Image, root: Path, tar: Path) -> None:
    """Make the archive of an image's files."""
    options = [f"--dpkgopt=path-exclude={each}" for each in LEFT_OUT]
    packages = ",".join((*image.packages, *COMMON))
    subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--variant=extract", "--format=directory"),
            *(f"--include={packages}", *options, release(), root),
            "/etc/apt/sources.list.d/debian.sources",
        ],
        check=True,
    )
    furnish(image, root)
    subprocess.run(
        ["tar", "--numeric-owner", "-C", root, "-cf", tar.with_suffix(".new"), "."],
        check=True,
    )
    tar.with_suffix(".new").rename(tar)
    shutil.rmtree(root)


def furnish(image: Image, root: Path) -> None:
    """Add what the packages' own scripts would have made."""
    entrypoint = root / "entrypoint"
    shutil.copyfile(IMAGES / image.entrypoint, entrypoint)
    entrypoint.chmod(0o755)
    (root / "etc" / "passwd").write_text(
        f"root:x:0:0:root:/root:/bin/sh\n{image.user}\n"
    )
    (root / "etc" / "group").write_text(
        f"root:x:0:\n{image.user.split(':')[0]}:x:999:\n"
    )
    busybox = root / "bin" / "busybox"
    applets = subprocess.run(
        [busybox, "--list"], check=True, capture_output=True, text=True
    )
    for applet in applets.stdout.split():
        link = root / "bin" / applet
        if not (link.exists() or (root / "usr" / "bin" / applet).exists()):
            link.symlink_to("busybox")
    root.chmod(0o755)


def release() -> str:
    """The Debian release of this machine."""
    lines = Path("/etc/os-release").read_text().splitlines()
    return dict(line.partition("=")[::2] for line in lines)["VERSION_CODENAME"]


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["up", "down"])
    parser.add_argument("directory", type=lambda text: Path(text).absolute())
    options = parser.parse_args()
    {"up": up, "down": down}[options.command](options.directory)


if __name__ == "__main__":
    main()
