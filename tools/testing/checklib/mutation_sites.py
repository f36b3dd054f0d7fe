# SPDX-License-Identifier: GPL-2.0
"""Mistakes that can be made in the driver, of which the mutation score takes a sample.

Of Rust, cargo-mutants knows them: a function that only returns a value, an operator
that is another one, a match arm that is missing. It leaves no statement out, which is
how a lock stays taken and a reference is lost, and it knows no C; that is done here.
"""

import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import build, cargo
from .build import CHECKOUT, cache_folder

TOOL, VERSION = "cargo-mutants", "25.3.1"
# The crate of the module, and the C files that Makefile names.
ROOT = "udmabuf_rs.rs"
FOLDERS = ("seam", "udmabuf", "uapi", "ffi")
C_FILES = ("ffi/shim.c", "ffi/compound.c", "ffi/runs.c")
MANIFEST = f"""[package]
name = "udmabuf_rs"
version = "0.0.0"
edition = "2021"

[lib]
path = "{ROOT}"
"""
# Unit tests. Only the debug kernel has them in the module.
TESTS = re.compile(r"(^|/)tests\.rs$")
TESTS_BEGIN = re.compile(r"^#\[(cfg\(test\)|cfg\(CONFIG_KUNIT\w*\)|kunit_tests\(.*\))\]$", re.MULTILINE)
# cargo-mutants puts it beside a change.
COMMENT = " /* ~ changed by cargo-mutants ~ */"

# A line that is a whole statement, with which nothing is named, and which leaves the function nowhere.
STATEMENT = re.compile(r"^\s+[\w*&(<][^;]*;$")
NO_STATEMENT = re.compile(r"^\s+(let|return|break|continue|use|pub|mod|type|const|static|struct|extern|fn|macro_rules!"
                          r"|assert|assert_eq|assert_ne|build_assert|const_assert|static_assert|BUILD_BUG_ON|goto|case|pr_\w+"
                          r"|Ok|Err|else|do|while|for|if|unsigned|int|long|void|bool|size_t)\b")
OPERATORS = {
    " < ": " <= ", " <= ": " < ", " > ": " >= ", " >= ": " > ", " == ": " != ", " != ": " == ", " && ": " || ",
    " || ": " && ", " + ": " - ", " - ": " + ", " << ": " >> ", " >> ": " << ", " & ": " | ", " | ": " & ",
    "true": "false", "false": "true", "if (": "if (!", "++": "--", " += ": " -= ",
}
OPERATOR = re.compile("|".join(rf"\b{re.escape(text)}\b" if text.isalpha() else re.escape(text)
                               for text in sorted(OPERATORS, key=len, reverse=True)))


@dataclass(frozen=True)
class Site:
    """A file whose lines from `line` on, counted from 1, `count` of them, are `new` instead."""

    file: str
    line: int
    count: int
    new: str
    what: str

    @property
    def name(self):
        """How it is listed: the same wherever the lines have moved to."""
        return f"{self.file}: {self.what}"

    def apply(self, source):
        """The mutant. It has as many lines as the driver, so that nothing else of the object changes."""
        lines = source.split("\n")
        lines[self.line - 1:self.line - 1 + self.count] = self._padded()
        return "\n".join(lines)

    def _padded(self):
        lines = self.new.split("\n")
        if len(lines) > self.count:
            return [*lines[:self.count - 1], " ".join(lines[self.count - 1:])]
        return lines + [""] * (self.count - len(lines))


def every():
    """All sites, in the order of files and lines."""
    found = [site for site in _of_cargo_mutants()
             if site.line <= _code((CHECKOUT / site.file).read_text()).count("\n") + 1]
    for file in files():
        source = _code((CHECKOUT / file).read_text())
        found += deletions(file, source)
        if file in C_FILES:
            found += operators(file, source)
    return sorted(set(found), key=lambda site: (site.file, site.line, site.what))


def files():
    """The files of the driver, as it is built for machines of today."""
    rust = [path.relative_to(CHECKOUT) for folder in FOLDERS for path in (CHECKOUT / folder).glob("**/*.rs")]
    of_module = {str(path) for path in rust if not TESTS.search(str(path)) and "importer" not in str(path)}
    return sorted(of_module | {ROOT, *C_FILES})


