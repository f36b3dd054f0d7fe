# SPDX-License-Identifier: GPL-2.0
"""Tests that need no VM: the driver's arithmetic, and our own Python tools."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import client

from . import ktap
from .build import CHECKOUT, VM, cache_folder

# Files with such tests are plain core Rust, so that they compile outside a kernel.
RUST_TESTS = "#[cfg(test)]"
RUST_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored")
RUST_TEST = re.compile(r"^test (\S+)(?: - should panic)? \.\.\. (ok|FAILED|ignored)(?:, (.*))?$")
PYTHON_TEST = re.compile(r"^(\w+) \([\w.]+\)")
PYTHON_END = re.compile(r" \.\.\. (ok|FAIL|ERROR|skipped .*|expected failure)$")
PYTHON_RAN = re.compile(r"^Ran (\d+) tests?")


def rust(show):
    """The #[test] functions of the module, compiled and run in the build root."""
    show.heading("host: arithmetic of the driver")
    sources = sorted(source for folder in ("udmabuf", "seam") for source in (CHECKOUT / folder).glob("**/*.rs")
                     if RUST_TESTS in source.read_text())
    if not sources:
        return [ktap.Result("rust", "rust", ktap.FAILED, f"no file of the module has {RUST_TESTS}")]
    return [result for source in sources for result in _rust_file(source, show)]


def _rust_file(source, show):
    name = str(source.relative_to(CHECKOUT))
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rust-", dir=folder) as made:
        program = Path(made) / source.stem
        output, status = run([VM / "root", "--", "rustc", "--edition=2021", "--test", "-Copt-level=1", "-Adead_code",
                               "-o", program, source])
        if status:
            print(output)
            return [ktap.Result("rust", name, ktap.FAILED, "does not compile")]
        output, status = run([VM / "root", "--", program])
    return rust_results("rust", name, output, status, show)


def rust_results(subject, name, output, status, show):
    """The results of a program of #[test] functions."""
    words = {"ok": ktap.PASSED, "FAILED": ktap.FAILED, "ignored": ktap.SKIPPED}
    results, summary = [], None
    for line in output.splitlines():
        test = RUST_TEST.match(line)
        if test:
            results.append(ktap.Result(subject, f"{name}: {test.group(1)}", words[test.group(2)], test.group(3) or ""))
        summary = RUST_RESULT.match(line) or summary
    show.line(summary.group(0) if summary else f"{name}: no result")
    if not summary or sum(int(n) for n in summary.groups()) != len(results) or not results:
        results.append(ktap.Result(subject, name, ktap.FAILED, "the program did not report all of its tests"))
    elif status and not any(result.status == ktap.FAILED for result in results):
        results.append(ktap.Result(subject, name, ktap.FAILED, f"the program ended with status {status}"))
    if any(result.status == ktap.FAILED for result in results):
        print(output)
    return results


def python(show):
    """The unit tests beside our Python tools."""
    results = []
    show.heading("host: tools")
    for tests in sorted(CHECKOUT.glob("tools/*/tests")):
        results += _python_folder(tests, show)
    return results


def _python_folder(tests, show):
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    top = tests.parent
    command = [sys.executable, "-m", "unittest", "discover", "-v", "-s", str(tests)]
    if (tests / "__init__.py").exists():
        command += ["-t", str(top)]
    output, status = run(command, cwd=top, env=environment)
    name = str(tests.relative_to(CHECKOUT))
    results = _python_results(name, output)
    ran = next((match for match in map(PYTHON_RAN.match, output.splitlines()) if match), None)
    show.line(f"{name}: {ran.group(0) if ran else 'no result'}")
    failed = [result for result in results if result.status == ktap.FAILED]
    missing = int(ran.group(1)) - len(results) if ran else 1
    if (status and not failed) or missing > 0:
        results.append(ktap.Result("python", name, ktap.FAILED, f"{missing} tests did not report, status {status}"))
    if status:
        print(output)
    return results


def _python_results(name, output):
    results, pending = [], None
    for line in output.splitlines():
        # A test with a docstring is two lines, the second of which has the result.
        head = PYTHON_TEST.match(line)
        pending = head.group(1) if head else pending
        end = PYTHON_END.search(line)
        if not end or not pending:
            continue
        results.append(_python_result(f"{name}: {pending}", end.group(1)))
        pending = None
    return results


def _python_result(name, word):
    if word in ("FAIL", "ERROR"):
        return ktap.Result("python", name, ktap.FAILED)
    if word.startswith("skipped"):
        return ktap.Result("python", name, ktap.SKIPPED, word[len("skipped "):].strip("'\""))
    return ktap.Result("python", name, ktap.PASSED)


def run(command, **options):
    done = client.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    return done.stdout, done.returncode
