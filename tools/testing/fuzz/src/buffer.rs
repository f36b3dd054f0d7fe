// SPDX-License-Identifier: GPL-2.0

//! Operations on the descriptor of a buffer.

use crate::{
    execute::Task,
    program::{Kind, Op},
    sys::{self, Errno, PAGE},
    uapi as u,
};

impl Task<'_> {
    /// Uses the descriptor of a buffer.
    pub(crate) fn buffer_step(&self, op: &Op) -> Result<usize, Errno> {
        let w = self.world;
        let [a, b, c, _, _, _] = op.args;
        let at = |which: u8, count: usize| which as usize % count;

        match op.kind {
            Kind::CloseBuffer => {
                w.buffers[at(a, 6)].set(-1);
                Ok(0)
            }
            Kind::Sync => {
                let flags = [3, 7, 1, 2, 5, 6, 0, 4, 8, 3, 7, 1 << 40][at(b, 12)];
                self.ioctl(self.buffer(a), u::DMA_BUF_SYNC, u::SyncArgs { flags }, c)
            }
            Kind::Poll => {
                let mut poll = libc::pollfd {
                    fd: self.buffer(a),
                    events: [1, 4, 5, 0][at(b, 4)],
                    revents: 0,
                };
                sys::call(libc::SYS_poll, &[&raw mut poll as usize, 1, c as usize % 2])
            }
            Kind::Dup if c & 1 != 0 => {
                let fd = sys::call(libc::SYS_dup, &[self.memfd(a) as usize])?;

                self.world.memfds[at(b, 4)].set(fd as i32);
                Ok(fd)
            }
            Kind::Dup => {
                let fd = sys::call(libc::SYS_dup, &[self.buffer(a) as usize]);
                self.keep_buffer(b, fd)
            }
            Kind::Seek => sys::call(
                libc::SYS_lseek,
                &[
                    self.buffer(a) as usize,
                    [0, PAGE, usize::MAX][at(c, 3)],
                    b as usize % 5,
                ],
            ),
            Kind::Fdinfo => self.read_file(&format!("/proc/self/fdinfo/{}", self.buffer(a)), b),
            Kind::ExportSync => {
                self.ioctl(
                    self.buffer(a),
                    u::DMA_BUF_EXPORT,
                    u::SyncFile {
                        flags: u32::from(b % 4),
                        fd: -1,
                    },
                    0,
                )?;
                // The answer is in the struct.
                let mut fd = [0; 4];
                for (at, byte) in fd.iter_mut().enumerate() {
                    *byte = sys::load(self.scratch() + 4 + at);
                }
                w.fences[at(c, 2)].set(i32::from_le_bytes(fd));
                Ok(0)
            }
            Kind::ImportSync => self.ioctl(
                self.buffer(a),
                u::DMA_BUF_IMPORT,
                u::SyncFile {
                    flags: u32::from(b % 4),
                    fd: w.fences[at(c, 2)].get(),
                },
                0,
            ),
            Kind::SetName => {
                let name = self.name(c);
                sys::call(
                    libc::SYS_ioctl,
                    &[self.buffer(a) as usize, u::DMA_BUF_SET_NAME as usize, name],
                )
            }
            Kind::Pass => self.pass(a, b),
            _ => Ok(0),
        }
    }

    /// Sends a buffer over a socket, and receives it.
    pub(crate) fn pass(&self, a: u8, b: u8) -> Result<usize, Errno> {
        let mut ends = [-1i32; 2];
        let byte = [0u8; 1];
        let mut vector = libc::iovec {
            iov_base: byte.as_ptr().cast_mut().cast(),
            iov_len: 1,
        };
        // A header of 16 bytes, and a descriptor.
        let mut control = [
            20u64,
            (libc::SCM_RIGHTS as u64) << 32 | libc::SOL_SOCKET as u64,
            0,
        ];
        control[2] = self.buffer(a) as u32 as u64;
        // SAFETY: The struct may be all zeroes.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &mut vector;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control);

        sys::call(
            libc::SYS_socketpair,
            &[
                libc::AF_UNIX as usize,
                libc::SOCK_SEQPACKET as usize,
                0,
                &raw mut ends as usize,
            ],
        )?;
        let at = &raw mut message as usize;
        let result = sys::call(
            libc::SYS_sendmsg,
            &[ends[0] as usize, at, libc::MSG_DONTWAIT as usize],
        )
        .and_then(|_| {
            if b & 0x80 != 0 {
                // It stays in flight until the sockets are closed.
                return Err(0);
            }
            sys::call(
                libc::SYS_recvmsg,
                &[ends[1] as usize, at, libc::MSG_DONTWAIT as usize],
            )
        });
        ends.map(sys::close);
        result?;
        self.keep_buffer(b, Ok(control[2] as u32 as usize))
    }
}
