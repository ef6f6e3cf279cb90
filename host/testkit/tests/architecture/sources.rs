//! A crate's modules, what each defines and brings by name, and every path that stands in them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use proc_macro2::Ident;
use quote::ToTokens as _;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{ImplItem, Item, Meta, Type, Visibility};

use crate::syntax::{Imported, attributes, imported, is_for_tests, paths_in};

/// The place of a module in [`Sources::modules`].
pub type ModuleId = usize;
/// The place of a file in [`Sources::files`].
pub type FileId = usize;

/// A module, in a file of its own or in braces.
pub struct Module {
    pub file: FileId,
    pub parent: Option<ModuleId>,
    /// More than one where a module and a function, say, have one name.
    pub names: HashMap<String, Vec<Named>>,
    /// The paths before `::*`.
    pub globs: Vec<Vec<String>>,
    /// Whether a macro defines items here, whose names nobody can read.
    pub has_unreadable_items: bool,
}

/// What a name stands for.
pub enum Named {
    Module(ModuleId),
    Item,
    /// What a `use` brings.
    Import(Vec<String>),
}

/// A path that stands in a module, and the line.
pub struct Mention {
    pub module: ModuleId,
    pub path: Vec<String>,
    pub line: usize,
}

/// An item of an `impl` without a trait: `Worker::run`.
pub struct Associated {
    pub module: ModuleId,
    pub of: Vec<String>,
    pub name: String,
}

/// Who may name a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `pub` or `pub(crate)`.
    Crate,
    /// Less.
    Module,
}

/// A struct, enum, union, trait or type alias.
pub struct TypeName {
    pub name: String,
    pub scope: Scope,
    pub file: FileId,
    pub line: usize,
}

/// What the files of one target say: a library, a program or a bench.
#[derive(Default)]
pub struct Sources {
    pub files: Vec<PathBuf>,
    pub modules: Vec<Module>,
    pub mentions: Vec<Mention>,
    pub associated: Vec<Associated>,
    pub types: Vec<TypeName>,
    pub imports: Vec<Import>,
    /// Whether what exists only in tests is read, too.
    with_tests: bool,
}

/// A name that a `use` brings, handed on or not.
pub struct Import {
    pub module: ModuleId,
    pub path: Vec<String>,
    /// What it is called from there on; `None` for all that the path holds.
    pub name: Option<String>,
    pub line: usize,
}

/// The text of a file; `None` where there is none.
pub type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// A file on the disk.
pub fn on_disk(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

impl Sources {
    /// Reads a target from its first file on. Modules and items that exist only in tests are left
    /// out.
    pub fn of(root: &Path, read: Read<'_>) -> Self {
        Self::default().read_from(root, read)
    }

    /// Reads a target that is a test.
    pub fn of_test(root: &Path, read: Read<'_>) -> Self {
        Self { with_tests: true, ..Self::default() }.read_from(root, read)
    }

    fn read_from(self, root: &Path, read: Read<'_>) -> Self {
        let mut sources = self;
        let directory = root.parent().unwrap().to_owned();
        sources.add_file(root, directory, None, read);
        sources
    }

    /// Adds a file; modules that it declares are looked for in `directory`.
    fn add_file(
        &mut self,
        path: &Path,
        directory: PathBuf,
        parent: Option<ModuleId>,
        read: Read<'_>,
    ) -> ModuleId {
        let text = read(path).unwrap_or_else(|| panic!("{} cannot be read", path.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = self.files.len();
        self.files.push(path.to_owned());
        let module = self.add_module(file, parent);
        let mut collector =
            Collector { sources: self, read, file, module, directory, blocks: 0, own: Vec::new() };
        parsed.items.iter().for_each(|item| collector.visit_item(item));
        module
    }

    fn add_module(&mut self, file: FileId, parent: Option<ModuleId>) -> ModuleId {
        let (names, globs) = (HashMap::new(), Vec::new());
        self.modules.push(Module { file, parent, names, globs, has_unreadable_items: false });
        self.modules.len() - 1
    }
}

struct Collector<'a> {
    sources: &'a mut Sources,
    read: Read<'a>,
    file: FileId,
    module: ModuleId,
    directory: PathBuf,
    /// In how many bodies of functions this is.
    blocks: usize,
    /// What `Self` stands for; empty where it is no path.
    own: Vec<String>,
}

impl Collector<'_> {
    fn name(&mut self, name: &str, named: Named) {
        self.sources.modules[self.module].names.entry(name.to_owned()).or_default().push(named);
    }

    fn mention(&mut self, mut path: Vec<String>, line: usize) {
        if path.first().is_some_and(|first| first == "Self") && !self.own.is_empty() {
            path.splice(..1, self.own.iter().cloned());
        }
        self.sources.mentions.push(Mention { module: self.module, path, line });
    }

    fn define(&mut self, name: &Ident) {
        // An item inside a function is known in there alone.
        if self.blocks == 0 {
            self.name(&name.to_string(), Named::Item);
        }
    }

    fn define_type(&mut self, name: &Ident, visibility: &Visibility) {
        self.define(name);
        let scope = match visibility {
            Visibility::Public(_) => Scope::Crate,
            Visibility::Restricted(it) if it.path.is_ident("crate") => Scope::Crate,
            // Directly under the root `super` is the crate.
            Visibility::Restricted(it)
                if it.path.is_ident("super") && self.sources.modules[self.module].parent == Some(0) =>
            {
                Scope::Crate
            }
            _ => Scope::Module,
        };
        let (file, line) = (self.file, name.span().start().line);
        self.sources.types.push(TypeName { name: name.to_string(), scope, file, line });
    }

    fn declare(&mut self, item: &syn::ItemMod) {
        let name = item.ident.to_string();
        let module = if let Some((_, items)) = &item.content {
            let module = self.sources.add_module(self.file, Some(self.module));
            let outer = (std::mem::replace(&mut self.module, module), self.directory.clone());
            self.directory.push(&name);
            items.iter().for_each(|item| self.visit_item(item));
            (self.module, self.directory) = outer;
            module
        } else {
            let (path, directory) = self.file_of(item, &name);
            self.sources.add_file(&path, directory, Some(self.module), self.read)
        };
        self.name(&name, Named::Module(module));
    }

    /// The file of `mod name;`, and where its own modules are.
    fn file_of(&self, item: &syn::ItemMod, name: &str) -> (PathBuf, PathBuf) {
        for attribute in &item.attrs {
            if let Meta::NameValue(it) = &attribute.meta
                && it.path.is_ident("path")
                && let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) = &it.value
            {
                let path = self.sources.files[self.file].parent().unwrap().join(path.value());
                let directory = path.parent().unwrap().to_owned();
                return (path, directory);
            }
        }
        let directory = self.directory.join(name);
        let beside = self.directory.join(format!("{name}.rs"));
        let path = if (self.read)(&beside).is_some() { beside } else { directory.join("mod.rs") };
        (path, directory)
    }

    fn import(&mut self, item: &syn::ItemUse) {
        if item.leading_colon.is_some() {
            return;
        }
        let mut names = Vec::new();
        imported(&item.tree, &[], &mut names);
        // Handing a name on to other crates is no use of it.
        let handed_on = self.blocks == 0 && matches!(item.vis, Visibility::Public(_));
        for Imported { path, name, line } in names {
            let import = Import { module: self.module, path: path.clone(), name: name.clone(), line };
            self.sources.imports.push(import);
            match name {
                None => self.sources.modules[self.module].globs.push(path),
                Some(name) => {
                    if !handed_on {
                        self.mention(path.clone(), line);
                    }
                    self.name(&name, Named::Import(path));
                }
            }
        }
    }

    fn associate(&mut self, item: &syn::ItemImpl) {
        let of = own_type(item);
        if of.is_empty() {
            return;
        }
        for inner in &item.items {
            let name = match inner {
                ImplItem::Fn(it) if !self.leaves_out(&it.attrs) => it.sig.ident.to_string(),
                ImplItem::Const(it) => it.ident.to_string(),
                ImplItem::Type(it) => it.ident.to_string(),
                _ => continue,
            };
            self.sources.associated.push(Associated { module: self.module, of: of.clone(), name });
        }
    }

    fn leaves_out(&self, attributes: &[syn::Attribute]) -> bool {
        !self.sources.with_tests && is_for_tests(attributes)
    }
}

