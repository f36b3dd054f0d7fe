# SPDX-License-Identifier: GPL-2.0
"""Tests of the audit of unsafe code: what is found in sources, complained about, and written.

    cd tools/lint && python3 -m unittest discover -s tests
"""

import re
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
LINT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(LINT))
sys.path.insert(0, str(LINT.parent / "vm"))

import audit  # noqa: E402
import client  # noqa: E402

SOURCE = r'''
//! unsafe { no() }

/// A pointer.
///
/// # Invariants
///
/// - Valid, see [`here`](Self::f).
/// - Not NULL.
pub struct Pointer<'a, T: Iterator<Item = u8>>(*const T, &'a ());

// SAFETY: A pointer belongs to no task.
unsafe impl<'a, T: Iterator<Item = u8> + Fn() -> u8> Send for Pointer<'a, T> where T: Send {}

impl<T: Iterator<Item = u8>> Pointer<'_, T> {
    /// Reads it.
    ///
    /// # Safety
    ///
    /// Nothing must write to it,
    /// ever.
    pub unsafe fn read(&self) -> T {
        let text = ("unsafe { a }", r#"unsafe { " }"#, b"unsafe", 'u', '"', "\"");
        /* unsafe { /* nested */ unsafe { } } */ // unsafe { }
        // SAFETY: By the type invariants.
        //
        // The safety requirements count as well.
        // CAST: Not part of it.
        let x = text.map(|_| unsafe { self.0.read() });
        call(x, || {
            // SAFETY: The function takes any number.
            unsafe { f(1) };
            // SAFETY: The function takes any number.
            if unsafe { g(unsafe { f(2) }) } {}
        })
    }
}

/// # Safety
///
/// To be `Plain`.
pub(crate) unsafe trait Plain {
    const F: unsafe extern "C" fn(u8) -> u8;
}
// SAFETY: A byte is.
unsafe impl Plain for u8 {
    // SAFETY: The function takes any number.
    const F: u8 = unsafe { f(3) };
}

global! {
    // SAFETY: `new()` initialises it.
    unsafe(uninit) static LOCK: u8 = 0;
}
macro_rules! made {
    ($name:ident) => {
        $(#[$attribute])*
        unsafe extern "C" fn $name() {
            // SAFETY: The function takes any number.
            unsafe { f($name) }
        }
    };
}

#[cfg(test)]
mod more {
    fn test() {
        // SAFETY: A test.
        #[cfg(not(x))]
        return unsafe { f(4) };
    }
}
'''

FOUND = [
    ("type", "Pointer", None), ("impl", "Pointer", "A pointer belongs to no task."), ("fn", "Pointer::read", None),
    ("block", "Pointer::read", "By the type invariants. The safety requirements count as well."),
    ("block", "Pointer::read", "The function takes any number."),
    ("block", "Pointer::read", "The function takes any number."),
    ("block", "Pointer::read", None),
    ("trait", "Plain", None), ("impl", "u8", "A byte is."), ("block", "u8::F", "The function takes any number."),
    ("marker", "", "`new()` initialises it."), ("fn", "made!::$name", None),
    ("block", "made!::$name", "The function takes any number."), ("block", "more::test", "A test."),
]


COMMENT = "// SAFETY: The function takes any number."


class Sources(unittest.TestCase):
    """Sources in a folder of their own."""

    @classmethod
    def setUpClass(cls):
        cls.scanner = audit.scanner()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)

    def scanned(self, source, name="seam/a.rs"):
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        return audit.scan(self.scanner, self.top, [name])


class Scan(Sources):
    """What is found."""

    def test_all(self):
        found = self.scanned(SOURCE)
        # Comments are only those of blocks and impls here: functions have documentation.
        self.assertEqual(FOUND, [(item.kind, item.path, item["safety"] if item.kind in audit.COMMENTED else None)
                                 for item in found])

    def test_sections(self):
        found = {item.path: item for item in self.scanned(SOURCE) if item.kind in ("type", "fn", "trait")}
        self.assertEqual("• Valid, see `here`. • Not NULL.", found["Pointer"].section("Invariants"))
        self.assertEqual("Nothing must write to it, ever.", found["Pointer::read"].section("Safety"))
        self.assertEqual("As each use of the macro documents.", found["made!::$name"].section("Safety"))
        self.assertEqual("", found["Pointer::read"].section("Invariants"))

    def test_areas(self):
        found = self.scanned(SOURCE)
        self.assertEqual({audit.MODULE, audit.TESTS}, {item.area for item in found})
        self.assertEqual(audit.TESTS, found[-1].area)
        self.assertEqual({audit.TESTS}, {item.area for item in self.scanned(SOURCE, "seam/a/tests.rs")})
        self.assertEqual({audit.IMPORTER}, {item.area for item in self.scanned(SOURCE, "seam/importer/a.rs")})

    def test_no_rust(self):
        with self.assertRaisesRegex(client.Failure, "seam/a.rs: no Rust"):
            self.scanned("fn f() { unsafe { }")

    def test_ours(self):
        """In the checkout, no use is overlooked: as many as a search for the word finds."""
        items = audit.read()
        for name in sorted({item.file for item in items}):
            text = re.sub(r"//.*", "", (audit.TOP / name).read_text())
            words = re.findall(r'\bunsafe\b(?! (?:extern "C" )?fn\()', text)
            uses = [item for item in items if item.file == name and item.kind not in ("type", "stray")]
            self.assertEqual(len(words), len(uses), name)


