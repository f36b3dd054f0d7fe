// SPDX-License-Identifier: GPL-2.0

//! Lists of runs, against a list of pages.

use super::cases;
use crate::runs::{
    Run,
    Runs, //
};
use proptest::{
    collection::vec,
    prelude::*, //
};

/// Puts pages together in the way that the driver does. Returns the runs.
pub(super) fn runs_of(frames: &[usize]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();

    for (page, &frame) in frames.iter().enumerate() {
        if page == 0 || frames[page - 1].checked_add(1) != Some(frame) {
            runs.push(Run { page, frame });
        }
    }
    runs
}

pub(super) fn list(runs: &[Run], pages: usize) -> Runs<'_> {
    // SAFETY: `runs_of()` upholds the invariants.
    unsafe { Runs::new(runs, pages) }
}

/// Frames of pages: stretches that often touch, of frames anywhere.
pub(super) fn frames(highest: usize) -> impl Strategy<Value = Vec<usize>> {
    let stretch = (0..highest - 40, 1usize..40, any::<bool>());

    vec(stretch, 0..25).prop_map(move |stretches| {
        let mut frames: Vec<usize> = Vec::new();

        for (start, count, goes_on) in stretches {
            let next = frames.last().map_or(start, |last| last + 1);
            let start = if goes_on && next < highest - 40 {
                next
            } else {
                start
            };
            frames.extend(start..start + count);
        }
        frames
    })
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn extents_are_the_pages_of_the_range(
        frames in prop_oneof![frames(100), frames(1 << 52)],
        start in 0usize..1200,
        length in prop_oneof![0usize..1200, Just(usize::MAX >> 1)],
    ) {
        let runs = runs_of(&frames);
        let runs = list(&runs, frames.len());
        let mut page = start;

        for extent in runs.extents(start..start + length) {
            prop_assert_eq!(extent.page, page);
            prop_assert!(extent.pages > 0);
            for i in 0..extent.pages {
                prop_assert_eq!(frames.get(page + i).copied(), Some(extent.frame + i));
            }
            page += extent.pages;
        }
        let end = (start + length).min(frames.len());
        prop_assert_eq!(page, start.max(end));
    }

    /// As long as they can be: the next one does not go on where one ends.
    #[test]
    fn extents_of_all_are_the_runs(frames in frames(60)) {
        let runs = runs_of(&frames);
        let all: Vec<_> = list(&runs, frames.len()).iter().collect();

        prop_assert_eq!(all.len(), runs.len());
        for pair in all.windows(2) {
            prop_assert_ne!(pair[0].frame + pair[0].pages, pair[1].frame);
            prop_assert_eq!(pair[0].page + pair[0].pages, pair[1].page);
        }
    }

    #[test]
    fn the_run_of_a_page_has_its_frame(frames in frames(100), page in 0usize..1000) {
        let runs = runs_of(&frames);
        let rest = list(&runs, frames.len()).runs_at(page);

        match (frames.get(page), rest.first()) {
            (None, _) => prop_assert!(rest.len() <= 1),
            (Some(&frame), Some(run)) => {
                prop_assert_eq!(run.frame + (page - run.page), frame);
                prop_assert!(rest.get(1).is_none_or(|next| next.page > page));
            }
            (Some(_), None) => prop_assert!(false, "no run"),
        }
    }
}
