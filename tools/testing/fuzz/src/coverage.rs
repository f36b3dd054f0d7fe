// SPDX-License-Identifier: GPL-2.0

//! The counters of ffi/coverage.c.

use crate::sys;
use std::{fs, slice};

/// Number of blocks that can be counted.
pub const BLOCKS: usize = 16384;
const SIZE: usize = BLOCKS + 4 * BLOCKS + 4;
const SECTIONS: &str = "/sys/module/udmabuf_rs/sections";

/// struct coverage, mapped.
#[derive(Clone, Copy)]
pub struct Coverage(usize);

impl Coverage {
    /// Maps it.
    pub fn new() -> Result<Self, String> {
        let device = "/dev/udmabuf_rs_coverage";
        let fd = sys::open(device, libc::O_RDWR).map_err(|error| {
            format!("{device}: errno {error}: is the module built with coverage?")
        })?;

        sys::call(
            libc::SYS_mmap,
            &[
                0,
                SIZE,
                (libc::PROT_READ | libc::PROT_WRITE) as usize,
                libc::MAP_SHARED as usize,
                fd as usize,
                0,
            ],
        )
        .map(Self)
        .map_err(|error| format!("{device}: cannot be mapped: errno {error}"))
    }

    /// Returns where the counters are.
    pub fn counters(&self) -> *mut u8 {
        self.0 as *mut u8
    }

    /// Sets all to 0.
    pub fn clear(&self) {
        // SAFETY: `BLOCKS` bytes are mapped there. A count that the kernel adds meanwhile is lost,
        // no more.
        unsafe { self.counters().write_bytes(0, BLOCKS) };
    }

    /// Returns the blocks that were reached since they were cleared.
    pub fn reached(&self) -> Vec<u16> {
        // SAFETY: `BLOCKS` bytes are mapped there, and nothing runs that the kernel would count.
        let counters = unsafe { slice::from_raw_parts(self.counters(), BLOCKS) };

        (0..BLOCKS as u16)
            .filter(|&at| counters[at as usize] != 0)
            .collect()
    }

    /// Returns the number of blocks that were ever reached.
    pub fn blocks(&self) -> usize {
        // SAFETY: The field is mapped, and a number whatever its bytes.
        let largest = unsafe { ((self.0 + 5 * BLOCKS) as *const u32).read_volatile() };

        // The kernel counts those that it has no place for as well.
        (largest as usize).min(BLOCKS - 1)
    }

    /// Returns where the blocks lie that were ever reached: a line of section and offset for each.
    pub fn text(&self) -> String {
        let mut sections: Vec<(u64, String)> = fs::read_dir(SECTIONS)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let text = fs::read_to_string(entry.path()).ok()?;
                let address = u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()?;

                (name.contains("text") && !name.contains("init")).then_some((address, name))
            })
            .collect();
        sections.sort();
        let Some(base) = sections.first().map(|(address, _)| *address) else {
            return String::new();
        };

        (1..=self.blocks())
            .filter_map(|block| {
                // SAFETY: The field is mapped, and a number whatever its bytes.
                let offset =
                    unsafe { ((self.0 + BLOCKS) as *const u32).add(block).read_volatile() };
                let address = base + u64::from(offset);
                let (start, name) = sections.iter().rev().find(|(start, _)| *start <= address)?;

                (offset != 0).then(|| format!("{name} {:#x}\n", address - start))
            })
            .collect()
    }
}
