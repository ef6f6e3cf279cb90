//! Which file defines what a path names.

use std::collections::{HashMap, HashSet};

use crate::sources::{FileId, ModuleId, Named, Sources};

/// An item: the module that defines it, and its name there.
type ItemName = (ModuleId, String);

/// What a path leads to.
enum Found {
    Module(ModuleId),
    Item(ItemName),
}

/// Answers for one target.
pub struct Resolver<'a> {
    sources: &'a Sources,
    /// The modules whose `impl` blocks define an associated item. There may be several, for other
    /// parameters.
    associated: HashMap<(ItemName, &'a str), Vec<ModuleId>>,
}

impl<'a> Resolver<'a> {
    pub fn new(sources: &'a Sources) -> Self {
        let mut resolver = Self { sources, associated: HashMap::new() };
        for it in &sources.associated {
            if let Some((item, _)) = resolver.item(it.module, &it.of) {
                resolver.associated.entry((item, it.name.as_str())).or_default().push(it.module);
            }
        }
        resolver
    }

    /// What a path names in a module, each with the file that defines it: an item, and for
    /// `Type::function` the function as well. Nothing for a module by itself, nor for what another
    /// crate defines.
    pub fn definitions(&self, module: ModuleId, path: &[String]) -> Vec<(FileId, String)> {
        let Some((item, after)) = self.item(module, path) else { return Vec::new() };
        let file = |module: ModuleId| self.sources.modules[module].file;
        let mut found = vec![(file(item.0), item.1.clone())];
        if let Some(after) = after {
            let whole = format!("{}::{after}", item.1);
            let modules = self.associated.get(&(item, after.as_str()));
            found.extend(modules.into_iter().flatten().map(|module| (file(*module), whole.clone())));
        }
        found
    }

    /// What a path may be called outside of this crate, where its first word comes from there:
    /// itself, or what imports make of it. By a glob there may be several.
    pub fn outside(&self, module: ModuleId, path: &[String]) -> Vec<Vec<String>> {
        self.outside_of(module, path, &mut HashSet::new())
    }

    fn outside_of(
        &self,
        module: ModuleId,
        path: &[String],
        seen: &mut HashSet<ItemName>,
    ) -> Vec<Vec<String>> {
        let Some((first, rest)) = path.split_first() else { return Vec::new() };
        let modules = &self.sources.modules;
        match first.as_str() {
            "crate" => return self.outside_of(0, rest, seen),
            "self" => return self.outside_of(module, rest, seen),
            "super" => {
                let parent = modules[module].parent;
                return parent.map(|parent| self.outside_of(parent, rest, seen)).unwrap_or_default();
            }
            _ => {}
        }
        let mut found = vec![path.to_vec()];
        // `use url::Url` beside another `url`, and globs of each other, go round in a circle.
        if !seen.insert((module, first.clone())) {
            return found;
        }
        for named in modules[module].names.get(first).into_iter().flatten() {
            found.extend(match named {
                Named::Module(inner) => self.outside_of(*inner, rest, seen),
                Named::Item => Vec::new(),
                Named::Import(import) => self.outside_of(module, &[import, rest].concat(), seen),
            });
        }
        for glob in &modules[module].globs {
            found.extend(self.outside_of(module, &[glob, path].concat(), seen));
        }
        seen.remove(&(module, first.clone()));
        found
    }

    /// The item that a path names, and the word after it.
    fn item<'p>(&self, module: ModuleId, path: &'p [String]) -> Option<(ItemName, Option<&'p String>)> {
        let (found, used) = self.walk(module, path, &mut HashSet::new())?;
        match found {
            Found::Item(item) => Some((item, path.get(used))),
            Found::Module(_) => None,
        }
    }

    /// Follows a path as far as an item; how many of its words that took.
    fn walk(
        &self,
        module: ModuleId,
        path: &[String],
        seen: &mut HashSet<ItemName>,
    ) -> Option<(Found, usize)> {
        let mut at = module;
        let mut used = 0;
        for word in path {
            match word.as_str() {
                "crate" => at = 0,
                "super" => at = self.sources.modules[at].parent?,
                "self" => {}
                _ => break,
            }
            used += 1;
        }
        // What a macro defines has no name here: where a path says which module it is in, that is
        // enough.
        let explicit = used > 0;
        while let Some(word) = path.get(used) {
            used += 1;
            match self.look_up(at, word, used == path.len(), seen) {
                Some(Found::Module(inner)) => at = inner,
                Some(item) => return Some((item, used)),
                None if (explicit || used > 1) && self.sources.modules[at].has_unreadable_items => {
                    return Some((Found::Item((at, word.clone())), used));
                }
                None => return None,
            }
        }
        Some((Found::Module(at), used))
    }

    /// What a name stands for in a module. At the end of a path an item goes before a module of the
    /// same name, else after it.
    fn look_up(
        &self,
        module: ModuleId,
        name: &str,
        last: bool,
        seen: &mut HashSet<ItemName>,
    ) -> Option<Found> {
        // Imports may go round in a circle, and through two globs.
        if !seen.insert((module, name.to_owned())) {
            return None;
        }
        let here = &self.sources.modules[module];
        let named = here.names.get(name).into_iter().flatten().filter_map(|named| match named {
            Named::Module(inner) => Some(Found::Module(*inner)),
            Named::Item => Some(Found::Item((module, name.to_owned()))),
            // `use url::Url` beside `mod url` is no path of this name's own: the first word stands
            // for another name.
            Named::Import(path) => self.walk(module, path, seen).map(|(found, _)| found),
        });
        let mut named: Vec<Found> = named.collect();
        if named.is_empty() {
            for glob in &here.globs {
                if let Some((Found::Module(of), _)) = self.walk(module, glob, seen) {
                    named.extend(self.look_up(of, name, last, seen));
                }
            }
        }
        seen.remove(&(module, name.to_owned()));
        named.sort_by_key(|found| matches!(found, Found::Module(_)) == last);
        named.into_iter().next()
    }
}