def _code(source):
    """A file up to its unit tests, which come last."""
    tests = TESTS_BEGIN.search(source)
    return source[:tests.start()] if tests else source


def deletions(file, source):
    """Statements of one line that can be left out."""
    lines = source.split("\n")
    found = []
    for at, line in enumerate(lines):
        if (_in_code(line, file) and STATEMENT.match(line) and not NO_STATEMENT.match(line) and _is_balanced(line)
                and _before(lines, at).endswith((";", "{", "}", "*/"))):
            found.append(Site(file, at + 1, 1, "", f"line {_text(line)!r} is left out{_which(lines, at)}"))
    return found


def operators(file, source):
    """Operators and constants of C that can be others."""
    lines = source.split("\n")
    found = []
    for at, line in enumerate(lines):
        if not _in_code(line, file):
            continue
        code = line.split("/*")[0]
        for number, match in enumerate(OPERATOR.finditer(code)):
            old, new = match.group(), OPERATORS[match.group()]
            changed = line[:match.start()] + new + line[match.end():]
            # The negated condition stays in parentheses of its own.
            if old == "if (":
                inside = _argument(code, match.end() - 1)
                if not inside:
                    continue
                changed = code.replace(f"if {inside}", f"if (!{inside})", 1)
            found.append(Site(file, at + 1, 1, changed,
                              f"{old.strip()} is {new.strip()} in {_text(line)!r}, {number + 1}{_which(lines, at)}"))
    return found


def _argument(code, start):
    """The parentheses that open at `start`, with all in them, if they close on the line."""
    depth = 0
    for at in range(start, len(code)):
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        if not depth:
            return code[start:at + 1]
    return ""


def _text(line):
    return " ".join(line.split())


def _which(lines, at):
    """Tells lines apart that read the same."""
    same = [number for number, line in enumerate(lines) if line == lines[at]]
    return f" ({same.index(at) + 1} of {len(same)})" if len(same) > 1 else ""


def _is_balanced(line):
    return all(line.count(a) == line.count(b) for a, b in ("()", "{}", "[]"))


def _before(lines, at):
    """The line of code before that one."""
    for line in reversed(lines[:at]):
        text = line.split("//")[0].strip()
        if text and not text.startswith(("*", "/*", "#[")):
            return text
    return ""


def _in_code(line, file):
    return not line.lstrip().startswith(("*", "//", "/*")) and (not file.endswith(".c") or line.startswith("\t"))


def _of_cargo_mutants():
    """The mutants that cargo-mutants makes of the module's crate."""
    with tempfile.TemporaryDirectory(prefix="mutants-", dir=cache_folder()) as made:
        tool = cargo.install(TOOL, VERSION, Path(made))
        crate = Path(made) / "crate"
        for folder in FOLDERS:
            shutil.copytree(CHECKOUT / folder, crate / folder, ignore=shutil.ignore_patterns("*.o", "*.cmd"))
        shutil.copyfile(CHECKOUT / ROOT, crate / ROOT)
        (crate / "Cargo.toml").write_text(MANIFEST)
        text = build.in_root([tool, "mutants", "--list", "--json", "--diff", "--no-config", "--dir", crate])
    return [site for site in map(_of_diff, json.loads(text)) if not TESTS.search(site.file)]


def _of_diff(mutant):
    """The site of a mutant as cargo-mutants prints it: a unified diff of one hunk."""
    head, *body = mutant["diff"].split("\n@@ ", 1)[1].split("\n")
    start = int(re.match(r"-(\d+)", head).group(1))
    before = next(at for at, line in enumerate(body) if line[:1] in "+-")
    old = [line for line in body if line.startswith("-")]
    new = [line[1:] for line in body if line.startswith("+")]
    what = re.search(r"^\+\+\+ (.*)$", mutant["diff"], re.MULTILINE).group(1)
    line = start + before
    span = mutant["span"]["start"]
    if mutant["genre"] != "FnValue":
        what += f", column {span['column']} of {_text(old[0][1:])!r}"
    return Site(mutant["file"], line, len(old), "\n".join(new).replace(COMMENT, ""), what)
