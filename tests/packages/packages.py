# SPDX-License-Identifier: BSD-3-Clause
"""Builds the Debian packages, and a Debian to install them into."""

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["icpgate", "icpgate-blockpage", "icpgate-unbound"]

# Nothing of a call outlives it, neither a process nor a mount, however it ends.
APART = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]

# What apt and dpkg keep for themselves, and caches. The users stay, as Debian's packages leave
# theirs; they change files that are there.
KEPT = re.compile(r"/(run/systemd|var/(cache|log|lib/(apt|dpkg|systemd/timers))"
                  r"|etc/(passwd|group|shadow|gshadow|subuid|subgid)-)(/|$)")


def run(words, log, **more):
    """Runs a command with its output in a log, and fails with the end of that."""
    with open(log, "w+", encoding="utf-8", errors="replace") as out:
        done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=out,
                              stderr=subprocess.STDOUT, check=False, **more)
        if done.returncode != 0:
            out.seek(0)
            raise AssertionError(f"{words[0]} failed with {done.returncode} (log: {log}):\n"
                                 + "".join(out.readlines()[-60:]))


def text_of(words):
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout


def build_packages(build, directory):
    """Builds the packages of what "make dist" packs. Returns the .changes file."""
    tree = directory / "icpgate"
    run(["make", "-C", build, "distdir", f"distdir={tree}"], directory / "dist.log")
    environment = dict(os.environ, DEB_BUILD_OPTIONS="nocheck parallel=2",
                       DEB_BUILD_PROFILES="nocheck",
                       ICP_UNBOUND_SOURCE=text_of([ROOT / "tools/get-unbound", "--source"]).strip())
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        environment.pop(name, None)
    run(["dpkg-buildpackage", "--build=full", "--unsigned-source", "--unsigned-changes"],
        directory / "build.log", cwd=tree, env=environment)
    changes = list(directory.glob("icpgate_*.changes"))
    assert len(changes) == 1, changes
    return changes[0]


def raise_version(package, directory):
    """The same package with "+1" behind its version, which those of ours that it needs have too."""
    tree = directory / package.stem
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN/control"
    text = control.read_text(encoding="utf-8")
    version = re.search(r"^Version: (.*)$", text, re.M)[1]
    text = text.replace(f"Version: {version}\n", f"Version: {version}+1\n")
    text = text.replace(f"icpgate (= {version})", f"icpgate (= {version}+1)")
    control.write_text(text, encoding="utf-8")
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, directory], check=True,
                   stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)


class System:
    """A Debian in a directory, of this machine's release and from its package sources."""

    def __init__(self, directory):
        self.root = directory / "root"
        self.logs = directory

    def make(self):
        release = dict(line.split("=", 1) for line in
                       Path("/etc/os-release").read_text(encoding="utf-8").split("\n") if line)
        codename = release["VERSION_CODENAME"].strip('"')
        sources = text_of(["apt-get", "indextargets", "--format", "$(REPO_URI)",
                           "Created-By: Packages", f"Codename: {codename}", "Component: main"])
        assert sources, f"apt knows no source of {codename}"
        run([*APART, "debootstrap", "--variant=minbase", "--include=systemd,ca-certificates",
             codename, self.root, sources.split()[0]], self.logs / "debootstrap.log")
        self.copy_apt()

    def copy_apt(self):
        """This machine's package sources, keys and options, and what it has fetched already."""
        shutil.rmtree(self.root / "etc/apt")
        shutil.copytree("/etc/apt", self.root / "etc/apt", symlinks=True)
        for keys in Path("/usr/share/keyrings").glob("*"):
            if not (self.root / keys.relative_to("/")).exists():
                shutil.copy(keys, self.root / keys.relative_to("/"))
        shutil.copytree("/var/lib/apt/lists", self.root / "var/lib/apt/lists", symlinks=True,
                        ignore=shutil.ignore_patterns("lock", "partial"), dirs_exist_ok=True)
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")

    def call(self, words, log):
        """Runs a command in the system."""
        script = ('mount -t proc proc "$0/proc"; root=$0; shift 0; exec chroot "$root" "$@"')
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                       "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
        for name in ("http_proxy", "https_proxy", "no_proxy"):
            if name in os.environ:
                environment[name] = os.environ[name]
        run([*APART, "sh", "-ec", script, self.root, *words], self.logs / log, env=environment)

    def apt(self, log, *words):
        self.call(["apt-get", "-q", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0",
                   *words], log)

    def put(self, files):
        """Makes files known to the system; returns their paths in it."""
        place = self.root / "srv"
        for file in files:
            shutil.copy(file, place)
        return [f"/srv/{file.name}" for file in files]

    def files(self):
        """All that is there, but for what packages do not answer for."""
        found = set()
        for directory, directories, names in os.walk(self.root):
            inside = "/" + os.path.relpath(directory, self.root)
            inside = "/" if inside == "/." else inside + "/"
            if inside in ("/proc/", "/srv/"):
                directories.clear()
                continue
            found |= {inside + name for name in [*directories, *names]}
        return {path for path in found if not KEPT.match(path)}

    def processes(self):
        """Processes of this machine that run in the system."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(process / "root").startswith(str(self.root)):
                    found.append(process.name)
            except OSError:
                continue
        return found
