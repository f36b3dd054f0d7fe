// SPDX-License-Identifier: GPL-2.0
//! Finds unsafe code in a stream of tokens, and the names of the items around it.

use std::{borrow::Cow, collections::HashMap, str::FromStr};

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use serde_json::{json, Value};

use crate::comments::{self, Safety};

/// Keywords that a name follows.
const NAMED: [&str; 9] = [
    "fn",
    "mod",
    "trait",
    "struct",
    "enum",
    "union",
    "static",
    "const",
    "macro_rules",
];

/// The documentation of an item that gets it from the uses of a macro.
const PASSED_ON: &str = " # Safety\n\n As each use of the macro documents.\n";

/// Returns all items of a source.
pub fn scan(source: &str) -> Result<Vec<Value>, String> {
    let tokens = TokenStream::from_str(source).map_err(|error| format!("no Rust: {error}"))?;
    let comments = comments::safety(source, tokens.clone());
    let mut walk = Walk {
        source,
        by_gap: HashMap::new(),
        used: vec![false; comments.len()],
        comments,
        found: Vec::new(),
    };

    for (at, comment) in walk.comments.iter().enumerate() {
        walk.by_gap.entry(comment.gap).or_default().push(at);
    }
    walk.stream(tokens, 0, &Scope::default(), None);
    for (comment, used) in walk.comments.iter().zip(&walk.used) {
        if !used {
            walk.found.push(json!({
                "kind": "stray", "path": "", "line": comment.line, "safety": comment.text,
            }));
        }
    }
    Ok(walk.found)
}

struct Walk<'a> {
    source: &'a str,
    comments: Vec<Safety>,
    by_gap: HashMap<usize, Vec<usize>>,
    used: Vec<bool>,
    found: Vec<Value>,
}

/// The surroundings of a stream of tokens.
#[derive(Clone, Default)]
struct Scope {
    path: Vec<String>,
    /// The type of the innermost `impl`, or the innermost trait.
    owner: String,
    /// The innermost `impl` up to its body.
    header: String,
    /// Path of the innermost function, whether it is unsafe, and whether C calls it.
    function: Option<(String, bool, bool)>,
    is_test: bool,
}

/// The item whose body has not come yet.
struct Header {
    keyword: String,
    name: String,
    is_unsafe: bool,
    is_c: bool,
    docs: String,
    line: usize,
    safety: Option<usize>,
    /// The tokens of an `impl` so far.
    tokens: Vec<TokenTree>,
    start: usize,
}

impl Header {
    /// Whether the item has a value and no body.
    fn is_value(&self) -> bool {
        matches!(&*self.keyword, "static" | "const")
    }
}

/// The part of a statement or an item before its first keyword.
#[derive(Default)]
struct Prefix {
    docs: String,
    is_test: bool,
    is_unsafe: bool,
    is_c: bool,
    is_let: bool,
    /// Whether nothing but attributes has come.
    is_start: bool,
}

impl Prefix {
    fn new() -> Self {
        Self {
            is_start: true,
            ..Self::default()
        }
    }
}

