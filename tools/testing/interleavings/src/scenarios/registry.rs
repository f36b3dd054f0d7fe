// SPDX-License-Identifier: GPL-2.0

//! Readers of the list of dma-bufs, which come and go.

use super::Scenario;
use crate::seam::{
    seq_file::Sequence,
    system_memory::{memory::Buffer, Reader, Registry},
};
use kernel::loom::thread;
use kernel::{memory::Pages, seq_file::SeqFile};

/// All scenarios, short ones first.
pub const ALL: &[Scenario] = &[
    scenario(
        "a dma-buf is released while it is read",
        released_while_read,
    ),
    scenario(
        "the first of two is released, item by item",
        first_released_by_item,
    ),
    scenario("a dma-buf is made while the list is read", made_while_read),
    scenario("two neighbours are released at a time", neighbours_released).bounded(4),
    scenario("two readers, one dma-buf goes", two_readers).bounded(4),
    scenario("one goes and one comes", goes_and_comes).bounded(4),
];

const fn scenario(name: &'static str, run: fn()) -> Scenario {
    Scenario::new(name, first, run)
}

fn first() {
    let _registry = registry();
    let reader = File::open();
    let buffer = Buffer::new(0);

    assert_eq!(reader.read(), [0]);
    drop(buffer);
}

fn registry() -> Registry {
    Registry::new().expect("there was none before")
}

/// An open file.
struct File {
    reader: Pages<Reader>,
}

impl File {
    fn open() -> Self {
        let Ok(reader) = Pages::pin_init(Reader::new());
        Self { reader }
    }

    /// Reads all of it in one call.
    fn read(&self) -> Vec<u32> {
        let file = SeqFile::new();
        let mut is_there = self.reader.start(0);

        while is_there {
            self.reader.show(&file);
            is_there = self.reader.next();
        }
        self.reader.stop();
        file.take()
    }

    /// Reads one item in a call.
    fn read_by_item(&self) -> Vec<u32> {
        let file = SeqFile::new();

        for at in 0.. {
            let is_there = self.reader.start(at);
            if is_there {
                self.reader.show(&file);
                self.reader.next();
            }
            self.reader.stop();
            if !is_there {
                break;
            }
        }
        file.take()
    }
}

/// Asserts that `shown` has each number of `all` once, in their order. Numbers of `maybe` may be
/// missing.
fn assert_shown(shown: &[u32], all: &[u32], maybe: &[u32]) {
    let expected: Vec<u32> = all
        .iter()
        .copied()
        .filter(|number| !maybe.contains(number) || shown.contains(number))
        .collect();
    assert_eq!(
        shown, expected,
        "a reader was shown other dma-bufs than there were"
    );
}

/// Asserts that the list is empty.
fn assert_empty() {
    assert_shown(&File::open().read(), &[], &[]);
}

fn released_while_read() {
    let _registry = registry();
    let buffer = Buffer::new(1);
    let reader = thread::spawn(|| {
        let file = File::open();
        assert_shown(&file.read(), &[1], &[1]);
    });

    drop(buffer);
    reader.join().unwrap();
    assert_empty();
}

fn first_released_by_item() {
    let _registry = registry();
    let [first, second] = [1, 2].map(Buffer::new);
    let reader = thread::spawn(|| {
        let file = File::open();
        assert_shown(&file.read_by_item(), &[1, 2], &[1]);
    });

    drop(first);
    reader.join().unwrap();
    drop(second);
    assert_empty();
}

fn made_while_read() {
    let _registry = registry();
    let first = Buffer::new(1);
    let reader = thread::spawn(|| {
        let file = File::open();
        assert_shown(&file.read(), &[1, 2], &[2]);
    });

    let second = Buffer::new(2);
    reader.join().unwrap();
    drop(first);
    drop(second);
    assert_empty();
}

fn neighbours_released() {
    let _registry = registry();
    let [first, second, third] = [1, 2, 3].map(Buffer::new);
    let reader = thread::spawn(|| {
        let file = File::open();
        assert_shown(&file.read(), &[1, 2, 3], &[1, 2]);
    });
    let other = thread::spawn(move || drop(first));

    drop(second);
    other.join().unwrap();
    reader.join().unwrap();
    drop(third);
    assert_empty();
}

fn two_readers() {
    let _registry = registry();
    let [first, second] = [1, 2].map(Buffer::new);
    let readers = [(); 2].map(|()| {
        thread::spawn(|| {
            let file = File::open();
            assert_shown(&file.read(), &[1, 2], &[1]);
        })
    });

    drop(first);
    for reader in readers {
        reader.join().unwrap();
    }
    drop(second);
    assert_empty();
}

fn goes_and_comes() {
    let _registry = registry();
    let [first, second] = [1, 2].map(Buffer::new);
    let reader = thread::spawn(|| {
        let file = File::open();
        assert_shown(&file.read_by_item(), &[1, 2, 3], &[1, 3]);
    });
    let other = thread::spawn(move || drop(first));

    let third = Buffer::new(3);
    other.join().unwrap();
    reader.join().unwrap();
    drop(second);
    drop(third);
    assert_empty();
}
