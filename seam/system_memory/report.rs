// SPDX-License-Identifier: GPL-2.0

//! A dma-buf of system memory as a line of text: the format is in Documentation/udmabuf_rs.rst.

use super::{
    mapping::SystemMapping,
    memory::{
        Policy,
        SystemMemory, //
    },
    registry::Creator,
};
use crate::seam::{
    dma_buf::{
        LockedUnreleased,
        Unreleased, //
    },
    mm::{
        self,
        StableMemory, //
    },
};
use core::{
    cell::Cell,
    fmt::Write, //
};
use kernel::{
    dma::DataDirection,
    fmt,
    seq_file::SeqFile,
    seq_print, //
};

/// The most mappings that a line names, equal ones in a row counted as one.
const MAX_MAPPINGS: usize = 64;

/// Prints the line of `buffer`. Does not wait for its locks: a field under a lock that is held is
/// printed as `busy`.
pub(super) fn show<P: Policy>(
    buffer: &Unreleased<'_, SystemMemory<P>>,
    creator: &Creator,
    file: &SeqFile,
) {
    let this = buffer.data();
    let restrictions = this.policy.restrictions();
    let age = creator.age();
    let mut name = [0; 32];

    seq_print!(
        file,
        "inode={} size={} runs={} folios={} flags={}{}{} \
         pid={} uid={} comm={} age={}.{:03} name={}",
        this.coherence.buffer.number(),
        this.bytes(),
        StableMemory::runs(&this.memory).count(),
        mm::folio_count(&this.memory),
        flag(restrictions.read_only, "READ_ONLY"),
        flag(restrictions.read_only && restrictions.no_cpu_mapping, "|"),
        flag(restrictions.no_cpu_mapping, "NO_CPU_MAP"),
        creator.pid,
        this.policy.owner().into_uid_in_current_ns(),
        Escaped(creator.comm()),
        age / 1000,
        age % 1000,
        Escaped(buffer.name(&mut name)),
    );
    match this.coherence.staging_bytes() {
        Some(bytes) => seq_print!(file, " staging_bytes={bytes}"),
        None => seq_print!(file, " staging_bytes=busy"),
    }
    match buffer.try_lock() {
        Some(locked) => show_mappings(&locked, file),
        None => seq_print!(file, " vmaps=busy mappings=busy"),
    }
    seq_print!(file, "\n");
}

/// Prints the mappings for the kernel and for devices.
fn show_mappings<P: Policy>(locked: &LockedUnreleased<'_, SystemMemory<P>>, file: &SeqFile) {
    /// Prints how often the last mapping is there, unless that is once.
    fn end(file: &SeqFile, times: usize) {
        if times > 1 {
            seq_print!(file, "*{times}");
        }
    }

    let (last, times, printed) = (Cell::new(None), Cell::new(0), Cell::new(0));

    seq_print!(file, " vmaps={} mappings=", locked.vmap_count());
    locked.for_each_mapping(|mapping: &SystemMapping<'_, P>| {
        let (device, direction, staged) = mapping.facts();
        let this = (core::ptr::from_ref(device).addr(), direction as u32, staged);

        if last.get() == Some(this) {
            times.set(times.get() + 1);
            return;
        }
        if printed.get() >= MAX_MAPPINGS {
            printed.set(printed.get() + 1);
            return;
        }
        end(file, times.replace(1));
        last.set(Some(this));
        seq_print!(
            file,
            "{}{}:{}:{}",
            flag(printed.replace(printed.get() + 1) > 0, ","),
            Escaped(device.name().to_bytes()),
            match direction {
                DataDirection::ToDevice => "TO_DEVICE",
                DataDirection::FromDevice => "FROM_DEVICE",
                _ => "BIDIRECTIONAL",
            },
            match staged {
                true => "staged",
                false => "direct",
            },
        );
    });
    end(file, times.get());
    if printed.get() > MAX_MAPPINGS {
        seq_print!(file, ",...");
    }
}

/// Returns `text` if `is_set`.
fn flag(is_set: bool, text: &'static str) -> &'static str {
    match is_set {
        true => text,
        false => "",
    }
}

/// A string of userspace as one word. Separators and bytes that are not printable ASCII become a
/// backslash and three octal digits, as in /proc/mounts.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0 {
            match byte {
                b'\\' | b',' | b'=' => write!(f, "\\{byte:03o}")?,
                0x21..=0x7e => f.write_char(byte.into())?,
                _ => write!(f, "\\{byte:03o}")?,
            }
        }
        Ok(())
    }
}
