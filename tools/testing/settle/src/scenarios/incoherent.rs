// SPDX-License-Identifier: GPL-2.0

//! Machines whose caches devices do not see. Lines are words: word 0 is written by the CPU, word 1
//! by the direct device.

use super::scenario;
use crate::program::{
    Given::{self, Reader, Writer},
    Op::{self, *},
    Scenario,
};

/// Returns a scenario with a direct device that writes.
fn incoherent(name: &'static str, devices: &[Given], threads: Vec<Vec<Op>>) -> Scenario {
    Scenario {
        direct_writers: 1,
        is_coherent: false,
        ..scenario(name, devices, threads)
    }
}

/// Returns a scenario with a direct device that only reads.
fn with_reader(name: &'static str, devices: &[Given], threads: Vec<Vec<Op>>) -> Scenario {
    Scenario {
        direct_writers: 0,
        direct_readers: 1,
        ..incoherent(name, devices, threads)
    }
}

/// Returns the scenarios.
pub fn scenarios() -> Vec<Scenario> {
    vec![
        incoherent(
            "caches: a CPU and a direct device store to a line each",
            &[],
            vec![
                vec![Start, Cpu(0, 0, 1), Cpu(0, 1, 2), End, Signal(0)],
                vec![
                    Direct(1, 0, 3),
                    Direct(1, 1, 4),
                    Wait(0),
                    DirectSees(0, 0, 1),
                ],
                vec![Start, End],
            ],
        ),
        incoherent(
            "caches: a START shows the bytes of a direct device from before its fence",
            &[],
            vec![
                vec![Direct(1, 0, 1), Signal(0), Direct(1, 1, 2)],
                vec![StartAfter(0), CpuSees(1, 0, 1), Cpu(0, 0, 3), End],
                vec![Start, Cpu(0, 1, 4), End],
            ],
        ),
        incoherent(
            "caches: a staged device beside the direct one",
            &[Writer],
            vec![
                vec![Direct(1, 0, 1), Signal(0)],
                vec![
                    StartAfter(0),
                    CpuSees(1, 0, 1),
                    Cpu(0, 0, 3),
                    End,
                    Signal(1),
                ],
                vec![Dev(0, 0, 1, 2), Wait(1), DevSees(0, 1, 0, 1)],
            ],
        ),
        incoherent(
            "caches: a direct device reads the bytes of a staged one",
            &[Writer],
            vec![
                vec![Dev(0, 0, 0, 1), Start, Signal(0)],
                vec![Wait(0), DirectSees(0, 0, 1), Direct(1, 0, 2)],
                vec![Start, End],
            ],
        ),
        incoherent(
            "caches: a staged device that only reads, beside a direct one that writes",
            &[Reader],
            vec![
                vec![Direct(1, 0, 1), Signal(0)],
                vec![StartAfter(0), Cpu(0, 0, 2), End, Signal(1)],
                vec![Wait(1), DevSees(0, 1, 0, 1), DevSees(0, 0, 0, 2)],
            ],
        ),
        with_reader(
            "caches: a direct device that only reads, beside two CPUs",
            &[],
            vec![
                vec![Start, Cpu(0, 0, 1), End, Signal(0), Cpu(0, 2, 3), End],
                vec![Wait(0), DirectSees(0, 0, 1)],
                vec![Start, Cpu(0, 1, 2), End],
            ],
        ),
        with_reader(
            "caches: a direct device that only reads, beside a staged one",
            &[Writer],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0)],
                vec![StartAfter(0), Cpu(1, 0, 2), End, Signal(1)],
                vec![Wait(1), DirectSees(0, 0, 1), DirectSees(1, 0, 2)],
            ],
        ),
        with_reader(
            "caches: a direct device is mapped and unmapped",
            &[Writer],
            vec![
                vec![MapDirect, Direct(1, 0, 1), UnmapDirect, CpuSees(1, 0, 1)],
                vec![Dev(0, 0, 1, 3), Start, Cpu(0, 0, 2), End],
            ],
        ),
    ]
}
