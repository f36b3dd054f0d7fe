// SPDX-License-Identifier: GPL-2.0

//! Which bytes pass between memory and the staging of devices, in which order.
//!
//! A device that does not reach the memory of a buffer accesses a staging of its own instead.
//! Memory is the hub: a staging takes the bytes that have changed in memory, and memory takes the
//! bytes that the device has changed in its staging. A byte has changed if it differs from the
//! *base*, the bytes that both sides last agreed on. CPU and devices may write at any time, so that
//!
//! - each word of a source is loaded once, and that value is what destination and base take,
//! - a store covers bytes that differ from the base and no others,
//! - all stagings of a buffer are settled by one task at a time.
//!
//! Nothing in this file needs a kernel: `tools/testing/settle` compiles it as well, runs it in all
//! interleavings with writers, and shows that without any of these rules a completed write is lost.

/// Words compared in one step. Equal ones are what a step mostly finds.
pub(super) const STEP: usize = 8;

/// Bytes that others may write at any time.
///
/// A call is one access to memory, neither split nor repeated.
pub(super) trait Bytes {
    /// Loads word `at`.
    fn load(&self, at: usize) -> usize;

    /// Stores word `at`.
    fn store(&self, at: usize, word: usize);

    /// Stores byte `byte` of word `at`, counted by address.
    fn store_byte(&self, at: usize, byte: usize, value: u8);
}

/// Merges: where `from` differs from `base`, `to` and `base` take its bytes.
///
/// Returns whether they did. The length is that of `base`, a multiple of `N`.
#[inline]
pub(super) fn merge<const N: usize>(
    from: &impl Bytes,
    base: &mut [usize],
    to: &impl Bytes,
) -> bool {
    let mut changed = false;

    for (step, base) in base.chunks_exact_mut(N).enumerate() {
        // The chunks are of `N` words.
        let Ok(base) = <&mut [usize; N]>::try_from(base) else {
            continue;
        };
        let at = step * N;
        let words: [usize; N] = core::array::from_fn(|i| from.load(at + i));
        let differing = (0..N).fold(0, |or, i| or | (words[i] ^ base[i]));

        if differing != 0 {
            // A copy, so that the words need no memory where all are equal.
            let differing = words;
            take(&differing, base, to, at);
            changed = true;
        }
    }
    changed
}

/// Has `to` from word `at` on, and `base`, take the bytes of `words` that differ from `base`.
#[inline(never)]
fn take<const N: usize>(words: &[usize; N], base: &mut [usize; N], to: &impl Bytes, at: usize) {
    // All bytes of all words differ.
    if (0..N).fold(0, |or, i| or | zero_bytes(words[i] ^ base[i])) == 0 {
        for i in 0..N {
            to.store(at.wrapping_add(i), words[i]);
            base[i] = words[i];
        }
        return;
    }

    for i in 0..N {
        let (word, differing) = (words[i], words[i] ^ base[i]);

        match zero_bytes(differing) {
            0 => to.store(at.wrapping_add(i), word),
            _ => store_bytes(word, differing, to, at.wrapping_add(i)),
        }
        base[i] = word;
    }
}

/// Stores the bytes of `word` that `differing` has bits of in word `at` of `to`.
fn store_bytes(word: usize, mut differing: usize, to: &impl Bytes, at: usize) {
    while differing != 0 {
        // CAST: A bit number is small.
        let shift = differing.trailing_zeros() as usize & !7;
        // CAST: Cut to the byte.
        let value = (word >> shift) as u8;

        to.store_byte(at, byte_at(shift), value);
        differing &= !(0xff << shift);
    }
}

/// Returns a number that is not 0 if a byte of `word` is 0.
#[inline(always)]
fn zero_bytes(word: usize) -> usize {
    const LOW: usize = usize::MAX / 0xff;

    word.wrapping_sub(LOW) & !word & (LOW << 7)
}

/// Returns the offset of the byte of a word whose lowest bit is bit `shift`.
fn byte_at(shift: usize) -> usize {
    match cfg!(target_endian = "big") {
        true => size_of::<usize>() - 1 - shift / 8,
        false => shift / 8,
    }
}

