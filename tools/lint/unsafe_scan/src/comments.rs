// SPDX-License-Identifier: GPL-2.0
//! The `SAFETY` comments of a source: text between two tokens that is no whitespace.

use std::ops::Range;

use proc_macro2::{TokenStream, TokenTree};

/// A section of a comment that starts with `SAFETY:`.
pub struct Safety {
    /// First byte of the gap between tokens that it is in.
    pub gap: usize,
    pub line: usize,
    /// The text, in one line; empty if nothing follows the colon.
    pub text: String,
}

/// Returns the sections of all comments, in order.
pub fn safety(source: &str, tokens: TokenStream) -> Vec<Safety> {
    let mut places = Vec::new();
    flatten(tokens, &mut places);
    places.sort_by_key(|place| place.start);
    places.push(source.len()..source.len());

    let mut found = Vec::new();
    let mut end = 0;
    for place in places {
        if place.start > end {
            let line = 1 + source[..end].matches('\n').count();

            sections(&source[end..place.start], end, line, &mut found);
        }
        end = end.max(place.end);
    }
    found
}

fn flatten(tokens: TokenStream, places: &mut Vec<Range<usize>>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                places.push(group.span_open().byte_range());
                flatten(group.stream(), places);
                places.push(group.span_close().byte_range());
            }
            other => places.push(other.span().byte_range()),
        }
    }
}

/// Finds the sections in a gap. One ends at a blank line, at a line of code or at another tag, such
/// as `INVARIANT:`.
fn sections(text: &str, gap: usize, first: usize, found: &mut Vec<Safety>) {
    let mut open = false;
    let mut in_block = false;

    for (at, line) in text.split('\n').enumerate() {
        let mut line = line.trim();

        if in_block {
            in_block = !line.contains("*/");
            line = line.trim_start_matches('*').trim_end_matches("*/");
        } else if let Some(rest) = line.strip_prefix("//") {
            line = rest;
        } else if let Some(rest) = line.strip_prefix("/*") {
            in_block = !rest.contains("*/");
            line = rest.trim_end_matches("*/");
        } else {
            open = false;
            continue;
        }
        let line = line.trim();

        match tag(line) {
            Some(("SAFETY", rest)) => {
                open = true;
                found.push(Safety {
                    gap,
                    line: first + at,
                    text: rest.to_owned(),
                });
            }
            Some(_) => open = false,
            None if open => {
                let last = &mut found.last_mut().expect("a section is open").text;

                if !last.is_empty() && !line.is_empty() {
                    last.push(' ');
                }
                last.push_str(line);
            }
            None => {}
        }
    }
}

/// Splits `TAG: text`.
fn tag(line: &str) -> Option<(&str, &str)> {
    let (tag, rest) = line.split_once(':')?;

    (!tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_uppercase()))
        .then(|| (tag, rest.trim()))
}
