# SPDX-License-Identifier: GPL-2.0
"""Stands in for apt, and for the other programs that a kernel is made of its packages by.

Called as fake_apt.py STATE COMMAND...; STATE is a file with what the archive is
like, in JSON: `packages`, a dict of versions by name; `expired` and
`unreachable`; `lost`, versions that cannot be downloaded; and `unbuildable`,
releases. What it was called for is added to the file STATE.calls.
"""

import json
import subprocess
import sys
from pathlib import Path


class Root:
    """A build root in which all programs are this one."""

    def __init__(self, folder, **archive):
        self.state = Path(folder) / "state"
        self.calls = Path(folder) / "state.calls"
        self.toolchain = {"rustc": "1.85.1"}
        self.suite = "trixie"
        self.set(**archive)

    def set(self, **archive):
        """What the archive is like from now on."""
        self.state.write_text(json.dumps(archive))
        self.calls.write_text("")

    def called(self, word):
        """How many commands had that word."""
        return sum(word in line.split() for line in self.calls.read_text().splitlines())

    @staticmethod
    def sources(*suites):
        """Lines for apt."""
        return "".join(f"deb http://mirror/debian {suite} main\n" for suite in suites)

    def command(self, argv, cwd="/"):
        """The command line."""
        return ["env", "-C", str(cwd), sys.executable, "-IS", __file__, str(self.state), *map(str, argv)]

    def run(self, argv, cwd="/", locks=()):
        """What a command prints."""
        done = subprocess.run(self.command(argv, cwd), stdout=subprocess.PIPE, text=True, pass_fds=locks)
        if done.returncode:
            raise RuntimeError(f"{argv[0]}: {done.returncode}")
        return done.stdout


def update(state, words):
    """apt-get update."""
    dated = [word for word in words if word.startswith("Acquire::Check-Valid-Until=")][-1].endswith("true")
    if state.get("unreachable"):
        return ("E: Failed to fetch http://mirror/debian/dists/trixie-backports/InRelease  Could not connect\n"
                "E: Some index files failed to download.\n")
    if state.get("expired") and dated:
        return ("E: Release file for http://mirror/debian/dists/trixie-backports/InRelease is expired (invalid since "
                "3d 2h 1min 5s). Updates for this repository will not be applied.\n")
    return ""


def download(state, names):
    """apt-get download."""
    for package in names:
        name, _, version = package.partition("=")
        if version in state.get("lost", ()):
            return f"E: Failed to fetch http://mirror/debian/pool/{name}.deb  404  Not Found\n"
        Path(f"{name.partition(':')[0]}_{version}.deb").touch()
    return ""


def touch(*names):
    """Files, and the directories they are in."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def unpack():
    """All packages of the working directory."""
    for deb in Path(".").glob("*.deb"):
        name = deb.name.partition("_")[0]
        if name.startswith("linux-headers") and not name.endswith("-common"):
            touch(*(f"../unpacked/usr/src/{name}/{each}" for each in (".config", "Module.symvers", "scripts/mod/modpost")))
        elif name.startswith("linux-binary"):
            touch(f"../unpacked/usr/lib/modules/{name.replace('linux-binary-unsigned-', '')}/vmlinuz.unsigned")
        elif name.startswith("busybox"):
            touch("../unpacked/usr/bin/busybox")
        elif name.startswith("linux-source"):
            touch(f"../unpacked/usr/src/{name}.tar.xz")


def answer(state, argv):
    """What a program says where it fails; empty where it does not."""
    program, words = Path(argv[0]).name, argv[1:]
    if program == "apt-get":
        return update(state, words) if "update" in words else download(state, words[words.index("download") + 1:])
    if program == "apt-cache" and "pkgnames" in words:
        print("\n".join(state["packages"]))
    elif program == "apt-cache":
        for name in words[words.index("madison") + 1:]:
            for version in state["packages"][name]:
                print(f" {name} | {version} | http://mirror/debian trixie-backports/main amd64 Packages")
    elif program == "tar":
        touch("linux-source-7.3/Makefile")
    elif program == "sh" and "dpkg-deb" in words[-1]:
        unpack()
    elif program == "sh":
        touch(f"unpacked/usr/lib/modules/{words[-1].split()[-1]}/modules.dep")
    elif program == "artefacts":
        top, release = Path(words[words.index("--top") + 1]), words[-1]
        if release in state.get("unbuildable", ()):
            return f"artefacts: the artefacts of Linux {release} cannot be made: error[E0514] (x.log has all)\n"
        touch(*(top / release / each for each in ("include/generated/rustc_cfg", "rust/libkernel.rmeta",
                                                  "rust/libmacros.so")))
    return ""


def main():
    """One call."""
    state = json.loads(Path(sys.argv[1]).read_text())
    with open(sys.argv[1] + ".calls", "a") as calls:
        calls.write(" ".join(sys.argv[2:]).replace("\n", " ") + "\n")
    failure = answer(state, sys.argv[2:])
    sys.stderr.write(failure)
    return 100 if failure else 0


if __name__ == "__main__":
    sys.exit(main())
