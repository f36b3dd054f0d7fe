// SPDX-License-Identifier: GPL-2.0

//! Signals, and mappings that come and go.

use super::scenario;
use crate::program::{
    Given::{NewReader, NewWriter, Reader, Writer},
    Op::*,
    Scenario,
};

/// Returns the scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let all = vec![
        scenario(
            "a START is given up, another passes on the bytes that it has fetched",
            &[Writer, Writer],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0)],
                vec![StartAfter(0)],
                vec![StartAfter(0), CpuSees(0, 0, 1), Signal(1)],
                vec![Wait(1), Dev(1, 0, 0, 0)],
            ],
        ),
        scenario(
            "an unmap is killed",
            &[Writer, Writer],
            vec![
                vec![Dev(0, 0, 0, 1), Dev(0, 1, 0, 2), Unmap(0)],
                vec![Start, Cpu(0, 1, 3), End],
                vec![Dev(1, 0, 2, 4)],
            ],
        ),
        scenario(
            "an unmap is killed, then the device is detached",
            &[Writer, Writer],
            vec![
                vec![Dev(0, 0, 0, 1), Dev(0, 1, 0, 2), Unmap(0), Detach(0)],
                vec![Start, Cpu(0, 1, 3), End],
            ],
        ),
        scenario(
            "a device is unmapped and mapped again",
            &[Writer, Writer],
            vec![
                vec![
                    Dev(0, 0, 0, 1),
                    Unmap(0),
                    Wait(0),
                    Map(0),
                    DevSees(0, 0, 1, 2),
                    Dev(0, 0, 0, 3),
                ],
                vec![Start, Cpu(0, 1, 2), End, Signal(0)],
                vec![Dev(1, 0, 2, 4)],
            ],
        ),
        scenario(
            "a device that only reads is unmapped and mapped again",
            &[Reader, Writer],
            vec![
                vec![Unmap(0), Wait(0), Map(0), DevSees(0, 0, 1, 2)],
                vec![Start, Cpu(0, 1, 2), End, Signal(0)],
                vec![Dev(1, 0, 2, 4), End],
            ],
        ),
        scenario(
            "two devices are mapped, one of which only reads, while another writes",
            &[Writer, NewWriter, NewReader],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0), Dev(0, 0, 0, 2)],
                vec![Wait(0), Map(1), Dev(1, 0, 1, 3)],
                vec![Map(2)],
            ],
        ),
        scenario(
            "the unmap of a direct device is killed",
            &[Writer],
            vec![
                vec![MapDirect, Direct(0, 0, 1), UnmapDirect, Signal(0)],
                vec![Wait(0), Dev(0, 0, 0, 0)],
                vec![Start, Cpu(0, 1, 3), End],
            ],
        ),
    ];

    all.into_iter()
        .map(|scenario| Scenario {
            signals: 2,
            ..scenario
        })
        .collect()
}
