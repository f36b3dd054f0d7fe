# SPDX-License-Identifier: GPL-2.0
"""Checks missing from the driver, one each: the promises of read-only buffers and of buffers without a CPU mapping."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A file with `old` replaced by `new`, and the line of `program` that shows it."""

    name: str
    file: str
    old: str
    new: str
    program: str
    shows: str


CORE = "seam/dma_buf/exporter.rs"
OPS = "seam/dma_buf/ops.rs"
REQUEST = "udmabuf/request.rs"

MUTANTS = [
    Mutant("the descriptor is open for reading and writing", OPS,
           "true => bindings::O_RDONLY as c_int,",
           "true => bindings::O_RDWR as c_int,",
           "readonly", "everybody_reads_it:Expected O_RDONLY"),
    Mutant("an area may be writable when it is mapped", CORE,
           "true => vma.try_clear_maywrite().map_err(|_| EACCES),",
           "true => vma.try_clear_maywrite().or(Ok(())),",
           "readonly", "here, mmap of a driver: Success"),
    Mutant("an area may become writable", CORE,
           "true => vma.try_clear_maywrite().map_err(|_| EACCES),",
           "true => if vma.writable() { Err(EACCES) } else { Ok(()) },",
           "readonly", "here, mprotect, mapped by a driver: Success"),
    Mutant("a debugger may write what is mapped for reading", "seam/mm/fault.rs",
           "if matches!(access, Access::Write(_)) && vma.flags() & flags::WRITE == 0 {",
           "if matches!(access, Access::Write(_)) && vma.flags() & flags::READ == 0 {",
           "readonly", "here, ptrace: Success"),
    Mutant("START may say that the CPU writes", OPS,
           "buffer.restrictions().check_access(access)?;\n            T::begin",
           "T::begin",
           "readonly", "here, SYNC START W: Success"),
    Mutant("END may say that the CPU has written", OPS,
           "buffer.restrictions().check_access(access)?;\n            T::end",
           "T::end",
           "readonly", "here, SYNC END W: Success"),
    Mutant("the CPU may write where it reads as well", CORE,
           "match self.read_only && access.writes() {",
           "match self.read_only && access == CpuAccess::Write {",
           "readonly", "here, SYNC START RW: Success"),
    Mutant("END of a bracket that reads passes nothing on", "seam/system_memory/exporter.rs",
           "} else if !buffer.restrictions().read_only {",
           "} else {",
           "readonly", "devices_see_what_the_owner_writes:Expected"),
    Mutant("devices may write", OPS,
           "buffer.buffer().restrictions().check_direction(direction)?;",
           "",
           "readonly", "here, FROM_DEVICE: Success"),
    Mutant("devices may write where they read as well", CORE,
           "match self.read_only && direction != DataDirection::ToDevice {",
           "match self.read_only && direction == DataDirection::FromDevice {",
           "readonly", "here, BIDIRECTIONAL, staged: Success"),
    Mutant("the kernel maps what is read-only", CORE,
           "!self.read_only && !self.no_cpu_mapping",
           "!self.no_cpu_mapping",
           "readonly", "here, vmap: Success"),
    Mutant("the kernel maps what has no CPU mapping", CORE,
           "!self.read_only && !self.no_cpu_mapping",
           "!self.read_only",
           "readonly", "no_cpu_maps_it:.*vmap: Success"),
    Mutant("a kernel mapping is refused by an operation that fails, of which the core warns", OPS,
           "vmap: None,\n        vunmap: None,",
           "vmap: Some({ unsafe extern \"C\" fn refuse(_: *mut bindings::dma_buf, _: *mut bindings::iosys_map) -> c_int "
           "{ EACCES.to_errno() } refuse }), vunmap: None,",
           "readonly", "kernel log: WARNING"),
    Mutant("userspace maps what has no CPU mapping", CORE,
           "if self.no_cpu_mapping {",
           "if false {",
           "readonly", "no_cpu_maps_it:.*mmap: Success"),
    Mutant("a plain buffer is made of a sealed memfd", REQUEST,
           "self.restrictions.read_only || !forbid_writing",
           "true",
           "readonly", "list_of_different_memfds:Expected"),
]
