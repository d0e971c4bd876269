//! Reads the imports of a crate from its source files.

use alloc::collections::{BTreeMap, BTreeSet};
use core::mem;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// Each file with the files that it imports, and one import of each as it is written.
pub(crate) type Graph<'a> = BTreeMap<&'a str, BTreeMap<&'a str, String>>;

/// Names below the root of a crate: `src/wait/future.rs` is `["wait", "future"]`.
type Module = Vec<String>;

/// A path as it is written, and the module that it is written in.
#[derive(Clone)]
struct Import {
    module: Module,
    path: Vec<String>,
}

/// What the files of one crate define and import.
#[derive(Default)]
pub(crate) struct Sources {
    /// Each module with the file that it is in; a file can hold several.
    modules: BTreeMap<Module, String>,
    items: BTreeSet<(Module, String)>,
    imported_names: BTreeMap<(Module, String), Import>,
    globs: BTreeMap<Module, Vec<Import>>,
    imports: Vec<Import>,
    /// Re-exports, which count only where their own module uses the name.
    re_exports: Vec<(String, Import)>,
    used_names: BTreeSet<(Module, String)>,
    test_modules: Vec<Module>,
}

impl Sources {
    /// `files` are names relative to the crate's source folder, with their text.
    pub(crate) fn new(files: &BTreeMap<String, String>) -> Self {
        let mut found = Self::default();
        for (file, text) in files {
            // A program beside a library is a crate of its own, and here a single file.
            if file == "main.rs" && files.contains_key("lib.rs") {
                continue;
            }
            let mut module: Module = file
                .trim_end_matches(".rs")
                .split('/')
                .map(str::to_owned)
                .collect();
            if matches!(&*module[module.len() - 1], "lib" | "main" | "mod") {
                module.pop();
            }
            let tokens: TokenStream = text.parse().expect(file);
            found.modules.insert(module.clone(), file.clone());
            found.read(tokens, &module, file);
        }
        let tests = mem::take(&mut found.test_modules);
        let is_test = |module: &Module| tests.iter().any(|test| module.starts_with(test));
        found.imports.retain(|import| !is_test(&import.module));
        found
            .re_exports
            .retain(|(_, import)| !is_test(&import.module));
        found
    }

