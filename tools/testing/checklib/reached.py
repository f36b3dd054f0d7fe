# SPDX-License-Identifier: GPL-2.0
"""Which lines of the module were reached, from blocks of its machine code.

A block begins where the compiler calls __sanitizer_cov_trace_pc(), and ends before the next such
call. A line has code if the line table of the module says so, and is reached if a block with some
of it is. Lines of the kernel's own code that is inlined are left out.
"""

import bisect
import re
import tempfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from .build import CHECKOUT, TESTING, VM, in_root, output_of

UNREACHED = TESTING / "fuzz" / "unreached.toml"
CALL = re.compile(r"^([0-9a-f]+) +[0-9a-f]+ R_X86_64_(?:PLT32|PC32) +[0-9a-f]+ __sanitizer_cov_trace_pc\b")
SECTION = re.compile(r"^ *\[ *\d+\] (\S+) +PROGBITS +([0-9a-f]+) ")
FUNCTION = re.compile(r"^([0-9a-f]+) [tT] ")
FILE = re.compile(r"^file_names\[ *(\d+)\]:")
ROW = re.compile(r"^0x([0-9a-f]+) +(\d+) +\d+ +(\d+) +\d+ +\d+ +(?:\d+ +)?(.*)$")
# The module's own, without files of tests and samples alone.
OURS = ("udmabuf_rs.rs", "udmabuf/", "seam/", "ffi/", "uapi/")
# The counters themselves, and tracepoints, whose code comes from macros of the kernel.
NOT_COUNTED = ("ffi/coverage.c", "ffi/trace.h")
CALL_SIZE = 5
# The head of an inlined function has code in its copy out of line alone, which nothing calls.
HEAD = re.compile(r"^\s*(pub(\([a-z]+\))? )?(const )?(unsafe )?(extern \"C\" )?fn |^\s*#\[|^module! |^TRACE_EVENT|^DEFINE_EVENT")
# Unit tests at the end of a file, or in one of their own.
TESTS = re.compile(r"^#\[kunit_tests\(|^#\[cfg\(test\)\]")


@dataclass
class Coverage:
    """Lines, as pairs of a file and a number."""

    code: set = field(default_factory=set)
    reached: set = field(default_factory=set)
    # Why others cannot be.
    reasons: dict = field(default_factory=dict)
    # Entries of the file that fit nothing.
    stale: list = field(default_factory=list)
    # The least that a short run must reach.
    least: float = 0.0

    @property
    def can(self):
        """Lines that can be reached, as far as is known."""
        return self.code - (self.reasons.keys() - self.reached)

    @property
    def share(self):
        """Percent of them that were."""
        return 100 * len(self.reached) / max(1, len(self.can))

    def summary(self):
        """Lines of Markdown."""
        left = self.code - self.reached
        counts = {}
        for line in left:
            if line in self.reasons:
                counts[self.reasons[line]] = counts.get(self.reasons[line], 0) + 1
        unknown = len(left) - sum(counts.values())
        return [f"{len(self.reached)} of {len(self.can)} lines that can be reached were: {self.share:.1f}%. Lines with code:"
                f" {len(self.code)}.", "", "| lines never reached | why |", "|---:|---|",
                *(f"| {count} | {reason} |" for reason, count in sorted(counts.items(), key=lambda pair: -pair[1])),
                f"| {unknown} | not known |"]

    def unknown(self):
        """The lines that nothing is known of, as text."""
        left = sorted(self.code - self.reached - self.reasons.keys())
        texts = {}
        lines = ["", f"Never reached, and not in {UNREACHED.name}:"] if left else []
        for name, number in left:
            source = texts.setdefault(name, (CHECKOUT / name).read_text().splitlines())
            lines.append(f"  {name}:{number}: {source[number - 1].strip() if number <= len(source) else ''}")
        return lines


def measure(texts, config):
    """The lines that boots have reached. `texts` are pairs of a kernel and blocks: a line each, of section and offset.

    Lines with code are taken from the first kernel, since others add checks and keep apart what is one block there.
    """
    coverage = Coverage()
    modules = {}
    for kernel, text in texts:
        if kernel not in modules:
            modules[kernel] = _module(kernel, config)
        code, reached = lines(*modules[kernel], parse(text))
        coverage.code = coverage.code or code
        coverage.reached |= reached & coverage.code
    texts = {name: (CHECKOUT / name).read_text() for name in {name for name, _ in coverage.code}}
    counted = {name: statements(name, text) for name, text in texts.items()}
    for found in (coverage.code, coverage.reached):
        found -= {(name, number) for name, number in found if number not in counted[name]}
    explain(coverage, tomllib.loads(UNREACHED.read_text()))
    return coverage


def statements(name, source):
    """The numbers of lines that count: all but unit tests, heads of functions, and braces, where values are dropped."""
    found = set()
    for at, line in enumerate(source.splitlines()):
        if TESTS.match(line) or name.endswith("tests.rs"):
            break
        if re.search(r"\w", line) and not HEAD.match(line):
            found.add(at + 1)
    return found


def parse(text):
    """The blocks, as pairs of a section and an offset."""
    return {(section, int(offset, 16)) for section, offset in (line.split() for line in text.splitlines())}


