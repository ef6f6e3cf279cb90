//! Small questions about syntax.

use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Item, Meta, UseTree};

/// Whether it exists only in tests.
pub fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            condition == "test" || condition.starts_with("all (test") || condition.starts_with("all(test")
        }
        _ => false,
    })
}

/// What stands in square brackets before an item.
pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::ExternCrate(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::ForeignMod(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::TraitAlias(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Union(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}

/// One name that a `use` brings.
pub struct Imported {
    pub path: Vec<String>,
    /// `None` for `*`.
    pub name: Option<String>,
    pub line: usize,
}

/// The names that a `use` brings, one by one.
pub fn imported(tree: &UseTree, before: &[String], found: &mut Vec<Imported>) {
    let with = |name: &syn::Ident| {
        let mut path = before.to_vec();
        // `use a::{self}` names a.
        if name != "self" || path.is_empty() {
            path.push(name.to_string());
        }
        path
    };
    match tree {
        UseTree::Path(it) => imported(&it.tree, &with(&it.ident), found),
        UseTree::Name(it) => {
            let path = with(&it.ident);
            found.push(Imported { name: path.last().cloned(), path, line: it.ident.span().start().line });
        }
        UseTree::Rename(it) => {
            let line = it.ident.span().start().line;
            found.push(Imported { name: Some(it.rename.to_string()), path: with(&it.ident), line });
        }
        UseTree::Glob(it) => {
            let line = it.star_token.spans[0].start().line;
            found.push(Imported { name: None, path: before.to_vec(), line });
        }
        UseTree::Group(it) => it.items.iter().for_each(|tree| imported(tree, before, found)),
    }
}

/// The paths in what a macro is given, which is no syntax yet: `a::b::C`, and a single word if it
/// begins with a capital.
pub fn paths_in(tokens: TokenStream) -> Vec<(Vec<String>, usize)> {
    let mut found = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let (mut line, mut colons, mut dot) = (0, 0, false);
    let finish = |path: &mut Vec<String>, line: usize, found: &mut Vec<(Vec<String>, usize)>| {
        let path = std::mem::take(path);
        let named = path.first().is_some_and(|first| first.starts_with(char::is_uppercase));
        if path.len() > 1 || named {
            found.push((path, line));
        }
    };
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                if colons != 2 || path.is_empty() {
                    finish(&mut path, line, &mut found);
                    line = ident.span().start().line;
                }
                // A field or a method; the name after `::` of a path that is not here, as in
                // `<T>::name`.
                if !dot && (colons != 2 || !path.is_empty()) {
                    path.push(ident.to_string());
                }
                (colons, dot) = (0, false);
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            // `$crate::a` is a path like `crate::a`.
            TokenTree::Punct(punct) => {
                finish(&mut path, line, &mut found);
                (colons, dot) = (0, punct.as_char() == '.' || punct.as_char() == '\'');
            }
            TokenTree::Group(group) => {
                finish(&mut path, line, &mut found);
                found.extend(paths_in(group.stream()));
                (colons, dot) = (0, false);
            }
            TokenTree::Literal(_) => {
                finish(&mut path, line, &mut found);
                (colons, dot) = (0, false);
            }
        }
    }
    finish(&mut path, line, &mut found);
    found
}
