// SPDX-License-Identifier: GPL-2.0

//! Coherent machines without store buffers.

use super::scenario;
use crate::program::{
    Given::{NewReader, NewWriter, Reader, Writer},
    Op::*,
    Scenario,
};

/// Returns the scenarios.
pub fn scenarios() -> Vec<Scenario> {
    vec![
        scenario(
            "a CPU stores a word, a device the next",
            &[Writer],
            vec![
                vec![Start, CpuWord(1, 1), End, Start, End],
                vec![DevWord(0, 0, 2), DevWord(0, 0, 3)],
                vec![Start, End],
            ],
        ),
        scenario(
            "a device stores a word, another a byte of the next",
            &[Writer, Writer],
            vec![
                vec![DevWord(0, 0, 2)],
                vec![Dev(1, 1, 0, 1), Dev(1, 1, 1, 2)],
                vec![End, Start],
                vec![Cpu(1, 2, 9)],
            ],
        ),
        scenario(
            "a device stores both words, then the CPU one of them",
            &[Writer, Writer],
            vec![
                vec![
                    DevWord(0, 0, 2),
                    DevWord(0, 1, 3),
                    Signal(0),
                    DevWord(0, 0, 4),
                ],
                vec![
                    StartAfter(0),
                    CpuSees(1, 7, 3),
                    CpuWord(1, 5),
                    End,
                    Signal(1),
                ],
                vec![Wait(1), DevSees(1, 1, 7, 5), DevWord(1, 1, 6)],
            ],
        ),
        scenario(
            "a START shows the bytes of a device from before its fence",
            &[Writer, Writer],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0), Dev(0, 0, 1, 2)],
                vec![StartAfter(0), CpuSees(0, 0, 1), End],
                vec![Start, Cpu(0, 2, 3), End],
            ],
        ),
        scenario(
            "one settle may serve two STARTs",
            &[Writer],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0)],
                vec![Start],
                vec![StartAfter(0), CpuSees(0, 0, 1)],
                vec![End],
            ],
        ),
        scenario(
            "an END passes on the bytes of a CPU, beside the END of another",
            &[Writer, Writer],
            vec![
                vec![Start, Cpu(0, 0, 1), End, Signal(0), Cpu(0, 0, 2), End],
                vec![Start, Cpu(0, 1, 3), End],
                vec![Wait(0), Dev(1, 0, 2, 4)],
            ],
        ),
        scenario(
            "a device reads the bytes of a CPU after its END",
            &[Writer],
            vec![
                vec![Start, Cpu(0, 0, 1), End, Signal(0)],
                vec![Start, Cpu(0, 1, 3), End],
                vec![Wait(0), DevSees(0, 0, 0, 1)],
            ],
        ),
        scenario(
            "a device is mapped while the CPU writes",
            &[NewWriter],
            vec![
                vec![Start, Cpu(0, 0, 1), End],
                vec![Map(0), Dev(0, 0, 1, 2)],
                vec![Cpu(0, 2, 3), End],
            ],
        ),
        scenario(
            "a second device is mapped and reads the bytes of the first",
            &[Writer, NewWriter],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0), Dev(0, 0, 1, 2)],
                vec![Wait(0), Map(1), DevSees(1, 0, 0, 1), Dev(1, 0, 2, 3)],
                vec![Start, Cpu(0, 3, 4), End],
            ],
        ),
        scenario(
            "a device is unmapped while others write",
            &[Writer, Writer],
            vec![
                vec![Dev(0, 0, 0, 1), Unmap(0), CpuSees(0, 0, 1), Signal(0)],
                vec![Start, Cpu(0, 1, 2), Cpu(0, 1, 3), End],
                vec![Wait(0), DevSees(1, 0, 0, 1), Dev(1, 0, 2, 4)],
            ],
        ),
        scenario(
            "two devices store one byte, ordered by a START, the second its base's value",
            &[Writer, Writer],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0), Wait(2), DevSees(0, 0, 0, 0)],
                vec![StartAfter(0), CpuSees(0, 0, 1), Signal(1)],
                vec![Wait(1), Dev(1, 0, 0, 0), End, Signal(2)],
                vec![Start, Cpu(0, 1, 3), End],
            ],
        ),
        scenario(
            "two devices store one byte, ordered by two STARTs",
            &[Writer, Writer],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0)],
                vec![StartAfter(0), Start, CpuSees(0, 0, 1), Signal(1)],
                vec![Wait(1), Dev(1, 0, 0, 0)],
                vec![Start, Cpu(0, 1, 3), End],
            ],
        ),
        scenario(
            "two devices and a CPU store one byte, ordered by START and END",
            &[Writer, Writer],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0)],
                vec![StartAfter(0), Cpu(0, 0, 2), End, Signal(1)],
                vec![Wait(1), DevSees(1, 0, 0, 2), Dev(1, 0, 0, 0)],
            ],
        ),
        scenario(
            "two devices store one byte, ordered by an END",
            &[Writer, Writer],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0)],
                vec![Wait(0), End, Signal(1)],
                vec![Wait(1), Dev(1, 0, 0, 0)],
            ],
        ),
        scenario(
            "two devices store one byte, ordered by the map of a third",
            &[Writer, Writer, NewWriter],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0)],
                vec![Wait(0), Map(2), DevSees(2, 0, 0, 1), Signal(1)],
                vec![Wait(1), Dev(1, 0, 0, 0)],
            ],
        ),
        scenario(
            "a device that only reads, beside a CPU and a device that write on",
            &[Writer, Reader],
            vec![
                vec![Start, Cpu(0, 0, 1), End, Signal(0), Cpu(0, 0, 2), End],
                vec![Dev(0, 0, 1, 3), Signal(1), Dev(0, 0, 1, 4)],
                vec![Wait(2), DevSees(1, 1, 0, 5)],
                vec![Wait(0), Wait(1), CpuWord(1, 5), End, Signal(2)],
            ],
        ),
        scenario(
            "a device that only reads is mapped while others write",
            &[Writer, NewReader],
            vec![
                vec![Cpu(0, 0, 1), End],
                vec![Dev(0, 0, 1, 3), Signal(1)],
                vec![Wait(1), Map(1), DevSees(1, 0, 1, 3)],
            ],
        ),
        scenario(
            "two devices store one byte, ordered by the unmap of the first",
            &[Writer, Writer],
            vec![
                vec![Dev(0, 0, 0, 1), Unmap(0), Signal(0)],
                vec![Wait(0), Dev(1, 0, 0, 0)],
                vec![Start, Cpu(0, 1, 3), End],
            ],
        ),
        Scenario {
            direct_writers: 1,
            ..scenario(
                "a direct and a staged device store one byte, ordered by a START",
                &[Writer],
                vec![
                    vec![Direct(0, 0, 1), Signal(0), Wait(1), DirectSees(0, 0, 0)],
                    vec![
                        StartAfter(0),
                        CpuSees(0, 0, 1),
                        Dev(0, 0, 0, 0),
                        Start,
                        Signal(1),
                    ],
                    vec![Start, Cpu(0, 1, 3), End],
                ],
            )
        },
        scenario(
            "a direct and a staged device store one byte, ordered by the unmap of the first",
            &[Writer],
            vec![
                vec![MapDirect, Direct(0, 0, 1), UnmapDirect, Signal(0)],
                vec![Wait(0), Dev(0, 0, 0, 0)],
                vec![Start, Cpu(0, 1, 3), End],
            ],
        ),
        scenario(
            "a direct device is mapped and reads the bytes of a staged one",
            &[Writer],
            vec![
                vec![
                    Dev(0, 0, 0, 1),
                    MapDirect,
                    DirectSees(0, 0, 1),
                    Direct(0, 1, 2),
                ],
                vec![Start, Cpu(0, 2, 3), End],
            ],
        ),
        Scenario {
            settles_last: false,
            signals: 0,
            ..scenario(
                "an END while a second device is mapped",
                &[NewWriter, Writer],
                vec![
                    vec![Cpu(0, 0, 1), End],
                    vec![Map(0)],
                    vec![Cpu(1, 0, 2), End],
                ],
            )
        },
        Scenario {
            settles_last: false,
            signals: 0,
            ..scenario(
                "an END while the first device is mapped",
                &[NewWriter],
                vec![
                    vec![Cpu(0, 0, 1), Cpu(0, 0, 3), End],
                    vec![Map(0)],
                    vec![Cpu(1, 0, 2), End],
                ],
            )
        },
        Scenario {
            has_store_buffers: true,
            settles_last: false,
            signals: 0,
            ..scenario(
                "store buffers: an END while the first device is mapped",
                &[NewWriter],
                vec![
                    vec![Cpu(0, 0, 1), End],
                    vec![Map(0)],
                    vec![Cpu(1, 0, 2), End],
                ],
            )
        },
        Scenario {
            has_store_buffers: true,
            ..scenario(
                "store buffers: brackets beside a device",
                &[Writer],
                vec![
                    vec![Start, Cpu(0, 0, 1), End, Signal(0)],
                    vec![Wait(0), DevSees(0, 0, 0, 1), Dev(0, 0, 1, 2)],
                    vec![Cpu(0, 2, 3), End],
                ],
            )
        },
        // Most of all states.
        scenario(
            "two CPUs and two devices store bytes of one word, in brackets that overlap",
            &[Writer, Writer],
            vec![
                vec![Start, Cpu(0, 0, 1), Cpu(0, 0, 2), End],
                vec![Start, Cpu(0, 1, 3), End],
                vec![Dev(0, 0, 2, 4), Dev(0, 0, 2, 5)],
                vec![Dev(1, 0, 3, 6), Dev(1, 0, 3, 7)],
            ],
        ),
    ]
}
