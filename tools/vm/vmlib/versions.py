# SPDX-License-Identifier: GPL-2.0
"""Which version of a kernel of Debian's is used.

The version in the cache, for as long as nothing newer is asked for: tests of one
day and the next are of the same kernel, and need no network. Otherwise the
newest for which the packages in the suite agree, and of which the artefacts can
be made. Where the suite is half updated, or apt fails, it is the newest that can
still be had, which is said in one sentence.
"""

from . import artefacts, debian
from .errors import Failure, Unavailable
from .progress import say


def settle(cache, root, stock, update=False):
    """The entry with Debian's files of one version, and the build directory made of them.

    With `update`, what is in the cache is no reason not to look for a newer one.
    """
    kept = debian.kept(cache, stock.name, stock.suite)
    if not update:
        for files in kept:
            build = artefacts.look(cache, root, stock.name, files)
            if build:
                return files, build
    with debian.archive(cache, root, stock.arch, stock.name, stock.suite) as archive:
        return _newest(cache, root, stock, archive, {files.info["debian"]: files for files in kept})


def _newest(cache, root, stock, archive, kept):
    """The newest of what is in the archive and of what was kept, by version."""
    problems, offered = [], {}
    try:
        offered = {choice.debian: choice for choice in archive.choices()}
    except Unavailable as problem:
        problems.append(problem)
    for version in sorted({*offered, *kept}, key=debian.order, reverse=True):
        try:
            files = kept.get(version) or archive.obtain(offered[version])
            build = artefacts.obtain(cache, root, stock.name, files)
        except Unavailable as problem:
            problems.append(problem)
            continue
        if problems:
            say(f"{problems[0]}; using {'the cached ' if version in kept else ''}{version}")
        return files, build
    raise Failure(f"{problems[0]}, and the cache has no other; check the network, or try again in a few hours")


def exactly(cache, root, stock, release):
    """The entry with Debian's files of that release."""
    for files in debian.kept(cache, stock.name, stock.suite):
        if files.info["release"] == release:
            return files
    with debian.archive(cache, root, stock.arch, stock.name, stock.suite) as archive:
        try:
            found = {choice.release: choice for choice in reversed(archive.choices())}
            if release in found:
                return archive.obtain(found[release])
        except Unavailable as problem:
            raise Failure(f"{problem}, and the cache has no Linux {release}; check the network, or try again in a few hours")
    raise Failure(f"{stock.suite.name} has no Linux {release} now, as it drops old versions, and neither has the cache; "
                  f"it has {', '.join(found)}: install that kernel and its headers, and name it")
