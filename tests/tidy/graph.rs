//! Which file of a crate uses which: A uses B when its code names something that B defines, by `use` or in place.
//!
//! Reads paths as text. A name that a module only passes on (`pub use child::Name`) is the file's that defines it, and
//! passing on is no use. Refuses to know macros, methods and what a test module imports.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, sources};

/// A module's path from the crate's root.
pub(super) type Path = Vec<String>;

/// One file of a crate.
pub(super) struct File {
    pub(super) path: String,
    /// What it imports, by the names it has here.
    imports: BTreeMap<String, Path>,
    /// The paths that its code names.
    names: Vec<Path>,
}

/// The files of a crate by their modules.
pub(super) struct Crate(pub(super) BTreeMap<Path, File>);

impl Crate {
    pub(super) fn read(folder: &str) -> Self {
        let files = sources(&[folder]).into_iter().filter(|file| {
            let is_program = file.path == format!("{folder}/main.rs");
            !is_program && !file.is_test() && !file.path.ends_with("_tests.rs")
        });
        let files = files.map(|file| (module_of(&file.path, folder), File::read(file)));
        Self(files.collect())
    }

    /// Where a path leads that is named in a module: from the crate's root. None when it leads out of the crate.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        let child = join(module, std::slice::from_ref(first));
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some(join(module, rest)),
            "super" => {
                let parent = &module[..module.len().checked_sub(1)?];
                match rest.first().map(String::as_str) {
                    Some("super") => self.absolute(parent, rest),
                    _ => Some(join(parent, rest)),
                }
            }
            _ if self.0.contains_key(&child) => Some(join(module, path)),
            name => {
                let import = self.0.get(module)?.imports.get(name)?;
                // `use name::Other as name` of another crate leads nowhere here.
                let is_own = import.first().is_some_and(|first| first != name);
                is_own.then(|| self.absolute(module, &join(import, rest)))?
            }
        }
    }

    /// The module whose file defines what is at a path.
    fn defines(&self, path: &[String]) -> Option<Path> {
        let is_module = |length: &usize| self.0.contains_key(&path[..*length]);
        let length = (0..=path.len()).take_while(|length| *length == 0 || is_module(length));
        let length = length.last()?;
        let (module, rest) = path.split_at(length);
        match rest.split_first() {
            Some((name, _)) if self.0.get(module)?.imports.contains_key(name) => {
                self.defines(&self.absolute(module, rest)?)
            }
            _ => self.0.contains_key(module).then(|| module.to_vec()),
        }
    }

    /// The modules that a module's code uses.
    pub(super) fn used_by(&self, module: &Path) -> BTreeSet<Path> {
        let File { names, imports, .. } = &self.0[module];
        // A name alone that is not imported may be a variable's, though a module is called so as well.
        let names = names
            .iter()
            .filter(|name| name.len() > 1 || imports.contains_key(&name[0]));
        let used = names.filter_map(|name| self.defines(&self.absolute(module, name)?));
        used.filter(|used| used != module).collect()
    }
}

impl File {
    pub(super) fn read(source: Source) -> Self {
        let code: Vec<&str> = source.code().map(|(_, line)| line).collect();
        let mut tokens = tokens(&code.join("\n")).into_iter().peekable();
        let (mut imports, mut names) = (BTreeMap::new(), Vec::new());
        let mut last = String::new();
        while let Some(token) = tokens.next() {
            match token.as_str() {
                "use" => {
                    let tree: Vec<String> =
                        tokens.by_ref().take_while(|token| token != ";").collect();
                    import(&mut tree.into_iter().peekable(), &[], &mut imports);
                }
                // A declaration, and the scope of a visibility, use nothing.
                "mod" => drop(tokens.next()),
                "in" if last == "(" => drop(tokens.next()),
                name if is_name(name) && last != "." => {
                    let mut path = vec![token.clone()];
                    while tokens.next_if(|token| token == "::").is_some() {
                        path.extend(tokens.next_if(|token| is_name(token)));
                    }
                    // Alone, `super` and its like are the scope of a visibility.
                    if path.len() > 1 || !["crate", "self", "super"].contains(&name) {
                        names.push(path);
                    }
                }
                _ => {}
            }
            last = token;
        }
        let path = source.path;
        Self {
            path,
            imports,
            names,
        }
    }
}

/// Adds what a tree of `use` imports.
fn import(
    tree: &mut std::iter::Peekable<impl Iterator<Item = String>>,
    prefix: &[String],
    imports: &mut BTreeMap<String, Path>,
) {
    let mut path = prefix.to_vec();
    while let Some(token) = tree.next() {
        match token.as_str() {
            "{" => import(tree, &path, imports),
            "," | "}" => {
                path = prefix.to_vec();
                if token == "}" {
                    return;
                }
            }
            "::" => {}
            name => {
                if name != "self" || path.is_empty() {
                    path.push(token);
                }
                if tree.next_if(|next| next == "as").is_some()
                    && let Some(alias) = tree.next()
                {
                    imports.insert(alias, path.clone());
                } else if tree.peek().is_none_or(|next| next != "::")
                    && let Some(name) = path.last()
                {
                    imports.insert(name.clone(), path.clone());
                }
            }
        }
    }
}

/// Names, `::` and single signs; neither comments nor texts.
fn tokens(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in code.lines() {
        let mut rest = line;
        while let Some(sign) = rest.chars().next() {
            let length = match sign {
                '"' => text_length(rest),
                '/' if rest.starts_with("//") => rest.len(),
                ':' if rest.starts_with("::") => 2,
                sign if is_part(sign) => rest.find(|sign| !is_part(sign)).unwrap_or(rest.len()),
                sign => sign.len_utf8(),
            };
            let (token, behind) = rest.split_at(length);
            if !sign.is_whitespace() && !token.starts_with(['"', '/']) {
                found.push(token.to_owned());
            }
            rest = behind;
        }
    }
    found
}

/// How long the text is that a line begins with, its quotes included.
fn text_length(line: &str) -> usize {
    let mut is_escaped = false;
    let end = line.char_indices().skip(1).find(|(_, sign)| {
        let ends = *sign == '"' && !is_escaped;
        is_escaped = *sign == '\\' && !is_escaped;
        ends
    });
    end.map_or(line.len(), |(end, _)| end + 1)
}

fn is_part(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

fn is_name(token: &str) -> bool {
    token.starts_with(|sign: char| sign.is_alphabetic() || sign == '_')
}

fn join(path: &[String], rest: &[String]) -> Path {
    [path, rest].concat()
}

/// `src/store/mod.rs` is `store`, `src/lib.rs` the root.
pub(super) fn module_of(file: &str, folder: &str) -> Path {
    let below = file.trim_start_matches(folder).trim_start_matches('/');
    let below = below.trim_end_matches(".rs").trim_end_matches("/mod");
    let parts = below.split('/').filter(|part| *part != "lib");
    parts.map(str::to_owned).collect()
}