    fn read(&mut self, tokens: TokenStream, module: &Module, file: &str) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Punct(hash) if hash.as_char() == '#' => {
                    at = self.skip_attribute(&tokens, at, module);
                }
                TokenTree::Group(group) => {
                    self.read(group.stream(), module, file);
                    at += 1;
                }
                TokenTree::Ident(word) => {
                    at = self.read_word(&word.to_string(), &tokens, at, module, file);
                }
                _ => at += 1,
            }
        }
    }

    /// Returns the index after the attribute, and after an item that is compiled for tests only.
    fn skip_attribute(&mut self, tokens: &[TokenTree], mut at: usize, module: &Module) -> usize {
        let inner = is_punct(tokens.get(at + 1), '!');
        at += 1 + usize::from(inner);
        let Some(TokenTree::Group(group)) = tokens.get(at) else {
            return at;
        };
        at += 1;
        let mut text = group.stream().to_string();
        text.retain(|letter| !letter.is_whitespace());
        if text != "cfg(test)" && !text.starts_with("cfg(all(test,") {
            return at;
        }
        if inner {
            self.test_modules.push(module.clone());
            return tokens.len();
        }
        let ends_item = |token: &TokenTree| {
            is_punct(Some(token), ';')
                || matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
        };
        let length = tokens[at..].iter().position(ends_item);
        let end = length.map_or(tokens.len(), |length| at + length + 1);
        if let Some(found) = tokens[at..end]
            .iter()
            .position(|token| is_word(token, "mod"))
        {
            self.test_modules
                .push(child(module, &tokens[at + found + 1].to_string()));
        }
        end
    }

    fn read_word(
        &mut self,
        word: &str,
        tokens: &[TokenTree],
        at: usize,
        module: &Module,
        file: &str,
    ) -> usize {
        let next = tokens.get(at + 1);
        match (word, next) {
            ("use", _) => {
                let length = tokens[at..]
                    .iter()
                    .position(|token| is_punct(Some(token), ';'));
                let end = length.map_or(tokens.len(), |length| at + length);
                let public = at > 0
                    && (is_word(&tokens[at - 1], "pub")
                        || at > 1 && is_word(&tokens[at - 2], "pub"));
                // `use<'_>` in a type is no import.
                if !is_punct(next, '<') {
                    self.read_use(&tokens[at + 1..end], &[], module, public);
                }
                return if is_punct(next, '<') { at + 1 } else { end };
            }
            ("mod", Some(TokenTree::Ident(name))) => {
                if let Some(TokenTree::Group(body)) = tokens.get(at + 2) {
                    let inline = child(module, &name.to_string());
                    self.modules.insert(inline.clone(), file.to_owned());
                    self.read(body.stream(), &inline, file);
                    return at + 3;
                }
                return at + 2;
            }
            (
                "struct" | "enum" | "union" | "trait" | "type" | "fn" | "const" | "static",
                Some(TokenTree::Ident(name)),
            ) => {
                self.items.insert((module.clone(), name.to_string()));
            }
            _ => {}
        }
        if is_joined_colon(tokens, at.wrapping_sub(2))
            || at > 0 && is_punct(Some(&tokens[at - 1]), '.')
        {
            return at + 1;
        }
        let mut path = vec![word.to_owned()];
        let mut end = at + 1;
        while is_joined_colon(tokens, end) {
            let Some(TokenTree::Ident(segment)) = tokens.get(end + 2) else {
                break;
            };
            path.push(segment.to_string());
            end += 3;
        }
        self.used_names.insert((module.clone(), word.to_owned()));
        if path.len() > 1 {
            self.imports.push(Import {
                module: module.clone(),
                path,
            });
        }
        end
    }

    fn read_use(&mut self, tokens: &[TokenTree], prefix: &[String], module: &Module, public: bool) {
        for tree in tokens.split(|token| is_punct(Some(token), ',')) {
            let mut path = prefix.to_vec();
            let mut name = None;
            let mut at = 0;
            while at < tree.len() {
                match &tree[at] {
                    TokenTree::Ident(word) if word == "as" => {
                        name = tree.get(at + 1).map(ToString::to_string);
                        break;
                    }
                    TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
                    TokenTree::Ident(word) => path.push(word.to_string()),
                    TokenTree::Group(group) => {
                        let trees: Vec<_> = group.stream().into_iter().collect();
                        self.read_use(&trees, &path, module, public);
                        path.clear();
                    }
                    TokenTree::Punct(star) if star.as_char() == '*' => name = Some("*".to_owned()),
                    _ => {}
                }
                at += 1;
            }
            let Some(last) = path.last() else { continue };
            let name = name.unwrap_or_else(|| last.clone());
            let import = Import {
                module: module.clone(),
                path,
            };
            if name == "*" {
                self.globs
                    .entry(module.clone())
                    .or_default()
                    .push(import.clone());
            } else {
                let key = (module.clone(), name.clone());
                self.imported_names
                    .entry(key)
                    .or_insert_with(|| import.clone());
            }
            if public {
                self.re_exports.push((name, import));
            } else {
                self.imports.push(import);
            }
        }
    }

    /// Returns the file that defines what `import` names; `None` for other crates.
    fn file_of(&self, import: &Import, depth: usize) -> Option<&str> {
        let mut module = import.module.clone();
        let mut path = import.path.as_slice();
        let first = &path[0];
        if !is_relative(first) && !self.modules.contains_key(&child(&module, first)) {
            return None;
        }
        while path.first().is_some_and(|name| is_relative(name)) {
            match &*path[0] {
                "crate" => module.clear(),
                "super" => drop(module.pop()),
                _ => {}
            }
            path = &path[1..];
        }
        while let Some((name, rest)) = path.split_first() {
            let inner = child(&module, name);
            if !self.modules.contains_key(&inner) {
                if let Some(file) = self.file_of_re_export(&module, name, rest, depth) {
                    return Some(file);
                }
                break;
            }
            module = inner;
            path = rest;
        }
        self.modules.get(&module).map(String::as_str)
    }

    /// Follows `module::name::rest` where `module` only imports `name`.
    fn file_of_re_export(
        &self,
        module: &Module,
        name: &str,
        rest: &[String],
        depth: usize,
    ) -> Option<&str> {
        let key = (module.clone(), name.to_owned());
        // No chain of re-exports is that long; a glob of the own parent has no end.
        if depth == 8 || self.items.contains(&key) {
            return None;
        }
        let follow = |import: &Import, rest: Vec<String>| {
            let module = import.module.clone();
            let path = [import.path.clone(), rest].concat();
            self.file_of(&Import { module, path }, depth + 1)
        };
        if let Some(import) = self.imported_names.get(&key) {
            return follow(import, rest.to_vec());
        }
        let path = [&[name.to_owned()], rest].concat();
        let mut globs = self.globs.get(module).into_iter().flatten();
        globs.find_map(|import| follow(import, path.clone()))
    }

    pub(crate) fn graph(&self) -> Graph<'_> {
        let used = |(name, import): &&(String, Import)| {
            self.used_names
                .contains(&(import.module.clone(), name.clone()))
        };
        let re_exports = self
            .re_exports
            .iter()
            .filter(used)
            .map(|(_, import)| import);
        let mut graph = Graph::new();
        for import in self.imports.iter().chain(re_exports) {
            let from = &*self.modules[&import.module];
            if let Some(to) = self.file_of(import, 0).filter(|to| *to != from) {
                let edges = graph.entry(from).or_default();
                edges.entry(to).or_insert_with(|| import.path.join("::"));
            }
        }
        graph
    }
}

fn child(module: &[String], name: &str) -> Module {
    [module, &[name.to_owned()]].concat()
}

fn is_relative(name: &str) -> bool {
    matches!(name, "crate" | "self" | "super")
}

fn is_punct(token: Option<&TokenTree>, letter: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == letter)
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

/// Whether `::` begins at this index.
fn is_joined_colon(tokens: &[TokenTree], at: usize) -> bool {
    let joint = matches!(
        tokens.get(at),
        Some(TokenTree::Punct(colon)) if colon.as_char() == ':' && colon.spacing() == Spacing::Joint
    );
    joint && is_punct(tokens.get(at + 1), ':')
}