class Complaints(Sources):
    """What is complained about."""

    def said(self, source, name="seam/a.rs"):
        return "".join(audit.Audit(self.scanned(source, name)).complaints)

    def assert_said(self, text, source, line, name="seam/a.rs"):
        said = self.said(source, name)
        self.assertEqual(1, said.count("\n"), said)
        self.assertTrue(said.startswith(f"{name}:{line}: {text}"), said)

    def test_nothing(self):
        self.assertEqual("", self.said(GOOD))

    def test_missing(self):
        text = "unsafe block without a SAFETY comment"
        self.assert_said(text, "fn f() {\n    unsafe { g() };\n}\n", 2)
        self.assert_said(text, "macro_rules! m { () => {\n unsafe { g() } }; }\n", 2)
        self.assert_said(text, "fn f() {\n    // A comment.\n    unsafe { g() };\n}\n", 3)
        # In tests, too.
        self.assert_said(text, "fn f() {\n    unsafe { g() };\n}\n", 2, "seam/tests.rs")
        self.assert_said("unsafe impl without", "unsafe impl Send for A {}\n", 1)
        self.assert_said("unsafe(…) without", "lock! { unsafe(uninit) static A: u8 = 0; }\n", 1)

    def test_of_another_statement(self):
        """A comment is for one statement."""
        for before in ("unsafe { g() };", "let x = unsafe { g() };", "unsafe { g() }", "if unsafe { g() } {}",
                       "match unsafe { g() } { _ => () }"):
            source = f"fn f() {{\n    {COMMENT}\n    {before}\n    unsafe {{ h() }}\n}}\n"
            self.assert_said("unsafe block without a SAFETY comment", source, 4)

    def test_comma(self):
        """A comma ends what a comment is for in a list, and not in a type or between arguments."""
        for code in ("let x: A<B, C> = unsafe { g() };", "f(a, unsafe { g() });",
                     "static A: B<C, D> = unsafe { g() };"):
            self.assertEqual("", self.said(f"fn f() {{\n    {COMMENT}\n    {code}\n}}\n"))
        source = (f"fn f() {{\n    A {{\n        {COMMENT}\n        a: unsafe {{ g() }},\n"
                  "        b: unsafe { g() },\n    }\n}\n")
        self.assert_said("unsafe block without a SAFETY comment", source, 5)

    def test_empty(self):
        for comment in ("// SAFETY:", "// SAFETY: ", "// SAFETY:\n    //\n    // CAST: Fits.", "/* SAFETY: */"):
            said = self.said(f"fn f() {{\n    {comment}\n    unsafe {{ g() }};\n}}\n")
            self.assertRegex(said, "^seam/a.rs:[0-9]: empty SAFETY comment: [^\n]*\n$")

    def test_stray(self):
        text = "SAFETY comment on nothing that is unsafe"
        self.assert_said(text, "fn f() {\n    // SAFETY: It is.\n    g();\n}\n", 2)
        self.assert_said(text, "fn f() {\n    // SAFETY: It is.\n}\n", 2)
        self.assert_said(text, "fn f() {\n    // SAFETY: It is.\n    let a = 1;\n    /* unsafe { } */ g();\n}\n", 2)
        self.assert_said(text, "// SAFETY: It is.\nfn f() {}\n", 1)

    def test_undocumented(self):
        self.assert_said("unsafe fn 'A::f' without a '# Safety' section", "impl A {\n    unsafe fn f() {}\n}\n", 2)
        self.assert_said("unsafe trait 'A' without", "/// A trait.\npub unsafe trait A {}\n", 2)
        # The trait says it.
        self.assertEqual("", self.said("impl B for A {\n    unsafe fn f() {}\n}\n"))

    def test_unclear(self):
        source = "fn f() {\n    // SAFETY: It is fine.\n    unsafe { g() };\n}\n"
        self.assert_said("SAFETY comment does not tell where it is enforced", source, 3)
        self.assertEqual("", self.said(source, "seam/tests.rs"))

    def test_no_invariants(self):
        source = ("struct A;\nimpl A {\n    fn f() {\n        // SAFETY: By the type invariants{}.\n"
                  "        unsafe { g() }\n    }\n}\n")
        text = "SAFETY comment relies on type invariants, but the type has no '# Invariants' section"
        self.assertIn(text, self.said(source.replace("{}.", ".")))
        other = "/// # Invariants\n///\n/// Some.\nstruct B;\n"
        self.assertIn(text, self.said(other + source.replace("{}.", ".")))
        self.assertEqual("", self.said(other + source.replace("{}.", " of `B`.")))

    def test_no_requirements(self):
        source = "fn f() {\n    // SAFETY: By the safety requirements.\n    unsafe { g() };\n}\n"
        self.assertIn("relies on safety requirements, but is in no unsafe function", self.said(source))
        self.assertEqual("", self.said("/// # Safety\n///\n/// None.\nunsafe " + source))

    def test_caller(self):
        """A safe function has no callers that keep a promise, but private ones."""
        source = "fn f() {\n    // SAFETY: The caller holds a reference.\n    unsafe { g() };\n}\n"
        self.assert_said("SAFETY comment relies on the caller, but is in no unsafe function", source, 3)
        self.assertEqual("", self.said(source.replace("The caller", "The only caller")))


