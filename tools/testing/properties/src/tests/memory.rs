// SPDX-License-Identifier: GPL-2.0

//! The loops of ffi/runs.c over a memory of folios, against one page after the other.

use super::{
    cases,
    runs::{
        frames,
        list,
        runs_of, //
    },
};
use crate::runs::Run;
use proptest::{
    collection::vec,
    prelude::*, //
};
use std::{
    collections::BTreeMap,
    sync::Mutex, //
};

/// Frames that tests use, of all that c/memory.c has.
const FRAMES: usize = 400;

#[repr(C)]
struct Page(u8);

#[repr(C)]
struct Entry(u8);

extern "C" {
    fn rs_unpin_runs(
        run: *const Run,
        last: *const Run,
        pages: usize,
        at: usize,
        until: usize,
        tails: bool,
        make_dirty: bool,
    ) -> usize;
    fn rs_count_segments(
        run: *const Run,
        last: *const Run,
        pages: usize,
        max_pages: usize,
        boundary_pages: usize,
    ) -> usize;
    fn rs_fill_segments(
        sg: *mut Entry,
        run: *const Run,
        last: *const Run,
        pages: usize,
        max_pages: usize,
        boundary_pages: usize,
    );
    fn rs_pages_are_poisoned(pfn: usize, count: usize) -> bool;
    fn rs_fill_pages(
        pages: *mut *mut Page,
        run: *const Run,
        last: *const Run,
        at: usize,
        end: usize,
    );

    fn t_folio(pfn: usize, count: usize, dirty: bool);
    fn t_poison(pfn: usize);
    fn t_unpinned(pfn: usize) -> i64;
    fn t_is_dirty(pfn: usize) -> bool;
    fn t_pfn(page: *const Page) -> usize;
    fn t_table(count: usize, chunk: usize) -> *mut Entry;
    fn t_entry(sg: *mut Entry, pfn: &mut usize, pages: &mut usize) -> *mut Entry;
    fn t_mapped(n: usize) -> usize;
    fn t_map(n: usize, pfn: usize);
    fn t_fill_entries(
        entry: usize,
        run: *const Run,
        last: *const Run,
        at: usize,
        end: usize,
        inserted: usize,
    ) -> i32;
    fn free(memory: *mut Entry);
}

/// There is one memory.
static MEMORY: Mutex<()> = Mutex::new(());

/// Folios side by side, by their sizes: of each frame, where its folio begins and how long it is.
#[derive(Clone, Debug)]
struct Folios {
    of: Vec<(usize, usize)>,
    dirty: Vec<bool>,
}

impl Folios {
    /// Lays the folios out in memory.
    fn lay_out(&self) {
        for (pfn, &(head, count)) in self.of.iter().enumerate() {
            if pfn == head {
                // SAFETY: The frames are within the memory.
                unsafe { t_folio(pfn, count, self.dirty[pfn]) };
            }
        }
    }
}

fn folios() -> impl Strategy<Value = Folios> {
    let sizes = prop_oneof![4 => Just(1usize), 1 => Just(2), 2 => Just(8), 1 => Just(64)];

    (vec(sizes, FRAMES), vec(any::<bool>(), FRAMES + 64)).prop_map(|(sizes, dirty)| {
        let mut of = Vec::new();

        for count in sizes {
            if of.len() < FRAMES {
                let head = of.len();
                of.extend(std::iter::repeat_n((head, count), count));
            }
        }
        Folios { of, dirty }
    })
}

fn ends(runs: &[Run]) -> (*const Run, *const Run) {
    (runs.as_ptr(), runs.last().unwrap())
}

/// Segments, page by page.
fn segments_model(frames: &[usize], max_pages: usize, boundary: usize) -> Vec<(usize, usize)> {
    let mut segments: Vec<(usize, usize)> = Vec::new();

    for (page, &frame) in frames.iter().enumerate() {
        match segments.last_mut() {
            Some((start, length))
                if frames[page - 1] + 1 == frame
                    && *start + *length == frame
                    && *length < max_pages
                    && frame % boundary != 0 =>
            {
                *length += 1;
            }
            _ => segments.push((frame, 1)),
        }
    }
    segments
}

