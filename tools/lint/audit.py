# SPDX-License-Identifier: GPL-2.0
"""The audit of unsafe code: what each use relies on and where that is enforced, as Documentation/unsafe.md.

unsafe_scan finds the uses and their comments; here the comments are sorted by their wording, checked
and printed. The document has paths of items and no line numbers, so that it changes only with them.
"""

import fcntl
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import client

TOP = Path(__file__).resolve().parents[2]
SCANNER = TOP / "tools/lint/unsafe_scan"
DOCUMENT = "Documentation/unsafe.md"
COMMAND = "make unsafe"

# What is read: title, why it stands apart, folders and files. The first that a file is in counts.
AREAS = [
    ("The importer's half, and exporters of other memory",
     "Not part of udmabuf_rs.ko: samples and tests include it.",
     ("seam/importer/", "seam/exporter/", "ffi/importer.rs", "samples/")),
    ("The test importer",
     "Not installed, and misbehaves on purpose: counted and checked for comments, but not listed.",
     ("tools/testing/selftests/udmabuf_rs/importer/",)),
    ("The module", "", ("udmabuf_rs.rs", "udmabuf/", "seam/", "ffi/", "uapi/")),
]
IMPORTER, TEST_IMPORTER, MODULE = (area[0] for area in AREAS)
TESTS = "Unit tests"
TESTS_REASON = "In the module only if the kernel has KUnit: counted and checked for comments, but not listed."
LISTED = (MODULE, IMPORTER)

# What is counted, and the heading of its column.
COUNTED = {"block": "blocks", "impl": "impls", "fn": "fns", "trait": "traits", "marker": "locks"}
# What needs a SAFETY comment; functions and traits have a section of their documentation.
COMMENTED = {"block": "unsafe block", "impl": "unsafe impl", "marker": "unsafe(…)", "extern": "unsafe extern block"}


def words(*alternatives):
    return re.compile(r"\b(?:" + "|".join(alternatives) + r")\b", re.IGNORECASE)


INVARIANTS = re.compile(r"\btype invariants\b(?: of `(\w+)`)?")
REQUIREMENTS = re.compile(r"\bsafety requirements\b(?: of `(\w+)`)?")
# "A reference for the caller" is no duty.
CALLER = re.compile(r"(?<!for )\b[Tt]he callers?\b")
# Locks by the words for them, the last one for any.
LOCKS = [("resv lock", words("resv lock")), ("mutex", words("mutex")),
         ("`LIST`", re.compile(r"`LIST`|\blist(?:, which)? is (?:still )?locked")),
         ("folio lock", words("folio is locked", "folio lock")), ("device lock", words("device lock")),
         ("`name_lock`", words("name_lock")), ("lock", words("locked", "lock", "semaphore"))]
# The rest, by their first column in the document: what it means, and the words for it.
ANY_TASK = "any task"
GROUNDS = {
    "C core": ("Guarantees of the C core, and rules of the C subsystem that importers keep.",
               words("the core", "importers?", "attach(?:ed|ment)", "the kernel")),
    "C function": ("Contract of the C function that is called: its arguments, its result.",
                   words("functions?", "call", "returns?", "returned", "copied", "format", "in C", "C string",
                         "no requirements", "any numbers?", "any address", "are numbers", "looks at", "reads")),
    "named function": ("Effect of the named function, now or earlier.", re.compile(r"`[\w:]+\(\)`")),
    "ownership": ("A reference, a borrow, or an owner that drops its fields in order.",
                  words("references?", "borrow(?:s|ed)?", "alive", "outlives?", "lives?", "keeps?", "stays?", "pins?",
                        "pinned", "owns?", "this value", "dropped", "belongs to (?!no )", "holds?", "holders?",
                        "readers?")),
    "layout": ("Layout of the type.",
               words("transparent", "types differ", "any bytes", "all of it", "unsigned int", "is an errno", "of type",
                     "a value of", "begins with", "is an `Inner", "which has no padding")),
    "this function": ("Code just before the block, in the same function.",
                      words("just", "above", "not in use", "compare-and-exchange", "being set up", "room",
                            "may be written", "may write", "from `KBox", "is not shared", "never NULL", "not NULL")),
    "private callers": ("Callers of a private safe function, in the same file.",
                        words("callers", "only caller", "public functions")),
    ANY_TASK: ("For `Send` and `Sync`: the value has no state of a task, or serialises its accesses.",
                 words("tasks?", "`Send`", "`Sync`", "atomic", "constant", "does not change", "methods on")),
}


