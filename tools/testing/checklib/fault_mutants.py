# SPDX-License-Identifier: GPL-2.0
"""Mistakes that show only where memory runs out, one each."""

from .access_mutants import Mutant

PIN = "udmabuf/pin.rs"

# Where a leak detector finds it after the tests.
LEAKED = r"unreferenced object|kmemleak: \d+ new suspected"

MUTANTS = [
    Mutant("pages stay pinned when pinning fails", PIN,
           "                drop_later((pinned, request.charge.take()));\n            }\n",
           "                drop_later((pinned, request.charge.take()));\n            } else {\n"
           "                core::mem::forget(pinned);\n            }\n",
           "faults", r"create_\w+, point \d+, clean-up: Device or resource busy"),
    Mutant("a charge is not given back when pinning fails", PIN,
           "        Err(error) => {\n            if task::fatal_signal_pending() {",
           "        Err(error) => {\n            core::mem::forget(request.charge.take());\n"
           "            if task::fatal_signal_pending() {",
           "faults", r"create_\w+, point \d+, after it: buffers [1-9]"),
    Mutant("the memory of a device is leaked when there is none for the base", "seam/system_memory/staging.rs",
           "true => Some(Base::new(nr_pages, charge)?),",
           "true => match Base::new(nr_pages, charge) {\n                Ok(base) => Some(base),\n"
           "                Err(error) => {\n                    core::mem::forget(memory);\n"
           "                    return Err(error);\n                }\n            },",
           "faults", r"map_staged, point \d+, after it: .* [1-9]\d* staged"),
    Mutant("no memory for a list is an invalid argument", "udmabuf/request.rs",
           "self.pieces.reserve(items.len(), GFP_CHARGED)?;",
           "self.pieces\n            .reserve(items.len(), GFP_CHARGED)\n            .map_err(|_| EINVAL)?;",
           "faults", r"create_list, point \d+: Invalid argument"),
    Mutant("a device stays mapped when there is no memory for the record", "seam/system_memory/direct.rs",
           "drop(mapping.unmap_without_sync());\n                return Err(error);",
           "core::mem::forget(mapping);\n                return Err(error);",
           "faults", "DMA-API: still mapped|" + LEAKED),
    Mutant("a staging gets its base before the table", "seam/system_memory/coherence.rs",
           "if devices.staged[at].has_base() || base.is_some() || !writes {",
           "devices.staged[at].add_base(&mut base)?;\n"
           "                    if devices.staged[at].has_base() || !writes {",
           "faults", r"map_staged_writer, point \d+, after it: .* [1-9]\d* staged"),
    Mutant("the array of pages is leaked when a kernel mapping fails", "seam/mm/vmap.rs",
           "Ok((NonNull::new(address).ok_or(ENOMEM)?, kind))",
           "let Some(address) = NonNull::new(address) else {\n            core::mem::forget(pages);\n"
           "            return Err(ENOMEM);\n        };\n\n        Ok((address, kind))",
           "faults", LEAKED),
]
