// SPDX-License-Identifier: GPL-2.0

//! Devices: the calls of the importer.

use crate::{
    execute::Task,
    program::{Kind, Op},
    sys::{self, Errno, PAGE},
    uapi as u, world,
};
use std::sync::atomic::Ordering::Relaxed;

impl Task<'_> {
    /// Has the importer do something.
    pub(crate) fn device_step(&self, op: &Op) -> Result<usize, Errno> {
        let w = self.world;
        let args @ [a, b, c, d, e, f] = op.args;
        let at = |which: u8, count: usize| which as usize % count;

        match op.kind {
            Kind::Limits => {
                let bits = [0, 28, 28, 29, 31, 32, 24, 40, 12, 64][at(a, 10)];
                self.importer(
                    u::LIMITS,
                    u::Limits {
                        max_segment: [0, 0, PAGE as u32, 3 * PAGE as u32, 65536, 512, 1 << 31]
                            [at(b, 7)],
                        // Without a mask at all, one in a while.
                        flags: if c < 232 { 0 } else { u32::from(c % 4) },
                        boundary: [0, 0, PAGE as u64, 1 << 16, 1 << 21, 1 << 32][at(d, 6)],
                        dma_mask: if bits == 0 {
                            0
                        } else {
                            u64::MAX >> (64 - bits)
                        },
                        coherent_mask: [0, 0, u64::MAX >> 36, u64::MAX >> 40][at(e, 4)],
                    },
                )
            }
            Kind::Map => {
                let device =
                    [0, 3, 4, 3, 0, 1, 2, 9][at(d, 8)] | if e & 1 != 0 { u::AGAIN } else { 0 };
                self.importer(
                    u::MAP,
                    u::Map {
                        slot: u32::from(a % 8),
                        fd: self.buffer(b),
                        direction: u32::from(c % 3),
                        device,
                    },
                )
            }
            Kind::Unmap => self.importer_slot(u::UNMAP, at(a, 8)),
            Kind::DeviceRead => self.moved(u::READ, args),
            Kind::DeviceWrite => self.moved(u::WRITE, args),
            Kind::DeviceStore => {
                sys::store(self.bytes(), b);
                self.importer(
                    u::STORE,
                    u::Store {
                        slot: u32::from(a % 8),
                        owner: u32::from(b),
                        value: u32::from(c),
                        offset: u64::from(d) * PAGE as u64,
                        length: u64::from(e) * 16,
                        address: self.bytes() as u64,
                        ..Default::default()
                    },
                )
            }
            Kind::Segments => self.importer(
                u::SEGMENTS,
                u::Segments {
                    slot: u32::from(a % 8),
                    ..Default::default()
                },
            ),
            Kind::ChangeTable => self.importer_slot(u::CHANGE_TABLE, at(a, 8)),
            Kind::MapMany => self.importer(
                u::MAP_MANY,
                u::MapMany {
                    fd: self.buffer(a),
                    direction: u32::from(b % 3),
                    device: 0,
                    flags: u32::from(c % 2),
                    count: u32::from(d % 6),
                },
            ),
            Kind::UnmapMany => self.importer_slot(u::UNMAP_MANY, 0),
            Kind::Vmap => self.importer(
                u::VMAP,
                u::Vmap {
                    slot: u32::from(a % 8),
                    fd: self.buffer(b),
                },
            ),
            Kind::Vunmap => self.importer_slot(u::VUNMAP, at(a, 8)),
            Kind::VmapRead => self.moved(u::VMAP_READ, args),
            Kind::VmapWrite => self.moved(u::VMAP_WRITE, args),
            Kind::DeviceMmap => {
                self.importer_slot(u::SHOW, self.buffer(c) as usize)?;
                let slot = if d & 1 != 0 {
                    u::SLOTS
                } else {
                    u32::from(a % 8)
                };
                sys::call(
                    libc::SYS_mmap,
                    &[
                        world::window(b, 0),
                        world::size(e),
                        3,
                        (libc::MAP_SHARED | libc::MAP_FIXED) as usize,
                        w.importer() as usize,
                        ((slot as usize) << u::MMAP_SHIFT) + f as usize * PAGE,
                    ],
                )
            }
            Kind::Begin => self.importer(
                u::BEGIN,
                u::Access {
                    fd: self.buffer(a),
                    direction: u32::from(b % 3),
                },
            ),
            Kind::End => self.importer(
                u::END,
                u::Access {
                    fd: self.buffer(a),
                    direction: u32::from(b % 3),
                },
            ),
            Kind::Fence => self.importer(
                u::FENCE,
                u::Fence {
                    slot: u32::from(a % 8),
                    fd: self.buffer(b),
                    writes: u32::from(c % 2),
                    pad: 0,
                },
            ),
            Kind::Signal => self.importer_slot(u::SIGNAL, at(a, 8)),
            Kind::Unplug => {
                w.shared.unplugged.store(true, Relaxed);
                self.importer_slot(u::UNPLUG, 0)
            }
            Kind::Plug => self.importer_slot(u::PLUG, 0),
            Kind::AddAndRemove => self.importer_slot(u::ADD_AND_REMOVE, 0),
            Kind::CloseImporter => {
                w.importer.set(-1);
                Ok(0)
            }
            _ => Ok(0),
        }
    }

    pub(crate) fn importer<T>(&self, command: u32, value: T) -> Result<usize, Errno> {
        self.ioctl(self.world.importer(), command, value, 0)
    }

    pub(crate) fn importer_slot(&self, command: u32, slot: usize) -> Result<usize, Errno> {
        sys::call(
            libc::SYS_ioctl,
            &[self.world.importer() as usize, command as usize, slot],
        )
    }

    pub(crate) fn moved(&self, command: u32, args: [u8; 6]) -> Result<usize, Errno> {
        let [slot, page, pages, within, byte, _] = args;

        sys::store(self.bytes(), byte);
        self.importer(
            command,
            u::Bytes {
                slot: u32::from(slot % 8),
                offset: u64::from(page) * PAGE as u64 + u64::from(within),
                length: u64::from(pages % 16) * PAGE as u64 + u64::from(byte % 64),
                address: self.bytes() as u64,
                ..Default::default()
            },
        )
    }
}
