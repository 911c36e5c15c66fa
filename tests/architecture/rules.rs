//! The rules: one function each, from a file's path and text to findings.

use crate::{
    lexer::{self, NamedPath, Token},
    tables::{BANNED, CLIENT_FOR_SERVER, CONFINED, EMPTY_NAMES, EXCEPTIONS, PACKAGES, PRODUCTION_LINES_MAX, ROOMS},
};

/// All that is wrong with one file.
pub fn judge(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let all = lexer::tokens(text);
    let (production, test_lines) = lexer::without_test_items(&all);
    if !text.starts_with("//!") {
        findings.push(format!("{path}:1: the first line must be `//!`: say what lives here and what does not"));
    }
    let lines = text.lines().count() - test_lines;
    if lines > PRODUCTION_LINES_MAX && !is_test_file(path) {
        findings.push(format!(
            "{path}: {lines} production lines, {PRODUCTION_LINES_MAX} allowed: split it by what it decides"
        ));
    }
    names(path, &production, &mut findings);
    if path.ends_with("/mod.rs") {
        door(path, &production, &mut findings);
    }
    if !is_test_file(path) {
        let found = lexer::paths(&production);
        third_parties(path, &found, &mut findings);
        packages(path, &found, &mut findings);
        rooms(path, &found, &mut findings);
    }
    findings
}

/// Unit tests in a file of their own: held to looks, not to arrows.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Whether `prefix` is `path` or an ancestor of it, segment by segment.
pub fn covers(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The paths inside the server crate that a file names, without `crate`.
pub fn resolved_paths(path: &str, text: &str) -> Vec<String> {
    let (production, _) = lexer::without_test_items(&lexer::tokens(text));
    lexer::paths(&production).iter().filter_map(|found| resolve(path, found)).collect()
}

fn module_of(path: &str) -> Option<Vec<&str>> {
    let inside = path.strip_prefix("server/src/")?.strip_suffix(".rs")?;
    let mut module: Vec<_> = inside.split('/').collect();
    if module.len() > 1 {
        module.pop_if(|last| *last == "mod");
    }
    Some(module)
}

/// `crate::a::b`, `super::b`, `self::b` as `a::b`; `None` for what leads elsewhere.
fn resolve(path: &str, found: &NamedPath) -> Option<String> {
    let mut base = module_of(path)?;
    let segments: Vec<_> = found.segments.iter().map(String::as_str).collect();
    let rest = match *segments.first()? {
        "crate" => {
            base.clear();
            &segments[1..]
        }
        "self" => &segments[1..],
        "super" => {
            let ups = segments.iter().take_while(|segment| **segment == "super").count();
            base.truncate(base.len().saturating_sub(ups));
            &segments[ups..]
        }
        _ => return None,
    };
    Some(base.iter().chain(rest).copied().collect::<Vec<_>>().join("::"))
}

fn rooms(path: &str, found: &[NamedPath], findings: &mut Vec<String>) {
    let Some(room) = module_of(path).and_then(|module| module.first().copied()) else { return };
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        findings.push(format!("{path}: the room `{room}` is not in the table: add its row to tests/architecture/tables.rs, or move the file"));
        return;
    };
    for named in found {
        let Some(target) = resolve(path, named) else { continue };
        let known = ROOMS.iter().any(|(name, _)| covers(name, &target));
        let fine = !known || covers(room, &target) || allowed.iter().any(|prefix| covers(prefix, &target));
        if !fine && !excepted(path, &target) {
            let shown =
                target.split("::").take(if target.starts_with("os::") { 2 } else { 1 }).collect::<Vec<_>>().join("::");
            findings.push(format!(
                "{path}:{}: `{room}` must not import `{shown}` (`{target}`); it may import {allowed:?}: pass in what it needs, or move the code",
                named.line
            ));
        }
    }
}

fn excepted(path: &str, target: &str) -> bool {
    EXCEPTIONS.iter().any(|(file, prefix, _)| *file == path && covers(prefix, target))
}

