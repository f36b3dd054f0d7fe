# SPDX-License-Identifier: GPL-2.0
"""The mistakes that the model checker must find.

Each rule of seam/system_memory/settle.rs has a mutant without it. Rules of what
is around the file are part of the model, which makes the mistake on request.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A mistake: in a copy of the file, where one place is replaced, or in the model."""

    name: str
    old: str = ""
    new: str = ""
    mistake: str = ""


TAKE = "            take(&differing, base, to, at);\n"
WRITTEN = "stagings.iter_mut().filter(|staging| staging.is_written())"
READ = "stagings.iter_mut().filter(|staging| staging.is_read())"
FETCH = f"    for staging in {WRITTEN} {{\n        fetched |= staging.fetch(memory)?;\n    }}\n"
PUSH = f"    for staging in {READ} {{\n        staging.push(memory)?;\n    }}\n"
LEAVE = "if point == Point::Start && !fetched && !direct_writers && !was_unpushed {"
LEFT = f"    {LEAVE}\n        *unpushed = false;\n        return Ok(false);\n    }}\n"


def _fetch_except(point):
    return WRITTEN.replace("|staging| ", f"|staging| point != Point::{point} && ")


def _push_except(point):
    return READ.replace("|staging| ", f"|staging| point != Point::{point} && ")


# Bytes of a word, and words of a step.
MERGING = [
    Mutant("a word is stored although not all of its bytes differ",
           "            _ => store_bytes(word, differing, to, at.wrapping_add(i)),\n",
           "            _ => to.store(at.wrapping_add(i), word),\n"),
    Mutant("a source is read twice, and the base takes the second value",
           TAKE, TAKE + "            (0..N).for_each(|i| base[i] = from.load(at + i));\n"),
    Mutant("all is copied where the destination equals the base",
           TAKE,
           "            if (0..N).all(|i| to.load(at + i) == base[i]) {\n"
           "                (0..N).for_each(|i| to.store(at + i, differing[i]));\n"
           "                *base = differing;\n"
           "            } else {\n" + TAKE + "            }\n"),
    Mutant("all words are stored if all bytes of the first differ",
           "    if (0..N).fold(0, |or, i| or | zero_bytes(words[i] ^ base[i])) == 0 {\n",
           "    if zero_bytes(words[0] ^ base[0]) == 0 {\n"),
    Mutant("a step looks at its first word alone",
           "let differing = (0..N).fold(0, |or, i| or | (words[i] ^ base[i]));", "let differing = words[0] ^ base[0];"),
    Mutant("each step is stored where the first belongs", "let at = step * N;", "let at = 0 * step;"),
    Mutant("a merge that took something does not say so", "            changed = true;\n", ""),
    Mutant("the base is not updated", "        base[i] = word;\n", ""),
    Mutant("the base is not updated where all differs", "            base[i] = words[i];\n        }\n        return;",
           "        }\n        return;"),
    Mutant("a staging is filled without its base",
           "        *base = from.load(at);\n        staging.store(at, *base);\n",
           "        staging.store(at, from.load(at));\n        *base = 0;\n"),
    Mutant("a staging is filled in two reads",
           "        staging.store(at, *base);\n", "        staging.store(at, from.load(at));\n"),
    Mutant("a staging without a base is not filled", "        staging.store(at, from.load(at));\n",
           "        let _ = (from, staging, at);\n"),
    Mutant("a staging without a base is not refreshed",
           "                to.store(at + i, word);\n            }\n        }\n",
           "                let _ = (i, word);\n            }\n        }\n"),
    Mutant("a refresh looks at the first word of a step alone",
           "let differing = (0..N).fold(0, |or, i| or | (words[i] ^ to.load(at + i)));",
           "let differing = words[0] ^ to.load(at);"),
]