impl Walk<'_> {
    /// Walks through the tokens between two delimiters, the first of which ends at `end`. `safety`
    /// is the comment that the stream is under.
    fn stream(&mut self, tokens: TokenStream, mut end: usize, scope: &Scope, outer: Option<usize>) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut safety = outer;
        let mut prefix = Prefix::new();
        let mut header: Option<Header> = None;

        for (at, token) in tokens.iter().enumerate() {
            let place = token.span().byte_range();
            // All tokens that a doc comment stands for have its place.
            if let Some(found) = (place.start >= end)
                .then(|| self.by_gap.get(&end))
                .flatten()
            {
                safety = found.last().copied();
            }
            end = end.max(place.end);
            let next = tokens.get(at + 1);
            let before = at.checked_sub(1).and_then(|at| tokens.get(at));

            if let Some(header) = &mut header {
                header.tokens.push(token.clone());
            }
            match token {
                TokenTree::Punct(punct) if matches!(punct.as_char(), ';' | ',') => {
                    // A comma in the type of an item or a variable is no end.
                    if punct.as_char() == ';' || header.is_none() && !prefix.is_let {
                        safety = if punct.as_char() == ',' { outer } else { None };
                        prefix = Prefix::new();
                        header = None;
                    }
                }
                TokenTree::Punct(punct) => {
                    let is_attribute = matches!(punct.as_char(), '#' | '$')
                        || punct.as_char() == '!' && is_punct(before, '#')
                        || punct.as_char() == '*' && matches!(before, Some(TokenTree::Group(_)));
                    prefix.is_start &= is_attribute;
                }
                TokenTree::Literal(_) => prefix.is_start = false,
                TokenTree::Ident(ident) => {
                    let word = ident.to_string();

                    if word == "unsafe" {
                        let scope = &value_scope(header.as_ref(), scope);
                        self.keyword(ident, &tokens[at + 1..], scope, safety, &mut prefix);
                        continue;
                    }
                    prefix.is_c |= word == "extern";
                    prefix.is_let |= word == "let" && prefix.is_start;
                    let name = name_after(&word, &tokens[at + 1..]);
                    let is_other = is_punct(before, '\'') || is_punct(before, '*');
                    let replaces = header
                        .as_ref()
                        .is_none_or(|header| header.keyword == "const");

                    if let Some(name) = name.filter(|_| !is_other && replaces) {
                        header = Some(Header {
                            keyword: word,
                            name,
                            is_unsafe: prefix.is_unsafe,
                            is_c: prefix.is_c,
                            docs: core::mem::take(&mut prefix.docs),
                            line: ident.span().start().line,
                            safety,
                            tokens: Vec::new(),
                            start: place.start,
                        });
                        self.item(header.as_ref().expect("just set"), scope);
                    }
                    prefix.is_start = false;
                }
                TokenTree::Group(group) => {
                    let is_attribute = group.delimiter() == Delimiter::Bracket
                        && (is_punct(before, '#') || is_punct(before, '!'))
                        && prefix.is_start;
                    if is_attribute {
                        attribute(group, &mut prefix);
                        continue;
                    }
                    if prefix.is_start && is_punct(before, '$') && is_attributes(group) {
                        prefix.docs.push_str(PASSED_ON);
                        continue;
                    }
                    let inside = group.span_open().byte_range().end;

                    if group.delimiter() != Delimiter::Brace {
                        let scope = &value_scope(header.as_ref(), scope);
                        self.stream(group.stream(), inside, scope, safety);
                        prefix.is_start = false;
                        continue;
                    }
                    let is_unsafe =
                        matches!(before, Some(TokenTree::Ident(word)) if word == "unsafe");
                    let scope = match &header {
                        Some(header) => self.inside(header, scope, prefix.is_test, place.start),
                        None => scope.clone(),
                    };
                    self.stream(group.stream(), inside, &scope, None);
                    // A block that is no statement is part of one, which goes on behind it.
                    let goes_on = header.as_ref().is_some_and(Header::is_value)
                        || is_punct(next, '.')
                        || is_punct(next, '?')
                        || (is_unsafe && !prefix.is_start);
                    if !goes_on {
                        safety = None;
                        prefix = Prefix::new();
                        header = None;
                    }
                }
            }
        }
    }

    /// Notes the block or item that the keyword `unsafe` begins.
    fn keyword(
        &mut self,
        word: &Ident,
        next: &[TokenTree],
        scope: &Scope,
        safety: Option<usize>,
        prefix: &mut Prefix,
    ) {
        let kind = match next {
            [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Brace => "block",
            [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Parenthesis => {
                "marker"
            }
            [TokenTree::Ident(word), ..] if word == "impl" || word == "trait" || word == "fn" => {
                prefix.is_unsafe = true;
                return;
            }
            [TokenTree::Ident(word), rest @ ..] if word == "extern" => {
                // Either may come without an ABI.
                let next = rest
                    .iter()
                    .find(|token| !matches!(token, TokenTree::Literal(_)));
                if !matches!(next, Some(TokenTree::Group(_))) {
                    prefix.is_unsafe = true;
                    return;
                }
                "extern"
            }
            _ => "unknown",
        };
        self.note(
            kind,
            word.span().start().line,
            &scope.path.join("::"),
            scope,
            safety,
            "",
        );
    }

    /// Notes an item that is unsafe, or whose documentation has a section that is referred to.
    fn item(&mut self, header: &Header, scope: &Scope) {
        let path = joined(&scope.path, &header.name);

        let kind = match &*header.keyword {
            "fn" if header.is_unsafe => "fn",
            "trait" if header.is_unsafe => "trait",
            "struct" | "enum" | "union" => "type",
            _ => return,
        };

        self.note(kind, header.line, &path, scope, header.safety, &header.docs);
        self.found.last_mut().expect("just added")["is_c"] = json!(header.is_c);
    }

    /// Returns the scope of the body of an item, and notes an `impl`, whose header is known by now.
    fn inside(&mut self, header: &Header, scope: &Scope, is_test: bool, end: usize) -> Scope {
        let mut scope = scope.clone();

        scope.is_test |= is_test;
        if header.keyword == "impl" {
            let owner = owner(&header.tokens[..header.tokens.len() - 1]);
            let whole = &self.source[header.start..end];
            let whole = whole.split_whitespace().collect::<Vec<_>>().join(" ");

            if header.is_unsafe {
                self.note(
                    "impl",
                    header.line,
                    &joined(&scope.path, &owner),
                    &scope,
                    header.safety,
                    &whole,
                );
            }
            scope.header = whole;
            scope.owner = joined(&scope.path, &owner);
            scope.path.push(owner);
            return scope;
        }
        scope.path.push(header.name.clone());
        match &*header.keyword {
            "fn" => scope.function = Some((scope.path.join("::"), header.is_unsafe, header.is_c)),
            "trait" => scope.owner = scope.path.join("::"),
            "mod" => scope.is_test |= header.name == "tests",
            _ => {}
        }
        scope
    }

    /// `text` is the header of an `impl`, and the documentation of anything else.
    fn note(
        &mut self,
        kind: &str,
        line: usize,
        path: &str,
        scope: &Scope,
        safety: Option<usize>,
        text: &str,
    ) {
        if let Some(at) = safety.filter(|_| !matches!(kind, "fn" | "trait" | "type")) {
            self.used[at] = true;
        }
        let (function, is_unsafe, is_c) = match &scope.function {
            Some((path, is_unsafe, is_c)) => (Some(path), *is_unsafe, *is_c),
            None => (None, false, false),
        };

        self.found.push(json!({
            "kind": kind, "path": path, "line": line, "text": text,
            "safety": safety.map(|at| &self.comments[at].text),
            "owner": scope.owner, "header": scope.header, "function": function,
            "in_unsafe": is_unsafe, "in_c": is_c,
            "is_test": scope.is_test,
        }));
    }
}

/// Returns the name of the item that begins with the keyword `word`: "" for an `impl`.
fn name_after(word: &str, tokens: &[TokenTree]) -> Option<String> {
    if word == "impl" {
        return Some(String::new());
    }
    if !NAMED.contains(&word) {
        return None;
    }
    match tokens {
        [TokenTree::Ident(name), ..] => Some(name.to_string()),
        [TokenTree::Punct(mark), name, ..] if word == "macro_rules" && mark.as_char() == '!' => {
            Some(format!("{name}!"))
        }
        // An argument of a macro.
        [TokenTree::Punct(mark), name, ..] if word == "fn" && mark.as_char() == '$' => {
            Some(format!("${name}"))
        }
        _ => None,
    }
}

/// Returns the scope of the value of a static or a constant.
fn value_scope<'a>(header: Option<&Header>, scope: &'a Scope) -> Cow<'a, Scope> {
    match header {
        Some(header) if header.is_value() => {
            let mut inner = scope.clone();

            inner.path.push(header.name.clone());
            Cow::Owned(inner)
        }
        _ => Cow::Borrowed(scope),
    }
}