fn packages(path: &str, found: &[NamedPath], findings: &mut Vec<String>) {
    let owner = PACKAGES
        .iter()
        .filter(|(folder, _)| path.starts_with(&format!("{folder}/src/")))
        .max_by_key(|(folder, _)| folder.len());
    let Some((folder, allowed)) = owner else { return };
    for named in found {
        let first = named.segments[0].as_str();
        if !first.starts_with("tidemark_")
            || first == format!("tidemark_{}", folder.rsplit('/').next().unwrap_or(folder))
        {
            continue;
        }
        if !allowed.contains(&first.replace('_', "-").as_str()) {
            findings.push(format!(
                "{path}:{}: package `{folder}` must not import `{first}`; it may import {allowed:?}",
                named.line
            ));
        }
        let second = named.segments.get(1).map_or("", String::as_str);
        if *folder == "server" && first == "tidemark_client" && !CLIENT_FOR_SERVER.contains(&second) {
            findings.push(format!(
                "{path}:{}: the server must not import `tidemark_client::{second}`; of the client it may know {CLIENT_FOR_SERVER:?}",
                named.line
            ));
        }
    }
}

fn third_parties(path: &str, found: &[NamedPath], findings: &mut Vec<String>) {
    for named in found {
        let name = named.segments[0].as_str();
        if let Some((_, homes)) = CONFINED.iter().find(|(party, homes)| *party == name && !within(path, homes)) {
            findings
                .push(format!("{path}:{}: `{name}` is confined to {homes:?}: ask the room that owns it", named.line));
        }
        if let Some((_, homes)) = BANNED.iter().find(|(party, homes)| *party == name && within(path, homes)) {
            findings.push(format!("{path}:{}: `{name}` must not be known in {homes:?}", named.line));
        }
    }
}

fn within(path: &str, homes: &[&str]) -> bool {
    homes.iter().any(|home| path.starts_with(home))
}

/// A `mod.rs` holds `mod x;`, `use …;` and attributes.
fn door(path: &str, tokens: &[Token], findings: &mut Vec<String>) {
    let mut at = 0;
    while at < tokens.len() {
        let start = at;
        if tokens[at].text == "#" {
            at += 1 + usize::from(tokens.get(at + 1).is_some_and(|token| token.text == "!"));
            at = closing(tokens, at) + 1;
            continue;
        }
        if tokens[at].text == "pub" {
            at += 1;
            if tokens.get(at).is_some_and(|token| token.text == "(") {
                at = closing(tokens, at) + 1;
            }
        }
        let end = lexer::item_end(tokens, at);
        let word = tokens.get(at).map_or("", |token| token.text.as_str());
        let fine = word == "use" || word == "mod" && tokens.get(end).is_some_and(|token| token.text == ";");
        if !fine {
            let line = tokens[start].line;
            findings.push(format!(
                "{path}:{line}: a `mod.rs` is a door (docs, `mod`, `use`): move this item to a file named after it"
            ));
        }
        // a `use` tree has braces before its semicolon
        at = if word == "use" { tokens[at..].iter().position(|t| t.text == ";").map_or(end, |n| at + n) } else { end }
            + 1;
    }
}

/// The place of the bracket that closes the one at `at`.
fn closing(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0;
    for (place, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return place;
        }
    }
    tokens.len()
}

fn names(path: &str, tokens: &[Token], findings: &mut Vec<String>) {
    let inline = tokens.windows(2).filter(|pair| pair[0].text == "mod").map(|pair| pair[1].text.as_str());
    for name in path.trim_end_matches(".rs").split('/').chain(inline) {
        let last = name.rsplit(['_', '-']).next().unwrap_or(name);
        if EMPTY_NAMES.contains(&last) {
            findings.push(format!("{path}: the name `{name}` says nothing: name it after what it holds"));
        }
    }
}

/// Packages of ours that a manifest names under its dependencies against those it may.
pub fn judge_manifest(folder: &str, text: &str, allowed: &[&str]) -> Vec<String> {
    let mut section = "";
    let mut findings = Vec::new();
    for (line, content) in text.lines().enumerate() {
        if content.starts_with('[') {
            section = content;
        }
        let name = content.split(['.', '=', ' ']).next().unwrap_or("");
        if section == "[dependencies]" && name.starts_with("tidemark-") && !allowed.contains(&name) {
            findings
                .push(format!("{folder}/Cargo.toml:{}: must not depend on `{name}`; it may on {allowed:?}", line + 1));
        }
    }
    findings
}