/// What `Self` stands for in an `impl`; empty where it is no path, as for `&A`.
fn own_type(item: &syn::ItemImpl) -> Vec<String> {
    match &*item.self_ty {
        Type::Path(of) if of.qself.is_none() && of.path.leading_colon.is_none() => words(&of.path),
        _ => Vec::new(),
    }
}

fn words(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if self.leaves_out(attributes(item)) {
            return;
        }
        let own = match item {
            Item::Impl(it) => own_type(it),
            Item::Trait(it) => vec![it.ident.to_string()],
            _ => self.own.clone(),
        };
        let outer = std::mem::replace(&mut self.own, own);
        match item {
            Item::Mod(it) => self.declare(it),
            Item::Use(it) => self.import(it),
            Item::Impl(it) => self.associate(it),
            Item::Struct(it) => self.define_type(&it.ident, &it.vis),
            Item::Enum(it) => self.define_type(&it.ident, &it.vis),
            Item::Union(it) => self.define_type(&it.ident, &it.vis),
            Item::Trait(it) => self.define_type(&it.ident, &it.vis),
            Item::Type(it) => self.define_type(&it.ident, &it.vis),
            Item::Fn(it) => self.define(&it.sig.ident),
            Item::Const(it) => self.define(&it.ident),
            Item::Static(it) => self.define(&it.ident),
            Item::Macro(it) => match &it.ident {
                Some(name) => self.define(name),
                None => self.sources.modules[self.module].has_unreadable_items = true,
            },
            _ => {}
        }
        if !matches!(item, Item::Mod(_) | Item::Use(_)) {
            visit::visit_item(self, item);
        }
        self.own = outer;
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !matches!(item, ImplItem::Fn(it) if self.leaves_out(&it.attrs)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        self.blocks += 1;
        visit::visit_block(self, block);
        self.blocks -= 1;
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.mention(words(path), path.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, it: &'ast syn::Macro) {
        let paths = paths_in(it.tokens.clone());
        paths.into_iter().for_each(|(path, line)| self.mention(path, line));
        visit::visit_macro(self, it);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("doc") {
            return;
        }
        if let Meta::List(list) = &attribute.meta {
            paths_in(list.tokens.clone()).into_iter().for_each(|(path, line)| self.mention(path, line));
            // A path in quotation marks, as serde takes it.
            let line = attribute.span().start().line;
            for token in list.to_token_stream().into_iter().flat_map(quoted) {
                if let Ok(path) = syn::parse_str::<syn::Path>(&token) {
                    self.mention(words(&path), line);
                }
            }
        }
    }
}

/// The strings in what an attribute is given.
fn quoted(token: proc_macro2::TokenTree) -> Vec<String> {
    match token {
        proc_macro2::TokenTree::Group(group) => group.stream().into_iter().flat_map(quoted).collect(),
        proc_macro2::TokenTree::Literal(it) => match syn::Lit::new(it) {
            syn::Lit::Str(text) => vec![text.value()],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}
