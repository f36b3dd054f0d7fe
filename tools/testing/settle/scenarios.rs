// SPDX-License-Identifier: GPL-2.0

/// The worlds that are explored, included by model.rs.
///
/// Bytes 0 to 3 of word 0 have an owner each; word 1 is written as a whole, or holds a byte. A byte
/// that two write one after the other is in a scenario of its own, with what orders them.
fn scenarios() -> Vec<Scenario> {
    use Op::*;

    let coherent =
        |name, devices: &[bool], threads: Vec<Vec<Op>>, last: &[(usize, usize, u8)]| Scenario {
            name,
            threads,
            devices: devices.to_vec(),
            last_reads: false,
            direct_writers: 0,
            is_coherent: true,
            has_store_buffers: false,
            settles_last: true,
            last: last.to_vec(),
        };
    let word = |at, value| (0..BYTES).map(|byte| (at, byte, value)).collect::<Vec<_>>();

    let mut all = vec![
        coherent(
            "two CPUs and two devices store bytes of one word, twice, in brackets that overlap",
            &[true, true],
            vec![
                vec![Start, Cpu(0, 0, 1), Cpu(0, 0, 2), End],
                vec![Start, Cpu(0, 1, 3), End],
                vec![Dev(0, 0, 2, 4), Dev(0, 0, 2, 5)],
                vec![Dev(1, 0, 3, 6), Dev(1, 0, 3, 7)],
            ],
            &[(0, 0, 2), (0, 1, 3), (0, 2, 5), (0, 3, 7)],
        ),
        coherent(
            "a word of the CPU and a word of the device beside bytes of the others",
            &[true],
            vec![
                vec![Start, CpuWord(1, 1), End, Start, End],
                vec![DevWord(0, 0, 2), DevWord(0, 0, 3)],
                vec![Start, End],
            ],
            &[word(0, 3), word(1, 1)].concat(),
        ),
        coherent(
            "a word of the device while the other stores a byte of the next",
            &[true, true],
            vec![
                vec![DevWord(0, 0, 2)],
                vec![Dev(1, 1, 0, 1), Dev(1, 1, 1, 2)],
                vec![End, Start],
                vec![Cpu(1, 2, 9)],
            ],
            &[word(0, 2), vec![(1, 0, 1), (1, 1, 2), (1, 2, 9)]].concat(),
        ),
        coherent(
            "a START shows what a device wrote before its fence signalled",
            &[true, true],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0), Dev(0, 0, 1, 2)],
                vec![StartAfter(0), CpuSees(0, 0, 1), End],
                vec![Start, Cpu(0, 2, 3), End],
            ],
            &[(0, 0, 1), (0, 1, 2), (0, 2, 3)],
        ),
        coherent(
            "a START beside another, which may serve both",
            &[true],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0)],
                vec![Start],
                vec![StartAfter(0), CpuSees(0, 0, 1)],
                vec![End],
            ],
            &[(0, 0, 1)],
        ),
        coherent(
            "an END shows devices what the CPU wrote, whoever else ends",
            &[true, true],
            vec![
                vec![Start, Cpu(0, 0, 1), End, Signal(0), Cpu(0, 0, 2), End],
                vec![Start, Cpu(0, 1, 3), End],
                vec![Wait(0), Dev(1, 0, 2, 4)],
            ],
            &[(0, 0, 2), (0, 1, 3), (0, 2, 4)],
        ),
        coherent(
            "a device reads what was written before an END",
            &[true],
            vec![
                vec![Start, Cpu(0, 0, 1), End, Signal(0)],
                vec![Start, Cpu(0, 1, 3), End],
                vec![Wait(0), DevSees(0, 0, 0, 1)],
            ],
            &[(0, 0, 1), (0, 1, 3)],
        ),
        coherent(
            "a device is mapped while the CPU writes: the counter",
            &[false],
            vec![
                vec![Start, Cpu(0, 0, 1), End],
                vec![Map(0), Dev(0, 0, 1, 2)],
                vec![Cpu(0, 2, 3), End],
            ],
            &[(0, 0, 1), (0, 1, 2), (0, 2, 3)],
        ),
        coherent(
            "the second device is mapped and sees what the first has written",
            &[true, false],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0), Dev(0, 0, 1, 2)],
                vec![Wait(0), Map(1), DevSees(1, 0, 0, 1), Dev(1, 0, 2, 3)],
                vec![Start, Cpu(0, 3, 4), End],
            ],
            &[(0, 0, 1), (0, 1, 2), (0, 2, 3), (0, 3, 4)],
        ),
        coherent(
            "a device is unmapped while somebody writes",
            &[true, true],
            vec![
                vec![Dev(0, 0, 0, 1), Unmap(0), CpuSees(0, 0, 1), Signal(0)],
                vec![Start, Cpu(0, 1, 2), Cpu(0, 1, 3), End],
                vec![Wait(0), DevSees(1, 0, 0, 1), Dev(1, 0, 2, 4)],
            ],
            &[(0, 0, 1), (0, 1, 3), (0, 2, 4)],
        ),
        coherent(
            "two devices store one byte, ordered by a START, the second what its base holds",
            &[true, true],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0), Wait(2), DevSees(0, 0, 0, 0)],
                vec![StartAfter(0), CpuSees(0, 0, 1), Signal(1)],
                vec![Wait(1), Dev(1, 0, 0, 0), End, Signal(2)],
                vec![Start, Cpu(0, 1, 3), End],
            ],
            &[(0, 0, 0), (0, 1, 3)],
        ),
        coherent(
            "the same, ordered by a START that was given up and done again",
            &[true, true],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0)],
                vec![Wait(0), StartGivenUp, Start, CpuSees(0, 0, 1), Signal(1)],
                vec![Wait(1), Dev(1, 0, 0, 0)],
                vec![Start, Cpu(0, 1, 3), End],
            ],
            &[(0, 0, 0), (0, 1, 3)],
        ),
        coherent(
            "the same after a START that writes",
            &[true, true],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0)],
                vec![StartAfter(0), Cpu(0, 0, 2), End, Signal(1)],
                vec![Wait(1), DevSees(1, 0, 0, 2), Dev(1, 0, 0, 0)],
            ],
            &[(0, 0, 0)],
        ),
        coherent(
            "the same, ordered by an END alone",
            &[true, true],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0)],
                vec![Wait(0), End, Signal(1)],
                vec![Wait(1), Dev(1, 0, 0, 0)],
            ],
            &[(0, 0, 0)],
        ),
        coherent(
            "the same, ordered by the map of a third device that sees it",
            &[true, true, false],
            vec![
                vec![Dev(0, 0, 0, 1), Signal(0)],
                vec![Wait(0), Map(2), DevSees(2, 0, 0, 1), Signal(1)],
                vec![Wait(1), Dev(1, 0, 0, 0)],
            ],
            &[(0, 0, 0)],
        ),
        Scenario {
            last_reads: true,
            ..coherent(
                "a device that only reads sees the CPU, which writes on, and another device",
                &[true, true],
                vec![
                    vec![Start, Cpu(0, 0, 1), End, Signal(0), Cpu(0, 0, 2), End],
                    vec![Dev(0, 0, 1, 3), Signal(1), Dev(0, 0, 1, 4)],
                    vec![Wait(2), DevSees(1, 1, 0, 5)],
                    vec![Wait(0), Wait(1), CpuWord(1, 5), End, Signal(2)],
                ],
                &[(0, 0, 2), (0, 1, 4)],
            )
        },
        Scenario {
            last_reads: true,
            ..coherent(
                "a device that only reads is mapped while others write",
                &[true, false],
                vec![
                    vec![Cpu(0, 0, 1), End],
                    vec![Dev(0, 0, 1, 3), Signal(1)],
                    vec![Wait(1), Map(1), DevSees(1, 0, 1, 3)],
                ],
                &[(0, 0, 1), (0, 1, 3)],
            )
        },
        coherent(
            "the same, ordered by an unmap of the first",
            &[true, true],
            vec![
                vec![Dev(0, 0, 0, 1), Unmap(0), Signal(0)],
                vec![Wait(0), Dev(1, 0, 0, 0)],
                vec![Start, Cpu(0, 1, 3), End],
            ],
            &[(0, 0, 0), (0, 1, 3)],
        ),
        Scenario {
            direct_writers: 1,
            ..coherent(
                "the same, the first a direct device, ordered by a START",
                &[true],
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
                &[(0, 0, 0), (0, 1, 3)],
            )
        },
        coherent(
            "the same, the first a direct device that is mapped and unmapped",
            &[true],
            vec![
                vec![MapDirect, Direct(0, 0, 1), UnmapDirect, Signal(0)],
                vec![Wait(0), Dev(0, 0, 0, 0)],
                vec![Start, Cpu(0, 1, 3), End],
            ],
            &[(0, 0, 0), (0, 1, 3)],
        ),
        coherent(
            "a direct device is mapped and sees what a staged one has written",
            &[true],
            vec![
                vec![
                    Dev(0, 0, 0, 1),
                    MapDirect,
                    DirectSees(0, 0, 1),
                    Direct(0, 1, 2),
                ],
                vec![Start, Cpu(0, 2, 3), End],
            ],
            &[(0, 0, 1), (0, 2, 3)],
        ),
        Scenario {
            settles_last: false,
            ..coherent(
                "an END that comes while a device is mapped passes nothing by",
                &[false, true],
                vec![
                    vec![Cpu(0, 0, 1), End],
                    vec![Map(0)],
                    vec![Cpu(1, 0, 2), End],
                ],
                &[(0, 0, 1), (1, 0, 2)],
            )
        },
        Scenario {
            settles_last: false,
            ..coherent(
                "the same for the first device",
                &[false],
                vec![
                    vec![Cpu(0, 0, 1), Cpu(0, 0, 3), End],
                    vec![Map(0)],
                    vec![Cpu(1, 0, 2), End],
                ],
                &[(0, 0, 3), (1, 0, 2)],
            )
        },
        Scenario {
            has_store_buffers: true,
            settles_last: false,
            ..coherent(
                "store buffers: a device is mapped while the CPU writes: the counter",
                &[false],
                vec![
                    vec![Cpu(0, 0, 1), End],
                    vec![Map(0)],
                    vec![Cpu(1, 0, 2), End],
                ],
                &[(0, 0, 1), (1, 0, 2)],
            )
        },
        Scenario {
            has_store_buffers: true,
            ..coherent(
                "store buffers: brackets beside a device",
                &[true],
                vec![
                    vec![Start, Cpu(0, 0, 1), End, Signal(0)],
                    vec![Wait(0), DevSees(0, 0, 0, 1), Dev(0, 0, 1, 2)],
                    vec![Cpu(0, 2, 3), End],
                ],
                &[(0, 0, 1), (0, 1, 2), (0, 2, 3)],
            )
        },
    ];

    // Lines are words here: word 0 is the CPU's, word 1 the direct device's.
    let incoherent =
        |name, devices: &[bool], threads: Vec<Vec<Op>>, last: &[(usize, usize, u8)]| Scenario {
            direct_writers: 1,
            is_coherent: false,
            ..coherent(name, devices, threads, last)
        };
    all.extend([
        incoherent(
            "caches: the CPU and a direct device, each its own line",
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
            &[(0, 0, 1), (0, 1, 2), (1, 0, 3), (1, 1, 4)],
        ),
        incoherent(
            "caches: a START shows what the direct device wrote before its fence",
            &[],
            vec![
                vec![Direct(1, 0, 1), Signal(0), Direct(1, 1, 2)],
                vec![StartAfter(0), CpuSees(1, 0, 1), Cpu(0, 0, 3), End],
                vec![Start, Cpu(0, 1, 4), End],
            ],
            &[(0, 0, 3), (0, 1, 4), (1, 0, 1), (1, 1, 2)],
        ),
        incoherent(
            "caches: a staged device beside the direct one",
            &[true],
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
            &[(0, 0, 3), (0, 1, 2), (1, 0, 1)],
        ),
        incoherent(
            "caches: the direct device sees what the staged one has written",
            &[true],
            vec![
                vec![Dev(0, 0, 0, 1), Start, Signal(0)],
                vec![Wait(0), DirectSees(0, 0, 1), Direct(1, 0, 2)],
                vec![Start, End],
            ],
            &[(0, 0, 1), (1, 0, 2)],
        ),
    ]);
    all
}