class Item(dict):
    """Something unsafe, a type, or a comment without either, as unsafe_scan reports it."""

    def __init__(self, file, fields):
        super().__init__(fields)
        self.file = file
        self.area = next(title for title, _, places in AREAS if file.startswith(places))
        if self.area == MODULE and (fields.get("is_test") or Path(file).stem == "tests"):
            self.area = TESTS
        self.kind, self.path, self.line = self["kind"], self["path"], self["line"]

    def section(self, title):
        """The text of a section of the documentation, in one line; "" if there is none."""
        found = re.search(rf"^ *# {title}\n(.*?)(?=^ *# |\Z)", self["text"], re.MULTILINE | re.DOTALL)
        return plain(found[1]) if found else ""

    @property
    def trait(self):
        """The trait that an `impl` is of, without its path; "" if this is no `impl` of one."""
        text = self["text"] if self.kind == "impl" else self["header"]
        found = re.search(r"([\w]+)(?:<[^{}]*>)? for ", text)
        return found[1] if found else ""


def plain(text):
    """Documentation in one line, without links, which lead nowhere from the document."""
    text = re.sub(r"^ *[-*] ", "• ", text, flags=re.MULTILINE)
    text = re.sub(r"\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])?", r"\1", text)
    return " ".join(text.split())