/// Has `to`, which nobody else writes, take the words of `from` that differ.
///
/// The length is `len` words, a multiple of `N`.
#[inline]
pub(super) fn refresh<const N: usize>(from: &impl Bytes, to: &impl Bytes, len: usize) {
    for at in (0..len).step_by(N) {
        let words: [usize; N] = core::array::from_fn(|i| from.load(at + i));
        let differing = (0..N).fold(0, |or, i| or | (words[i] ^ to.load(at + i)));

        if differing != 0 {
            for (i, word) in words.into_iter().enumerate() {
                to.store(at + i, word);
            }
        }
    }
}

/// Fills a staging that no device has yet, and its base. The length is that of `base`.
#[inline]
pub(super) fn fill(from: &impl Bytes, staging: &impl Bytes, base: &mut [usize]) {
    for (at, base) in base.iter_mut().enumerate() {
        *base = from.load(at);
        staging.store(at, *base);
    }
}

/// Fills a staging of `len` words that has no base.
#[inline]
pub(super) fn fill_without_base(from: &impl Bytes, staging: &impl Bytes, len: usize) {
    for at in 0..len {
        staging.store(at, from.load(at));
    }
}

/// The staging of one device for memory that a pass sees as an `M`.
pub(super) trait Staging<M> {
    /// Why a pass was given up. It can be repeated.
    type Error;

    /// Returns whether the device may write, or may have written since the last fetch.
    fn is_written(&self) -> bool;

    /// Returns whether the device may read.
    fn is_read(&self) -> bool;

    /// [Merges](merge) what the device has written into memory. Returns whether there was anything.
    fn fetch(&mut self, memory: &M) -> Result<bool, Self::Error>;

    /// [Merges](merge) what has changed in memory into the staging.
    fn push(&mut self, memory: &M) -> Result<(), Self::Error>;
}

/// When a buffer is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    /// The start of a CPU access, of whatever kind.
    Start,
    /// The end of a CPU access that may have written.
    End,
    /// Before a device is mapped.
    Map,
    /// After a device was unmapped.
    Unmap,
}

/// Settles a buffer: memory and all stagings agree on what was written before.
///
/// `direct_writers` tells whether a device is mapped that writes to memory itself. If not, and if
/// nothing was fetched, the start of an access leaves pushing to its end. `unpushed` belongs to the
/// buffer: a settle that was given up may have fetched what it has not pushed.
///
/// Returns whether anything was fetched.
pub(super) fn settle<M, S: Staging<M>>(
    stagings: &mut [S],
    memory: &M,
    point: Point,
    direct_writers: bool,
    unpushed: &mut bool,
) -> Result<bool, S::Error> {
    let was_unpushed = core::mem::replace(unpushed, true);
    let mut fetched = false;

    for staging in stagings.iter_mut().filter(|staging| staging.is_written()) {
        fetched |= staging.fetch(memory)?;
    }
    if point == Point::Start && !fetched && !direct_writers && !was_unpushed {
        *unpushed = false;
        return Ok(false);
    }
    for staging in stagings.iter_mut().filter(|staging| staging.is_read()) {
        staging.push(memory)?;
    }
    *unpushed = false;
    Ok(fetched)
}

/// How many reasons there are to settle: looked at without a lock.
pub(super) trait Users {
    /// Adds one. What is loaded afterwards is loaded after it can be seen.
    fn get(&self);

    /// Takes one away, after the reason is gone.
    fn put(&self);

    /// Returns whether there are any. What was stored before can be seen by whoever is not counted
    /// yet.
    fn any(&self) -> bool;
}

/// Maps: counts a reason to settle before `fill` copies memory. A failure takes it back.
pub(super) fn map<T, E>(users: &impl Users, fill: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    users.get();
    let result = fill();

    if result.is_err() {
        users.put();
    }
    result
}

/// Calls `settle`, which takes the lock of the buffer, if there is a reason to.
pub(super) fn settle_if_used<E>(
    users: &impl Users,
    settle: impl FnOnce() -> Result<(), E>,
) -> Result<(), E> {
    match users.any() {
        true => settle(),
        false => Ok(()),
    }
}
