# SPDX-License-Identifier: GPL-2.0
"""Checks missing from the driver, one each: of restrictions of buffers, and of the strict creation call."""

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



def fails(test):
    """The line of a test that has failed."""
    return rf"not ok \d+ \S*{test}"


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
           "buffer.restrictions().check_access(access)?;\n            if T::HAS_BEGIN",
           "if T::HAS_BEGIN",
           "readonly", "here, SYNC START W: Success"),
    Mutant("END may say that the CPU has written", OPS,
           "buffer.restrictions().check_access(access)?;\n            if T::HAS_END",
           "if T::HAS_END",
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
           "readonly", r"WARNING: drivers/dma-buf/dma-buf.c.* dma_buf_vmap"),
    Mutant("userspace maps what has no CPU mapping", CORE,
           "if self.no_cpu_mapping {",
           "if false {",
           "readonly", "no_cpu_maps_it:.*mmap: Success"),
    Mutant("a plain buffer is made of a sealed memfd", REQUEST,
           "self.restrictions.read_only || !forbid_writing",
           "true",
           "create_ext", fails("combinations")),
    Mutant("a plain buffer is made of a read-only memfd", REQUEST,
           "memfd.is_readable() && (self.restrictions.read_only || memfd.is_writable())",
           "memfd.is_readable()",
           "create_ext", fails("combinations")),
    Mutant("flags that are not known are ignored", REQUEST,
           "if create.flags & !uapi::EXT_FLAGS != 0 {",
           "if false {",
           "create_ext", fails("unknown_flag")),
    Mutant("a reserved field is ignored", REQUEST,
           "if create.reserved != 0 {",
           "if false {",
           "create_ext", fails("cache_attribute_and_reserved_field")),
    Mutant("the reserved field of an item is ignored", REQUEST,
           "if items.iter().any(|item| item.pad != 0) {",
           "if false {",
           "create_ext", fails("pad_of_an_item")),
    Mutant("any cache attribute is taken for cached", REQUEST,
           "if create.cache != uapi::CACHE_CACHED {",
           "if false {",
           "create_ext", fails("cache_attribute_and_reserved_field")),
    Mutant("what follows the struct is ignored", "ffi/shim.c",
           "return copy_struct_from_user(to, size, from, user_size);",
           "return copy_struct_from_user(to, size, from, min(size, user_size));",
           "create_ext", fails("every_byte_of_the_tail")),
    Mutant("the size is used as it is read the second time", REQUEST,
           "let options = Options::from_ext(&create)?;",
           "let options = Options::from_ext(&create)?; if create.size as usize > PAGE_SIZE { return Err(EFAULT.into()); }",
           "create_races", fails("argument_that_changes_while_it_is_read")),
    Mutant("the name is set after the descriptor has appeared", "udmabuf/device.rs",
           "options.restrictions, name)?;\n        let flags = if options.close_on_exec { O_CLOEXEC } else { 0 };\n\n        "
           "Ok(DmaBuf::into_fd(buffer, flags)?)",
           "options.restrictions, None)?;\n        let flags = if options.close_on_exec { O_CLOEXEC } else { 0 };\n        "
           "let kept = buffer.clone();\n        let fd = DmaBuf::into_fd(buffer, flags)?;\n        "
           "if let Some(name) = name {\n            kept.set_name(name);\n        }\n        Ok(fd)",
           "create_races", fails("name_is_there_when_the_descriptor_appears")),
    Mutant("a struct may be shorter than the first version", "seam/uaccess.rs",
           "if size < first {",
           "if size < first - first {",
           "create_ext", fails("every_size_of_the_struct")),
    Mutant("a list may be longer than the limit", REQUEST,
           "let options = Options::from_ext(&create)?;\n        if create.count > limits.items {",
           "let options = Options::from_ext(&create)?;\n        if create.count > 1 << 20 {",
           "create_ext", fails("count")),
    Mutant("a name is not freed when no buffer is made", "seam/dma_buf/buffer.rs",
           "unsafe { bindings::kfree(self.0.as_ptr().cast()) };",
           "let _ = unsafe { self.0.as_ref() };",
           "create_ext", fails("names_are_freed")),
    Mutant("no limit of stagings is told as none at all", "udmabuf/query.rs",
           "_ => bytes(account::staging_limits().total),",
           "_ => bytes(account::staging_limits().total) % u64::MAX,",
           "query", fails("limits_are_those_of_the_moment")),
    Mutant("a longer query is not zeroed", "ffi/shim.c",
           "return copy_struct_to_user(to, user_size, from, size, NULL);",
           "return copy_struct_to_user(to, min(size, user_size), from, size, NULL);",
           "query", fails("every_size_of_the_struct")),
    Mutant("a user may pin a page more than the limit", "seam/quota.rs",
           "if now % HOLDER + pages > limit ||",
           "if now % HOLDER + pages > limit + 1 ||",
           "accounts", fails("is_exact")),
    Mutant("the user is that of the opener of the node", "udmabuf/account.rs",
           "match likely.is_current() {",
           "match likely.is_current() || true {",
           "accounts", fails("user_is_not_the_opener_of_the_node")),
    Mutant("locked memory is not given back", "seam/quota.rs",
           "if pages != self.pages {",
           "if pages > self.pages {",
           "accounts", fails("")),
    Mutant("a killed creation gives back its charge before its pages are unpinned", "udmabuf/pin.rs",
           "drop_later((pinned, request.charge.take()));",
           "drop_later(pinned);",
           "charges", fails("end_with_a_creation_that_is_killed")),
]
