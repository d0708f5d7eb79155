//! One word per idea: no two types of `src` have one name, aliases and private types included. Refuses to know the
//! types of traits (`type Item`), and those whose names a macro is given.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, assert_none, sources};

/// Names that several types may have, and why. That each is private, and in a mutex of its own file, is checked.
const SHARED: &[(&str, &str)] = &[("State", "what a mutex of the type beside it guards")];

/// Where a type is defined.
struct Definition {
    place: String,
    name: String,
    is_private_and_guarded: bool,
}

/// The types that a file defines outside its tests.
fn definitions(file: &Source) -> impl Iterator<Item = Definition> {
    let mut is_in_function = false;
    file.code().filter_map(move |(number, line)| {
        let declaration = line.trim_start();
        let visibility = match declaration.strip_prefix("pub(") {
            Some(scope) => "pub(".len() + scope.find(") ")? + ") ".len(),
            None if declaration.starts_with("pub ") => "pub ".len(),
            None => 0,
        };
        let (keyword, name) = declaration[visibility..].split_once(' ')?;
        // A trait's types, and an implementation's, come before its functions.
        match keyword {
            "trait" => is_in_function = false,
            _ if keyword.starts_with("impl") => is_in_function = false,
            _ => is_in_function |= keyword == "fn" || declaration.contains(" fn "),
        }
        let is_alias = keyword == "type" && (is_in_function || !line.starts_with(' '));
        let is_type = is_alias || ["struct", "enum", "union", "trait"].contains(&keyword);
        let end = name.find(|sign: char| !sign.is_alphanumeric() && sign != '_');
        let name = &name[..end.unwrap_or(name.len())];
        (is_type && name.starts_with(char::is_uppercase)).then(|| Definition {
            place: format!("{}:{number}", file.path),
            name: name.to_owned(),
            is_private_and_guarded: visibility == 0 && file.text.contains(&format!("Mutex<{name}")),
        })
    })
}

/// What is wrong with the names in these files, as far as they are no tests.
fn offences(files: &[Source], shared: &[(&str, &str)]) -> Vec<String> {
    let mut types: BTreeMap<String, Vec<Definition>> = BTreeMap::new();
    let is_code = |file: &&Source| !file.is_test() && !file.path.ends_with("_tests.rs");
    for definition in files.iter().filter(is_code).flat_map(definitions) {
        let name = definition.name.clone();
        types.entry(name).or_default().push(definition);
    }
    types.retain(|_, found| found.len() > 1);
    let excepted: BTreeSet<&str> = shared.iter().map(|(name, _)| *name).collect();
    let unneeded = excepted.iter().filter(|name| !types.contains_key(**name));
    let unneeded = unneeded.map(|name| format!("{name} needs no exception"));
    let wrong = types.iter().filter(|(name, found)| {
        !excepted.contains(name.as_str())
            || found
                .iter()
                .any(|definition| !definition.is_private_and_guarded)
    });
    let wrong = wrong.map(|(name, found)| {
        let places: Vec<&str> = found.iter().map(|found| found.place.as_str()).collect();
        format!("{name}: {}", places.join(", "))
    });
    wrong.chain(unneeded).collect()
}

#[test]
fn no_two_types_have_one_name() {
    let found = offences(&sources(&["src"]), SHARED);
    assert_none(
        "give each the word that its idea deserves, or make them one type",
        &found,
    );
}

#[test]
fn a_name_that_two_types_have_would_be_noticed() {
    let file = |path: &str, text: &str| Source {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let files = [
        file(
            "src/a.rs",
            "pub(in crate::a) struct Lane<T>(T);\nstruct State;\nstruct A(Mutex<State>);",
        ),
        file(
            "src/b.rs",
            "    enum Lane {\nimpl<T> Iterator for B {\n    type Item = Lane;\n    fn b() {\n    type A = u8;\nenum State {\nMutex<State>",
        ),
        file(
            "src/c.rs",
            "type Lane = u8;\n// struct Seat;\n#[cfg(test)]\nmod tests {\nstruct Seat;",
        ),
        file("src/c/tests.rs", "struct Seat;\nstruct Item;"),
        file("src/c_tests.rs", "struct Seat;\ntrait Item {}"),
    ];
    let lanes = "Lane: src/a.rs:1, src/b.rs:1, src/c.rs:1";
    let aliases = "A: src/a.rs:3, src/b.rs:5";
    assert_eq!(offences(&files, &[("State", "")]), [aliases, lanes]);
    let states = "State: src/a.rs:2, src/b.rs:6";
    assert_eq!(offences(&files, &[]), [aliases, lanes, states]);
    let seat = "Seat needs no exception";
    let shared = [("Seat", ""), ("State", "")];
    assert_eq!(offences(&files, &shared), [aliases, lanes, seat]);
    // An exception is for what is private and guarded.
    let shared = [("Lane", ""), ("State", "")];
    assert_eq!(offences(&files, &shared), [aliases, lanes]);
}
