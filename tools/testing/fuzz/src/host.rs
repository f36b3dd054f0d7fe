// SPDX-License-Identifier: GPL-2.0

//! A file of the host, as memory of a PCI device. It outlives the VM.
//!
//! It begins with the program that runs. Records follow, which tools/testing/checklib/fuzz.py
//! reads.

use crate::sys;
use std::{fs, os::fd::AsRawFd, path::Path};

/// Where records begin; before it, the length of all of them.
const RECORDS: usize = 8192;
/// Bytes of the file.
const SIZE: usize = 16 << 20;

/// The kinds of records.
#[derive(Clone, Copy)]
pub enum Record {
    /// A program that reached something new.
    Found = 1,
    /// A program of the corpus, minimised.
    Kept = 2,
    /// Text: which blocks were reached.
    Reached = 3,
    /// A program that showed something wrong.
    Wrong = 4,
}

/// The file.
pub struct Host {
    /// 0: there is none.
    address: usize,
    used: usize,
}

impl Host {
    /// Maps it, where there is such a device.
    pub fn new() -> Self {
        Self {
            address: Self::device().unwrap_or(0),
            used: RECORDS,
        }
    }

    fn device() -> Option<usize> {
        let device = fs::read_dir("/sys/bus/pci/devices")
            .ok()?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| {
                Self::is(path, "vendor", "0x1af4") && Self::is(path, "device", "0x1110")
            })?;
        let _ = fs::write(device.join("enable"), "1");
        let memory = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(device.join("resource2"))
            .ok()?;

        sys::call(
            libc::SYS_mmap,
            &[
                0,
                SIZE,
                (libc::PROT_READ | libc::PROT_WRITE) as usize,
                libc::MAP_SHARED as usize,
                memory.as_raw_fd() as usize,
                0,
            ],
        )
        .ok()
    }

    fn is(device: &Path, name: &str, value: &str) -> bool {
        fs::read_to_string(device.join(name)).is_ok_and(|text| text.trim() == value)
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        if self.address == 0 || at + bytes.len() > SIZE {
            return;
        }
        // SAFETY: SIZE bytes are mapped at the address, for good, and no reference points there.
        unsafe {
            std::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                (self.address + at) as *mut u8,
                bytes.len(),
            );
        }
    }

    fn number(&self, at: usize, number: usize) {
        self.write(at, &(number as u32).to_le_bytes());
    }

    /// Notes a program that is about to run.
    pub fn begins(&self, input: &[u8]) {
        let length = input.len().min(RECORDS - 64);

        self.number(4, length);
        self.write(8, &input[..length]);
        self.number(0, 1);
    }

    /// Notes that it has ended.
    pub fn ended(&self) {
        self.number(0, 2);
    }

    /// Adds a record. Whether there was room.
    pub fn add(&mut self, record: Record, bytes: &[u8]) -> bool {
        if self.address == 0 || self.used + 8 + bytes.len() > SIZE {
            return false;
        }
        self.number(self.used, record as usize);
        self.number(self.used + 4, bytes.len());
        self.write(self.used + 8, bytes);
        self.used += 8 + bytes.len();
        self.number(RECORDS - 4, self.used - RECORDS);
        true
    }
}
