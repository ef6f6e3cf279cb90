//! What a handler's function takes and returns, compared with its contract when it is loaded.
//!
//! The bindings look at it when they make an instance, which would be each message's failure.

use std::fmt::Write;

use wasmtime::Engine;
use wasmtime::component::InstancePre;
use wasmtime::component::types::{ComponentFunc, ComponentItem, Type};

use crate::names::{HANDLER, WASMCLOUD};
use crate::shorten::shorten;
use crate::state::GuestState;

/// What `handle` of `wit/handler.wit` takes and returns.
const HANDLE: &str = "(record{id:string,queue:string,body:list<u8>,dequeue-count:u32,inserted:u64,deadline:u64,properties:list<tuple<string,string>>})->result<_,variant{retry(record{reason:string,after-ms:option<u64>}),reject(string)}>";

/// The same of `wit/wasmcloud/messaging.wit`.
const HANDLE_MESSAGE: &str =
    "(record{subject:string,body:list<u8>,reply-to:option<string>})->result<_,string>";

/// How much of another type is written down, in bytes: it may be endless.
const LONGEST: usize = 400;

/// What is wrong with the function that a handler exports, in words; `None` if it fits.
pub(crate) fn misfit(
    engine: &Engine,
    linked: &InstancePre<GuestState>,
    exports: &[String],
) -> Option<String> {
    let (interface, function, expected) = if exports.iter().any(|name| name == HANDLER) {
        (HANDLER, "handle", HANDLE)
    } else {
        (WASMCLOUD, "handle-message", HANDLE_MESSAGE)
    };
    let component = linked.component().component_type();
    let Some(ComponentItem::ComponentInstance(instance)) =
        component.get_export(engine, interface).map(|item| item.ty)
    else {
        return Some(format!("{interface} is no interface"));
    };
    let Some(ComponentItem::ComponentFunc(found)) = instance.get_export(engine, function).map(|item| item.ty)
    else {
        return Some(format!("{interface} has no function {function}"));
    };
    let found = signature(&found);
    (found != expected).then(|| format!("{function} of {interface} is {found}, and not {expected}"))
}

fn signature(function: &ComponentFunc) -> String {
    let mut text = "(".to_owned();
    for (index, (_, parameter)) in function.params().enumerate() {
        text.push_str(if index > 0 { "," } else { "" });
        write_type(&parameter, &mut text);
    }
    text.push_str(")->");
    for result in function.results() {
        write_type(&result, &mut text);
    }
    shorten(text, LONGEST)
}

/// Writes a type in the manner of WIT, and stops where it is long enough to be another.
fn write_type(found: &Type, text: &mut String) {
    if text.len() > LONGEST {
        return;
    }
    let optional = |inner: Option<Type>, text: &mut String| match inner {
        Some(inner) => write_type(&inner, text),
        None => text.push('_'),
    };
    match found {
        Type::String => text.push_str("string"),
        Type::U8 => text.push_str("u8"),
        Type::U32 => text.push_str("u32"),
        Type::U64 => text.push_str("u64"),
        Type::List(list) => {
            text.push_str("list<");
            write_type(&list.ty(), text);
            text.push('>');
        }
        Type::Option(option) => {
            text.push_str("option<");
            write_type(&option.ty(), text);
            text.push('>');
        }
        Type::Result(result) => {
            text.push_str("result<");
            optional(result.ok(), text);
            text.push(',');
            optional(result.err(), text);
            text.push('>');
        }
        Type::Tuple(tuple) => {
            text.push_str("tuple<");
            for (index, inner) in tuple.types().enumerate().take(LONGEST) {
                text.push_str(if index > 0 { "," } else { "" });
                write_type(&inner, text);
            }
            text.push('>');
        }
        Type::Record(record) => {
            text.push_str("record{");
            for (index, field) in record.fields().enumerate().take(LONGEST) {
                // Nothing can fail to be written to a string.
                let _ = write!(text, "{}{}:", if index > 0 { "," } else { "" }, field.name);
                write_type(&field.ty, text);
            }
            text.push('}');
        }
        Type::Variant(variant) => {
            text.push_str("variant{");
            for (index, case) in variant.cases().enumerate().take(LONGEST) {
                let _ = write!(text, "{}{}", if index > 0 { "," } else { "" }, case.name);
                if let Some(inner) = case.ty {
                    text.push('(');
                    write_type(&inner, text);
                    text.push(')');
                }
            }
            text.push('}');
        }
        other => text.push_str(name(other)),
    }
}

/// What else there is, none of which a handler takes or returns.
fn name(found: &Type) -> &'static str {
    match found {
        Type::Bool => "bool",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::U16 => "u16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::Float32 => "f32",
        Type::Float64 => "f64",
        Type::Char => "char",
        Type::Enum(_) => "enum",
        Type::Flags(_) => "flags",
        _ => "another type",
    }
}