/// Frames of single pages that lie apart, with a stretch in between: more than a batch of runs.
fn many_frames() -> Vec<usize> {
    let apart = |count: usize| (0..count).map(|i| i * 3 % 60000);

    apart(17_000).chain(100..140).chain(apart(16_500)).collect()
}

fn check_segments(frames: &[usize], max_pages: usize, boundary: usize, chunk: usize) {
    let runs = runs_of(frames);
    let (first, last) = ends(&runs);
    let expected = segments_model(frames, max_pages, boundary);

    // SAFETY: These are the runs of `frames`. The table has as many entries as there are segments.
    unsafe {
        let count = rs_count_segments(first, last, frames.len(), max_pages, boundary);
        assert_eq!(count, expected.len());

        let table = t_table(count, chunk);
        rs_fill_segments(table, first, last, frames.len(), max_pages, boundary);
        let mut entry = table;
        for (at, &segment) in expected.iter().enumerate() {
            let (mut pfn, mut pages) = (0, 0);
            let next = t_entry(entry, &mut pfn, &mut pages);

            assert_eq!((pfn, pages), segment, "segment {at}");
            entry = next;
        }
        free(table);
    }
}

proptest! {
    #![proptest_config(cases(3_000))]

    /// A run owns one pin on each folio that it has pages in.
    #[test]
    fn each_pin_of_a_run_is_given_back_once(
        folios in folios(),
        frames in frames(FRAMES),
        batch in 1usize..300,
        make_dirty in any::<bool>(),
    ) {
        let _memory = MEMORY.lock().unwrap_or_else(|broken| broken.into_inner());
        prop_assume!(!frames.is_empty());
        folios.lay_out();

        let runs = runs_of(&frames);
        let pages = frames.len();
        let tails = runs.iter().any(|run| folios.of[run.frame].0 != run.frame);
        let mut expected = BTreeMap::new();
        for extent in list(&runs, pages).iter() {
            let mut heads: Vec<_> =
                (0..extent.pages).map(|i| folios.of[extent.frame + i].0).collect();
            heads.dedup();
            for head in heads {
                *expected.entry(head).or_insert(0) += 1;
            }
        }

        let last: *const Run = runs.last().unwrap();
        let mut at = 0;
        while at < pages {
            let until = pages.min(at + batch);
            let rest = list(&runs, pages).runs_at(at).as_ptr();
            // SAFETY: The runs are those of `frames`, and lie in the memory.
            let next = unsafe { rs_unpin_runs(rest, last, pages, at, until, tails, make_dirty) };

            prop_assert!((until..=pages).contains(&next));
            // No further than to the end of a folio.
            prop_assert!(next < until + 64);
            at = next;
        }
        for (pfn, &(head, _)) in folios.of.iter().enumerate() {
            if pfn != head {
                continue;
            }
            let pins = expected.get(&head).copied().unwrap_or(0);
            // SAFETY: The frame is within the memory.
            let (unpinned, dirty) = unsafe { (t_unpinned(head), t_is_dirty(head)) };

            prop_assert_eq!(unpinned, pins, "folio at {}", head);
            prop_assert_eq!(dirty, folios.dirty[head] || (make_dirty && pins > 0));
        }
    }

    #[test]
    fn segments_are_as_long_as_they_may_be(
        frames in prop_oneof![frames(120), frames(60_000)],
        max_pages in prop_oneof![1usize..50, Just(1 << 19)],
        boundary in prop_oneof![(0u32..10).prop_map(|bit| 1usize << bit), Just(1 << 52)],
        chunk in 2usize..40,
    ) {
        prop_assume!(!frames.is_empty());
        check_segments(&frames, max_pages, boundary, chunk);
    }

    #[test]
    fn page_arrays_have_each_page(
        frames in frames(FRAMES),
        at in any::<prop::sample::Index>(),
        length in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!frames.is_empty());
        let runs = runs_of(&frames);
        let at = at.index(frames.len());
        let end = at + length.index(frames.len() - at + 1);
        let rest = list(&runs, frames.len()).runs_at(at);
        let mut array = vec![std::ptr::null_mut(); end - at];

        // SAFETY: There is room for the pages `at` to `end`, and `rest` begins with the run of
        // `at`.
        unsafe { rs_fill_pages(array.as_mut_ptr(), rest.as_ptr(), ends(&runs).1, at, end) };
        // SAFETY: They point to elements of the memory.
        let found: Vec<_> = array.iter().map(|&page| unsafe { t_pfn(page) }).collect();
        prop_assert_eq!(&found[..], &frames[at..end]);
    }

    #[test]
    fn poison_is_found_in_the_folios_of_the_range(
        folios in folios(),
        poisoned in vec(0..FRAMES, 0..4),
        start in 0..FRAMES,
        count in 1usize..100,
    ) {
        let _memory = MEMORY.lock().unwrap_or_else(|broken| broken.into_inner());
        let count = count.min(FRAMES - start);
        folios.lay_out();
        for &pfn in &poisoned {
            // SAFETY: The frame is within the memory.
            unsafe { t_poison(pfn) };
        }

        let meant = |pfn: usize| match count {
            // Of a single page it is known.
            1 => pfn == start,
            _ => (start..start + count).any(|page| folios.of[page].0 == folios.of[pfn].0),
        };
        // SAFETY: The frames are within the memory.
        let found = unsafe { rs_pages_are_poisoned(start, count) };
        prop_assert_eq!(found, poisoned.iter().any(|&pfn| meant(pfn)));
    }

    #[test]
    fn page_tables_get_what_is_not_there(
        frames in frames(FRAMES),
        first in any::<prop::sample::Index>(),
        entry in 0usize..512,
        length in 1usize..512,
        touched in any::<prop::sample::Index>(),
        mapped in vec(0usize..512, 0..20),
        poisoned in vec(0..FRAMES, 0..4),
        unmapped in prop::bool::weighted(0.1),
    ) {
        let _memory = MEMORY.lock().unwrap_or_else(|broken| broken.into_inner());
        prop_assume!(!frames.is_empty());
        let runs = runs_of(&frames);
        let at = first.index(frames.len());
        let length = length.min(frames.len() - at).min(512 - entry);
        let inserted = at + touched.index(length);
        let other = 50_000;

        // SAFETY: Entries and frames are within the table and the memory.
        unsafe {
            (0..FRAMES).for_each(|pfn| t_folio(pfn, 1, false));
            poisoned.iter().for_each(|&pfn| t_poison(pfn));
            (0..512).for_each(|n| t_map(n, usize::MAX));
            mapped.iter().for_each(|&n| t_map(n, other + n));
            let is_there = if unmapped { usize::MAX } else { frames[inserted] };
            t_map(entry + (inserted - at), is_there);
        }
        // SAFETY: Entries are within the table.
        let before: Vec<_> = (0..512).map(|n| unsafe { t_mapped(n) }).collect();
        let rest = list(&runs, frames.len()).runs_at(at);
        let (last, end) = (ends(&runs).1, at + length);
        // SAFETY: `rest` begins with the run of `at`, and the pages fit the table.
        let status = unsafe { t_fill_entries(entry, rest.as_ptr(), last, at, end, inserted) };

        prop_assert_eq!(status, 0);
        for (n, &was) in before.iter().enumerate() {
            let is_new = !unmapped && was == usize::MAX && (entry..entry + length).contains(&n);
            let expected = match is_new {
                true => Some(frames[at + (n - entry)]).filter(|pfn| !poisoned.contains(pfn)),
                false => Some(was),
            };
            // SAFETY: The entry is within the table.
            prop_assert_eq!(unsafe { t_mapped(n) }, expected.unwrap_or(usize::MAX), "entry {}", n);
        }
    }
}

#[test]
fn segments_of_more_runs_than_a_batch() {
    let frames = many_frames();

    for (max_pages, boundary) in [(1, 1 << 52), (16, 8), (1 << 19, 1 << 52), (7, 64)] {
        check_segments(&frames, max_pages, boundary, 128);
    }
}

#[test]
fn segments_of_a_run_longer_than_a_batch() {
    let frames: Vec<_> = (5..40_000).collect();

    for (max_pages, boundary) in [(1, 1 << 52), (2, 1 << 52), (1 << 19, 1), (16, 64)] {
        check_segments(&frames, max_pages, boundary, 128);
    }
}