GOOD = """
/// # Invariants
///
/// Has a | b.
struct A;

impl A {
    fn f() {
        // SAFETY: By the type invariants, with the resv lock held.
        unsafe { g() }
    }
}

/// # Safety
///
/// Some.
unsafe extern "C" fn called() {
    // SAFETY: By the safety requirements.
    unsafe { g() };
    // SAFETY: By the safety requirements.
    unsafe { g() };
}
"""


class Document(Sources):
    """What is written."""

    def written(self, source=GOOD):
        return audit.document(audit.Audit(self.scanned(source)))

    def test_rows(self):
        text = self.written()
        for line in ("| **The module** | 3 |  | 1 |  |  |", "| [seam/a.rs](#seamars) | 3 |  | 1 |  |  |",
                     "### seam/a.rs",
                     "| `A::f` | By the type invariants, with the resv lock held. | "
                     "[invariants of `A`](#type-seam-a-rs-a), resv lock |",
                     "| `called` (2 times) | By the safety requirements. | "
                     "[contract of the callback `called`](#fn-seam-a-rs-called) |",
                     "| <a id=\"fn-seam-a-rs-called\"></a>`called` | Some. |",
                     "| <a id=\"type-seam-a-rs-a\"></a>`A` | Has a \\| b. |"):
            self.assertIn(line + "\n", text)

    def test_moved(self):
        """Code that moves, and code between, changes nothing."""
        moved = "\n\nfn new() {}\n" + GOOD.replace("    fn f()", "\n    fn e() {}\n    fn f()")
        self.assertEqual(self.written(), self.written(moved))

    def test_links(self):
        """Each link of the document in the checkout leads to one place."""
        text = (audit.TOP / audit.DOCUMENT).read_text()
        places = re.findall(r'<a id="([^"]*)">', text)
        places += [audit.heading(line) for line in re.findall("^#+ (.*)$", text, re.M)]
        self.assertEqual(len(places), len(set(places)))
        self.assertEqual(set(), set(re.findall(r"\]\(#([^)]*)\)", text)) - set(places))

    def checked(self, source):
        found = self.scanned(source)
        with mock.patch.object(audit, "TOP", self.top), mock.patch.object(audit, "read", lambda: found):
            return audit.check()

    def test_stale(self):
        path = self.top / audit.DOCUMENT
        path.parent.mkdir()
        stale = (False, "Documentation/unsafe.md is out of date: run 'make unsafe' and commit it\n")
        self.assertEqual(stale, self.checked(GOOD))
        path.write_text(self.written())
        self.assertEqual((True, ""), self.checked(GOOD))
        self.assertEqual(stale, self.checked(GOOD.replace("with the resv lock held", "with the mutex held")))
        good, text = self.checked(GOOD.replace("// SAFETY: By the type", "// By the type"))
        self.assertFalse(good)
        self.assertIn("without a SAFETY comment", text)


if __name__ == "__main__":
    unittest.main()