def scanner():
    """Builds unsafe_scan in the build root. Returns its path."""
    folder = client.folder("lint")
    target = folder / "target"
    environment = [f"CARGO_HOME={folder / 'cargo'}", f"CARGO_TARGET_DIR={target}", "CARGO_TERM_COLOR=never"]
    with tempfile.TemporaryDirectory(prefix="scan-", dir=folder) as made:
        # Some networks have certificates of their own, which the host knows.
        certificates = ssl.get_default_verify_paths().cafile
        if certificates:
            shutil.copyfile(certificates, Path(made) / "certificates.pem")
            environment.append(f"CARGO_HTTP_CAINFO={Path(made) / 'certificates.pem'}")
        with open(folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = in_root("env", *environment, "cargo", "build", "--quiet", "--release", "--locked",
                           f"--jobs={os.cpu_count() or 2}", "--manifest-path", SCANNER / "Cargo.toml")
    if done.returncode:
        raise client.Failure(f"tools/lint/unsafe_scan does not build:\n{done.stderr}")
    return target / "release/unsafe_scan"


def in_root(*command, cwd=TOP):
    return client.run([TOP / "tools/vm/root", "--", *command], cwd=cwd, text=True,
                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def scan(program, top, files):
    """All items of some files, in order."""
    done = in_root(program, *files, cwd=top)
    if done.returncode:
        raise client.Failure(done.stderr.strip())
    return [Item(file, fields) for file, found in json.loads(done.stdout).items() for fields in found]


def read():
    """The same for all files of the audit's areas."""
    found = [path for _, _, places in AREAS for place in places for path in
             ((TOP / place).glob("**/*.rs") if place.endswith("/") else [TOP / place])]
    return scan(scanner(), TOP, sorted({str(path.relative_to(TOP)) for path in found}))


class Audit:
    """What the items rely on, and what is wrong with their comments."""

    def __init__(self, items):
        self.items = items
        self.types = {}
        self.functions = {}
        self.traits = {}
        self.complaints = []
        for item in items:
            table, title = {"type": (self.types, "Invariants"), "fn": (self.functions, "Safety"),
                            "trait": (self.traits, "Safety")}.get(item.kind, (None, None))
            if table is not None and item.section(title):
                table.setdefault(item.path.split("::")[-1], []).append(item)
        for item in items:
            self._check(item)

    def _say(self, item, text):
        self.complaints.append(f"{item.file}:{item.line}: {text}\n")

    def _check(self, item):
        safety = item["safety"]
        if item.kind == "unknown":
            self._say(item, "'unsafe' stands where it cannot be told what it is for: write it in another way")
        elif item.kind == "stray":
            self._say(item, "SAFETY comment on nothing that is unsafe: move it to the unsafe block, or remove it")
        elif item.kind in COMMENTED and safety is None:
            self._say(item, f"{COMMENTED[item.kind]} without a SAFETY comment: add one above it")
        elif item.kind in COMMENTED and not safety:
            self._say(item, f"empty SAFETY comment: say why the {COMMENTED[item.kind]} is right")
        elif item.kind in ("fn", "trait") and not item.section("Safety") and not (item.kind == "fn" and item.trait):
            self._say(item, f"unsafe {item.kind} '{item.path}' without a '# Safety' section: "
                            "add one to its documentation")
        elif item.kind in COMMENTED and item.area in LISTED:
            for text in self.problems(item):
                self._say(item, text)

    def problems(self, item):
        """Sentences about what a comment refers to."""
        safety = item["safety"]
        if INVARIANTS.search(safety) and not self._invariants(item):
            yield "SAFETY comment relies on type invariants, but the type has no '# Invariants' section"
        if REQUIREMENTS.search(safety) and not self._requirements(item):
            yield "SAFETY comment relies on safety requirements, but is in no unsafe function: say 'of `function`'"
        if CALLER.search(safety) and not item["in_unsafe"] and not GROUNDS["private callers"][1].search(safety):
            yield ("SAFETY comment relies on the caller, but is in no unsafe function: "
                   "make it one, or name the only caller")
        if not self.grounds(item):
            yield ("SAFETY comment does not tell where it is enforced: name the type invariants, the safety "
                   "requirements, the lock, the C function or the owner (tools/lint/audit.py has the words)")

    def _invariants(self, item):
        named = INVARIANTS.search(item["safety"])[1]
        owner = item.path if item.kind == "impl" else item["owner"]
        return self._nearest(self.types, named or owner.split("::")[-1], item)

    def _requirements(self, item):
        named = REQUIREMENTS.search(item["safety"])
        if named and named[1]:
            return self._nearest(self.functions, named[1], item)
        if not item["in_unsafe"]:
            return None
        found = [each for each in self.items
                 if each.kind == "fn" and each.file == item.file and each.path == item["function"]]
        return found[0] if found else None

    @staticmethod
    def _nearest(table, name, item):
        """The entry of that name in the same type, else in the same file, else anywhere."""
        return min(table.get(name, []), default=None,
                   key=lambda each: (each.file != item.file, each["owner"] != item["owner"]))

    def grounds(self, item):
        """What a comment says that enforces it, as cells of the document."""
        safety, found = item["safety"], []
        if INVARIANTS.search(safety):
            type_ = self._invariants(item)
            found.append(link(f"invariants of `{type_.path}`", type_) if type_ else "")
        if REQUIREMENTS.search(safety) or CALLER.search(safety) and item["in_unsafe"]:
            function = self._requirements(item)
            if function and not function.section("Safety"):
                found.append(f"contract of `{function.trait}`")
            elif function:
                what = "contract of the callback" if function["is_c"] else "requirements of"
                found.append(link(f"{what} `{function.path}`", function))
        found += [self._contract(name) for name in self._traits(item)]
        found += [name for name, pattern in LOCKS if pattern.search(safety)][:1]
        found += [name for name, (_, pattern) in GROUNDS.items() if pattern.search(safety)
                  and (name != ANY_TASK or item.kind == "impl" and item.trait in ("Send", "Sync"))]
        return [each for each in found if each]

    def _traits(self, item):
        """Unsafe traits that a comment is about."""
        named = [name for name in self.traits if f"`{name}`" in item["safety"]]
        if item.kind == "impl" and item.trait not in ("Send", "Sync", *named):
            named.append(item.trait)
        return named

    def _contract(self, trait):
        own = self.traits.get(trait)
        return link(f"contract of `{trait}`", own[0]) if own else f"contract of `{trait}`, of the kernel crate"


def anchor(item):
    return re.sub(r"[^a-z0-9]+", "-", f"{item.kind} {item.file} {item.path}".lower()).strip("-")


def link(text, item):
    return f"[{text}](#{anchor(item)})"


def cell(text):
    return text.replace("|", "\\|")


def row(*cells):
    return "| " + " | ".join(cell(str(each)) for each in cells) + " |"


def document(audit):
    """The text of the document."""
    lines = ["<!-- SPDX-License-Identifier: GPL-2.0 -->",
             f"<!-- Made by `{COMMAND}` from the sources: change their comments, not this file. -->",
             "", "# Unsafe code", "",
             "Each use of `unsafe` with its `SAFETY` comment, and the place where the comment's claim is enforced,",
             "by the comment's wording. C functions are declared in `extern` blocks in [ffi/](../ffi) and by",
             "`bindings`; each call is a block here.", "",
             f"`{COMMAND}` writes this file. `make lint` fails if it is out of date, if a use has no comment,",
             "a comment no use, or if a comment names nothing that enforces it.", ""]
    lines += summary(audit)
    lines += ["", "## Enforced by", "", "| | meaning |", "|---|---|",
              row("invariants of T",
                  "`# Invariants` of a type; an `INVARIANT` comment stands where they are established."),
              row("requirements of f", "`# Safety` of the enclosing unsafe function: its callers."),
              row("contract of the callback f", "`# Safety` of the enclosing function that C calls: the C core."),
              row("contract of T", "`# Safety` of an unsafe trait: its implementations."),
              row(", ".join(name for name, _ in LOCKS),
                  "The lock that the comment names: by its rules, or since the task holds it.")]
    lines += [row(name, meaning) for name, (meaning, _) in GROUNDS.items()]
    for title in LISTED:
        reason = next(reason for name, reason, _ in AREAS if name == title)
        lines += ["", f"## {title}", *(["", reason] if reason else [])]
        files = sorted({item.file for item in audit.items if item.area == title and item.kind in COUNTED})
        for file in files:
            lines += section(audit, title, file)
    return "\n".join(lines) + "\n"


def summary(audit):
    """A table of numbers, by file where files are listed."""
    lines = ["| | " + " | ".join(COUNTED.values()) + " |", "|---|" + "---:|" * len(COUNTED)]
    for title, reason in [(MODULE, ""), (IMPORTER, ""), (TESTS, TESTS_REASON), (TEST_IMPORTER, AREAS[1][1])]:
        counts = {}
        for item in audit.items:
            if item.area == title and item.kind in COUNTED:
                counts.setdefault(item.file, Counter())[item.kind] += 1
        total = sum(counts.values(), Counter())
        lines.append(numbers(f"**{title}**", total))
        if title in LISTED:
            lines += [numbers(f"[{file}](#{heading(file)})", counts[file]) for file in sorted(counts)]
    used = {item.file for item in audit.items if item.kind in COUNTED}
    unused = sorted(place for _, _, places in AREAS for place in places
                    if not any(file.startswith(place) for file in used))
    lines += ["", f"No `unsafe` at all: {', '.join(f'`{place}`' for place in unused)}.",
              "", "\"Locks\" are `unsafe(uninit)` statics of `global_lock!`.",
              "", f"{TESTS}: {lower(TESTS_REASON)}",
              "", f"{TEST_IMPORTER}: {lower(AREAS[1][1])}"]
    return lines


def lower(text):
    return text[0].lower() + text[1:]


def heading(title):
    """The anchor that a heading gets."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def numbers(name, counts):
    return row(name, *(counts[kind] or "" for kind in COUNTED))


def section(audit, area, file):
    """What one file has."""
    items = [item for item in audit.items if item.file == file and item.area == area]
    lines = ["", f"### {file}"]
    rows = Counter()
    for item in items:
        if item.kind in COMMENTED:
            where = f"`{item['text']}`" if item.kind == "impl" else f"`{item.path}`"
            rows[where, item["safety"] or "", ", ".join(audit.grounds(item)) if item["safety"] else ""] += 1
    if rows:
        lines += ["", "| item | relies on | enforced by |", "|---|---|---|"]
        lines += [row(where + (f" ({count} times)" if count > 1 else ""), safety, grounds)
                  for (where, safety, grounds), count in rows.items()]
    lines += definitions(items, ("fn", "trait"), "Safety", "unsafe function or trait", "requires")
    lines += definitions(items, ("type",), "Invariants", "type", "invariants")
    return lines


def definitions(items, kinds, title, first, second):
    """A table of what comments refer to. Of items that the configuration chooses between, each text comes once."""
    rows = {}
    for item in items:
        text = item.section(title)
        if item.kind == "fn" and not text and item.trait:
            text = f"What the trait `{item.trait}` requires."
        if item.kind in kinds and text:
            rows.setdefault((f"`{item.path}`", text), item)
    seen = set()
    lines = []
    for (name, text), item in rows.items():
        mark = "" if anchor(item) in seen else f"<a id=\"{anchor(item)}\"></a>"
        seen.add(anchor(item))
        lines.append(row(mark + name, text))
    return ["", f"| {first} | {second} |", "|---|---|", *lines] if lines else []


def check():
    """For lint: (all well?, complaints)"""
    audit = Audit(read())
    complaints = audit.complaints
    path = TOP / DOCUMENT
    if not complaints and (not path.exists() or path.read_text() != document(audit)):
        complaints = [f"{DOCUMENT} is out of date: run '{COMMAND}' and commit it\n"]
    return not complaints, "".join(complaints)