# When and in which order stagings are fetched and pushed.
SETTLING = [
    *(Mutant(f"{name} fetches nothing", WRITTEN, _fetch_except(point))
      for name, point in [("START", "Start"), ("END", "End"), ("map", "Map"), ("unmap", "Unmap")]),
    *(Mutant(f"{name} pushes nothing", READ, _push_except(point))
      for name, point in [("END", "End"), ("map", "Map"), ("unmap", "Unmap")]),
    Mutant("START pushes nothing to others", LEAVE, "if point == Point::Start {"),
    Mutant("START pushes nothing of what was fetched", LEAVE, LEAVE.replace(" && !fetched", "")),
    Mutant("START pushes nothing of what direct devices wrote", LEAVE, LEAVE.replace(" && !direct_writers", "")),
    Mutant("END leaves pushing out as START does", LEAVE, LEAVE.replace("point == Point::Start && ", "")),
    Mutant("only the last staging that is fetched counts", "fetched |= staging", "fetched = staging"),
    Mutant("each staging is fetched and pushed before the next", FETCH + LEFT + PUSH,
           FETCH.replace("?;\n", "?;\n        if staging.is_read() {\n"
                                 "            staging.push(memory)?;\n        }\n")),
    Mutant("stagings are pushed before they are fetched", FETCH + LEFT + PUSH, PUSH + FETCH),
]

# Settles that a signal ends.
GIVING_UP = [
    Mutant("a settle that was given up is forgotten", LEAVE, LEAVE.replace(" && !was_unpushed", "")),
    Mutant("a settle that was given up leaves no note",
           "core::mem::replace(unpushed, true)", "*unpushed"),
    Mutant("the note is made after all is fetched", FETCH,
           "    *unpushed = was_unpushed;\n" + FETCH + "    *unpushed = true;\n"),
    Mutant("the note is dropped before all is pushed", PUSH, "    *unpushed = false;\n" + PUSH),
    Mutant("a fetch that was given up counts", "staging.fetch(memory)?", "staging.fetch(memory).unwrap_or(false)"),
    Mutant("a push that was given up counts", "staging.push(memory)?;", "let _ = staging.push(memory);"),
    Mutant("a settle that was given up serves a START", mistake="CompletesGivenUp"),
    Mutant("a killed unmap marks its staging as fetched", mistake="SettledWhenKilled"),
    Mutant("a killed unmap drops its user", mistake="DropsKeptUser"),
    Mutant("the last detach does not fetch what a killed unmap has left", mistake="NoSettleAtDetach"),
]

# The counter, the mutex, fences and joining.
ORDER = [
    Mutant("the counter is raised late",
           "    users.get();\n    let result = fill();\n", "    let result = fill();\n    users.get();\n"),
    Mutant("a map that has failed still counts", "    if result.is_err() {\n        users.put();\n    }\n", ""),
    Mutant("an END does not look at the counter", "        true => settle(),\n", "        true => Ok(()),\n"),
    Mutant("no barriers at the counter", mistake="NoBarriers"),
    Mutant("two tasks settle at a time", mistake="NoLock"),
    Mutant("a settle that was given up keeps the mutex", mistake="KeepsLock"),
    Mutant("a START does not wait for fences", mistake="NoFences"),
    Mutant("a START is served by a settle that began before its fences signalled", mistake="JoinsEarly"),
    Mutant("a staging that is mapped again is not settled", mistake="NoSettleAtRemap"),
]

CACHES = [
    Mutant("caches: a line is cleaned, and invalidated in a step of its own", mistake="CleansApart"),
    Mutant("caches: a settle cleans nothing first", mistake="NoClean"),
    Mutant("caches: a settle invalidates nothing", mistake="NoInvalidate"),
    Mutant("caches: bytes that were fetched are not cleaned", mistake="NoCleanAfterFetch"),
    Mutant("caches: an END that has invalidated nothing serves a START", mistake="EndServesStart"),
]

MUTANTS = [*MERGING, *SETTLING, *GIVING_UP, *ORDER, *CACHES]