def explain(coverage, reviewed, top=CHECKOUT):
    """Fills in the reasons that are on file."""
    coverage.least = float(reviewed.get("least_percent", 0))
    for entry in reviewed.get("lines", []):
        source = (top / entry["file"]).read_text().splitlines() if (top / entry["file"]).exists() else []
        numbers = matches(source, entry)
        if not numbers:
            coverage.stale.append(f"{entry['file']}: {entry.get('text') or entry.get('inside')}")
        for number in numbers:
            if (entry["file"], number) in coverage.code:
                coverage.reasons.setdefault((entry["file"], number), entry["reason"])


def matches(source, entry):
    """The numbers of the lines that an entry is about: with `text` in them, or of the item that begins with `inside`."""
    if "text" in entry:
        return [at + 1 for at, line in enumerate(source) if entry["text"] in line]
    numbers = []
    for at, line in enumerate(source):
        if entry["inside"] not in line:
            continue
        indentation = len(line) - len(line.lstrip())
        # It ends with a bracket at its indentation, but for that of a head of several lines.
        end = at
        while end < len(source) and (source[end][indentation:indentation + 1] not in ("}", ")")
                                     or source[end].rstrip().endswith("{")):
            end += 1
        numbers += range(at + 1, min(end, len(source) - 1) + 2)
    return numbers


def _module(kernel, config):
    """Calls and rows of the module that boots of that kernel load."""
    path = output_of([VM / "module", "--kernel", kernel, "--with", config, CHECKOUT]).splitlines()[-1]
    # In a module that is not linked, sections all begin at 0, and the debug information cannot tell them apart.
    with tempfile.TemporaryDirectory(prefix="udmabuf-check-", dir="/tmp") as folder:
        linked = Path(folder) / "module"
        in_root(["ld", "--unresolved-symbols=ignore-all", "--emit-relocs", "--no-relax", "-e", "0", "-o", linked, path])
        dump = in_root(["llvm-readelf", "--relocations", "--sections", "--wide", linked])
        table = in_root(["llvm-dwarfdump", "--debug-line", linked])
        names = in_root(["llvm-nm", "--defined-only", linked])
    return calls(dump), rows(table), functions(names)


def calls(dump):
    """Where blocks begin, as a dict from section and offset, as boots tell them, to the address behind the call."""
    sections, addresses = {}, []
    for line in dump.splitlines():
        section, call = SECTION.match(line), CALL.match(line)
        if section and "text" in section.group(1):
            sections[section.group(1)] = int(section.group(2), 16)
        if call:
            addresses.append(int(call.group(1), 16) + 4)
    starts = sorted((address, name) for name, address in sections.items())
    found = {}
    for address in addresses:
        at = bisect.bisect_right(starts, (address, "~")) - 1
        start, name = starts[at]
        found[(name, address - start)] = address
    return found


def rows(table):
    """The line table: address, file below the checkout or "", line, and whether a sequence ends here."""
    found, names, pending = [], {}, None
    for line in table.splitlines():
        if line.startswith("debug_line["):
            names, folders, pending = {}, {}, None
        elif line.startswith("include_directories["):
            at, _, text = line[len("include_directories["):].partition("] = ")
            folders[int(at)] = text.strip().strip('"')
        elif FILE.match(line):
            pending = int(FILE.match(line).group(1))
        elif pending is not None and line.strip().startswith("name: "):
            names[pending] = line.strip()[len("name: "):].strip('"')
        elif pending is not None and line.strip().startswith("dir_index: "):
            names[pending] = _below(folders.get(int(line.split()[-1]), ""), names[pending], folders.get(0, ""))
        elif ROW.match(line):
            address, number, at, flags = ROW.match(line).groups()
            found.append((int(address, 16), names.get(int(at), ""), int(number), "end_sequence" in flags,
                          "is_stmt" in flags))
    return found


def _below(folder, name, compiled_in):
    """A source file's path below the checkout, if it is one of ours."""
    path = Path(compiled_in, folder, name)
    for top in (str(CHECKOUT), compiled_in):
        if top and str(path).startswith(top + "/"):
            below = str(path)[len(top) + 1:]
            if below.startswith(OURS) and below not in NOT_COUNTED:
                return below
    return ""


def functions(names):
    """Where functions begin."""
    return sorted(int(match.group(1), 16) for match in map(FUNCTION.match, names.splitlines()) if match)


def lines(blocks, table, starts, hit):
    """The lines with code, and the lines of blocks that were hit.

    Code before the first call of a function, such as saving registers, belongs to its first block.
    """
    begins = sorted((address - CALL_SIZE, key in hit) for key, address in blocks.items())
    addresses = [address for address, _ in begins]
    code, reached = set(), set()
    for address, name, number, ends, is_statement in table:
        if not name or not number or ends or not is_statement:
            continue
        code.add((name, number))
        at = bisect.bisect_right(addresses, address) - 1
        function = starts[bisect.bisect_right(starts, address) - 1] if starts else 0
        if at < 0 or addresses[at] < function:
            at += 1
        if at < len(begins) and begins[at][1]:
            reached.add((name, number))
    return code, reached
