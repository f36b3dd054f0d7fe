# SPDX-License-Identifier: GPL-2.0
"""Misuses of the seam that must not compile: tools/testing/compile_fail.

A case is compiled as Kbuild compiles the module that its root belongs to, by the
command that was recorded for that, but for what it emits: metadata alone.
"""

import functools
import re
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import build, host, ktap
from .build import CHECKOUT, SELFTESTS, TESTING, VM

SUBJECT = "compile_fail"
CASES = TESTING / SUBJECT
FIELD = re.compile(r"^// (misuse|root|error): (.*)$", re.MULTILINE)
ERROR = re.compile(r"^error(?:\[(E\d{4})\])?: (?!aborting due to )(.*)$", re.MULTILINE)
# What takes the place of words of the recorded command, by how these begin.
EMITTED = ("--emit=", "--out-dir", "--crate-type")

CRATE = """#[path = "{ffi}"]
mod ffi;
#[path = "{seam}"]
pub mod seam;
#[path = "{case}"]
pub mod case;
use kernel::prelude::*;

module! {{
    type: Module,
    name: "compile_fail",
    authors: ["The udmabuf_rs authors"],
    description: "A misuse of the seam",
    license: "GPL",
}}

pub struct Module;

impl kernel::Module for Module {{
    fn init(_module: &'static ThisModule) -> Result<Self> {{
        Ok(Self)
    }}
}}
"""


@dataclass(frozen=True)
class Root:
    """A half of the seam: its files, and the module that is built with it."""

    seam: str
    ffi: str
    module: Path
    crate: str


ROOTS = {
    "importer": Root("seam/importer/mod.rs", "ffi/importer.rs", SELFTESTS / "importer", "udmabuf_importer_main"),
    "exporter": Root("seam/exporter/mod.rs", "ffi/mod.rs", CHECKOUT / "samples", "rust_dma_buf_exporter_main"),
    "driver": Root("seam/mod.rs", "ffi/mod.rs", CHECKOUT, "udmabuf_rs_main"),
}


def run(show):
    """Compile every case, and compare the errors."""
    show.heading("host: misuses that must not compile")
    cases = sorted(CASES.glob("**/*.rs"))
    if not cases:
        return [ktap.Result(SUBJECT, SUBJECT, ktap.FAILED, "no cases")]
    return [_case(case, show) for case in cases]


def _case(case, show):
    name = f"{SUBJECT}.{case.relative_to(CASES).with_suffix('')}".replace("/", ".")
    fields = dict(FIELD.findall(case.read_text()))
    if fields.get("root") not in ROOTS or "misuse" not in fields:
        return ktap.Result(SUBJECT, name, ktap.FAILED, "its head names no misuse or no root")
    output = _compile(case, ROOTS[fields["root"]])
    reason = judge(output, fields.get("error"))
    show.line(f"{name}: {fields['misuse']}: {fields.get('error', 'compiles')}")
    if reason:
        print(output)
    return ktap.Result(SUBJECT, name, ktap.FAILED if reason else ktap.PASSED, reason)


def judge(output, expected):
    """Why the compiler's output is not the expected one; empty when it is."""
    found = sorted({code or text for code, text in ERROR.findall(output)})
    wanted = [expected] if expected else []
    return "" if found == wanted else f"errors: {', '.join(found) or 'none'}; expected: {expected or 'none'}"


def _compile(case, root):
    # Beside the programs, where the build root sees it.
    folder = build.cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="compile-fail-", dir=folder) as made:
        crate = Path(made) / "case.rs"
        crate.write_text(CRATE.format(ffi=CHECKOUT / root.ffi, seam=CHECKOUT / root.seam, case=case))
        # The command is one of the shell: it begins with variables. Another comes from the kernel's Makefile.
        line = " ".join(["RUSTC_BOOTSTRAP=1", *command(_recorded(root)), "--crate-type=rlib", "--emit=metadata", f"--out-dir={made}",
                         str(crate)])
        output, status = host.run([VM / "root", "--", "sh", "-c", line])
    # A compiler that could not be run says so without such a line.
    return output if status == 0 or ERROR.search(output) else f"{output}\nerror: status {status}\n"


def command(recorded):
    """The words of a recorded command but for its source and what it emits, each quoted for the shell."""
    words = shlex.split(recorded)
    kept, skip = [], False
    for word in words[:-1]:
        if skip:
            skip = False
        elif word.startswith(EMITTED):
            skip = "=" not in word
        else:
            kept.append(word)
    variables = next(at for at, word in enumerate(kept) if "=" not in word)
    return kept[:variables] + [shlex.quote(word) for word in kept[variables:]]


@functools.lru_cache(maxsize=None)
def _recorded(root):
    module = Path(build.output_of([VM / "module", root.module]).splitlines()[-1])
    for line in (module.parent / f".{root.crate}.o.cmd").read_text().splitlines():
        if line.startswith("savedcmd_"):
            return line.split(":=", 1)[1]
    raise build.BuildError(f"no command is recorded for {root.crate}")