fn joined(path: &[String], name: &str) -> String {
    path.iter()
        .map(String::as_str)
        .chain([name])
        .collect::<Vec<_>>()
        .join("::")
}

fn is_punct(token: Option<&TokenTree>, mark: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

/// Whether a repetition in a macro passes attributes on, as `$(#[$attribute])*` does.
fn is_attributes(group: &Group) -> bool {
    let tokens: Vec<_> = group.stream().into_iter().collect();

    tokens.len() == 2 && is_punct(tokens.first(), '#')
}

/// Adds the meaning of an attribute: a line of documentation, or that an item is for tests.
fn attribute(group: &Group, prefix: &mut Prefix) {
    let tokens: Vec<_> = group.stream().into_iter().collect();

    match &tokens[..] {
        [TokenTree::Ident(doc), TokenTree::Punct(_), TokenTree::Literal(text)] if doc == "doc" => {
            prefix.docs.push_str(&unquoted(&text.to_string()));
            prefix.docs.push('\n');
        }
        [TokenTree::Ident(cfg), TokenTree::Group(condition)] if cfg == "cfg" => {
            prefix.is_test |= condition.stream().to_string() == "test";
        }
        [TokenTree::Ident(name), ..] => prefix.is_test |= name == "kunit_tests",
        _ => {}
    }
}

/// The text of a string literal, as doc comments become.
fn unquoted(literal: &str) -> String {
    if let Some(raw) = literal.strip_prefix('r') {
        return raw.trim_matches('#').trim_matches('"').to_owned();
    }
    let mut text = String::new();
    let mut chars = literal.trim_matches('"').chars();

    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(other) => text.push(other),
                None => {}
            },
            other => text.push(other),
        }
    }
    text
}

/// Returns the name of the type that an `impl` is for.
fn owner(header: &[TokenTree]) -> String {
    let mut depth = 0;
    let mut name = String::new();
    let mut arrow = false;

    for token in header {
        match token {
            TokenTree::Punct(punct) => match punct.as_char() {
                '<' => depth += 1,
                '>' if !arrow => depth -= 1,
                _ => {}
            },
            TokenTree::Ident(word) if depth == 0 => match &*word.to_string() {
                "for" => name.clear(),
                "where" => break,
                "dyn" | "mut" | "const" => {}
                other => name = other.to_owned(),
            },
            _ => {}
        }
        arrow = is_punct(Some(token), '-');
    }
    name
}
