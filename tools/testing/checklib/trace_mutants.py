# SPDX-License-Identifier: GPL-2.0
"""Events that are missing or say something wrong, one each."""

from .access_mutants import Mutant, fails

TRACE = "seam/system_memory/trace.rs"
MAPPING = "seam/system_memory/mapping.rs"
STAGING = "seam/system_memory/staging.rs"

MUTANTS = [
    Mutant("a staged device is recorded as a direct one", MAPPING,
           "buffer.mapped(system.bytes(), device, direction, true);",
           "buffer.mapped(system.bytes(), device, direction, false);",
           "trace", fails("own_map_staged")),
    Mutant("a direct device is recorded as a staged one when it is unmapped", MAPPING,
           "let writes = writes(self.direction);\n        let staged = matches!(self.kind, Kind::Staged(..));",
           "let writes = writes(self.direction);\n        let staged = true;",
           "trace", fails("own_map_direct")),
    Mutant("releases are not recorded", "seam/system_memory/memory.rs",
           "        self.coherence.buffer.released(self.bytes());\n",
           "",
           "trace", fails("own_release")),
    Mutant("a creation is recorded without the restrictions", TRACE,
           "let flags = flags_of(buffer.restrictions());",
           "let flags = flags_of(Restrictions::default());",
           "trace", fails("own_create")),
    Mutant("buffers have one number more than their inode", TRACE,
           "self.0.store(buffer.inode_number(), Relaxed);",
           "self.0.store(buffer.inode_number() + 1, Relaxed);",
           "trace", fails("own_release")),
    Mutant("bytes are counted by words", TRACE,
           "self.count.set(self.count.get() + 1);",
           "self.count.set(self.count.get() + 8);",
           "trace", fails("own_settle_of_one_device")),
    Mutant("what is pushed counts as fetched", STAGING,
           "merge_counted(memory, base, staging, &traced.pushed);",
           "merge_counted(memory, base, staging, &traced.fetched);",
           "trace", fails("own_settle_of_one_device")),
    Mutant("what is pushed to a device that only reads does not count", STAGING,
           "(None, Some(traced)) => refresh_counted(memory, staging, &traced.pushed),",
           "(None, Some(_)) => settle::refresh::<STEP>(&memory, &staging, WORDS),",
           "trace", fails("own_settle_of_two_devices")),
    Mutant("START is recorded as END", TRACE,
           "point as u32,",
           "point as u32 | 1,",
           "trace", fails("own_settle_of_one_device")),
]
