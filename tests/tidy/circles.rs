//! No circle of files: who uses whom can be read from the top down. Refuses to know what a use is; the graph does.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Crate, File, Path, module_of};
use super::{Source, assert_none};

/// The files that are in a circle, each with those it uses in it.
fn circles(of: &Crate) -> Vec<String> {
    let mut uses: BTreeMap<&Path, BTreeSet<Path>> = BTreeMap::new();
    for module in of.0.keys() {
        uses.insert(module, of.used_by(module));
    }
    // What uses nothing that is left, or is used by nothing that is left, is in no circle.
    loop {
        let left: BTreeSet<Path> = uses.keys().map(|module| (*module).clone()).collect();
        let used: BTreeSet<Path> = uses.values().flatten().cloned().collect();
        uses.values_mut()
            .for_each(|used| used.retain(|module| left.contains(module)));
        uses.retain(|module, using| !using.is_empty() && used.contains(*module));
        if uses.len() == left.len() {
            break;
        }
    }
    let path = |module: &Path| of.0[module].path.as_str();
    let circle = |(module, used): (&&Path, &BTreeSet<Path>)| {
        let used: Vec<&str> = used.iter().map(path).collect();
        format!("{} uses {}", path(module), used.join(", "))
    };
    uses.iter().map(circle).collect()
}

#[test]
fn no_circle_among_the_files_of_the_gateway() {
    let found = circles(&Crate::read("src"));
    assert_none("let one of them know less", &found);
}

#[test]
fn no_circle_among_the_files_of_the_load_tool() {
    let found = circles(&Crate::read("loadtest/src"));
    assert_none("let one of them know less", &found);
}

#[test]
fn a_circle_would_be_noticed_and_passing_on_is_none() {
    let file = |path: &str, text: &str| {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        (module_of(path, "src"), File::read(source))
    };
    let circles = |files: Vec<(Path, File)>| circles(&Crate(files.into_iter().collect()));
    let passes_on = file(
        "src/a/mod.rs",
        "mod b;\nmod c;\npub use b::{self, B};\npub use c::C as D;",
    );
    let circle = [
        file("src/lib.rs", "mod a;"),
        passes_on,
        file("src/a/b.rs", "use super::D;\nstruct B(D);"),
        file("src/a/c.rs", "fn c() { crate::a::b::make(\"crate::x\") }"),
    ];
    let found = circles(circle.into());
    assert_eq!(
        found,
        ["src/a/b.rs uses src/a/c.rs", "src/a/c.rs uses src/a/b.rs"]
    );
    let line = [
        file(
            "src/a/mod.rs",
            "mod b;\nmod c;\npub use b::B;\nuse c::C;\nfn a() -> C {}",
        ),
        file("src/a/b.rs", "use super::c;\nstruct B(c::C); // super::a"),
        file("src/a/c.rs", "pub struct C;"),
    ];
    assert_eq!(circles(line.into()).len(), 0);
}
