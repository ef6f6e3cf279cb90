//! What a component would make of the host, counted before anything else looks at it.
//!
//! A compiler takes what it is given. A component of two kilobytes can hold components that
//! instantiate each other 2^24 times, or be so deep that reading it ends the process. Each part of
//! a component is therefore counted here, in one pass over its bytes that keeps next to nothing.
//! What is above a limit is refused by the limit's name. The limits are several times what the
//! largest handlers need: those with an interpreter of Python or JavaScript in them.

mod branches;
mod nesting;
mod space;

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef,
    CompositeInnerType, FunctionBody, Instance, Parser, Payload,
};

use self::space::{Cost, Frame};
use crate::error::{LoadError, damaged, too_big};
use crate::limits::{self, Limits};

/// The largest component, in bytes. Python's interpreter takes 19 MB.
pub const MAX_COMPONENT: usize = 128 << 20;

/// Components in one another. Toolchains make three or four levels.
const MAX_DEPTH: usize = 32;

/// Core modules and components that are defined, whether or not they are used.
const MAX_DEFINITIONS: u64 = 1000;

/// Instances, functions, aliases, imports and exports of the whole component, those of a component
/// that is instantiated several times as often.
const MAX_ITEMS: u64 = 100_000;

/// Sections of types, in bytes. Python's has 11 kB.
const MAX_TYPES: u64 = 1 << 20;

/// Functions with code. Python's interpreter has 13,400. Each takes the compiler 7 kB, however
/// small it is.
const MAX_FUNCTIONS: u64 = 60_000;

/// Code of all functions, in bytes. JavaScript's engine has 9.2 MB.
const MAX_CODE: u64 = 32 << 20;

/// Code of one function, in bytes. Python's longest has 427 kB. The compiler takes 180 times as
/// much while it is at it, and is at one for each processor.
const MAX_FUNCTION: u64 = 1 << 20;

/// Types, imports, exports, globals, elements and data segments of core modules. Python's has
/// 10,200.
const MAX_CORE_ITEMS: u64 = 200_000;

/// Locals of one function. Python's has 271 at the most; compilers without optimisation make some
/// thousands.
const MAX_LOCALS: u64 = 10_000;

/// Values that the branches of one function carry. The compiler takes two kilobytes for each.
const MAX_VALUES_IN_BRANCHES: u64 = 50_000;

/// A function's locals times its bytes: to give each a register takes time in proportion.
/// JavaScript's engine has 9 million at the most, and 130 million in all.
const MAX_LOCALS_TIMES_BYTES: u64 = 100_000_000;
const MAX_LOCALS_TIMES_BYTES_IN_ALL: u64 = 2_000_000_000;

/// Refuses a component that would cost the host more than any handler does. Without `limits` it may
/// start with any memory and tables, since nothing will run it.
///
/// # Errors
/// [`LoadError::TooBig`] with the limit, and [`LoadError::Damaged`] where its structure cannot be
/// read. What is right by its structure may be wrong in any other way.
pub(crate) fn check(bytes: &[u8], limits: Option<&Limits>) -> Result<(), LoadError> {
    at_most("bytes", bytes.len() as u64, MAX_COMPONENT as u64)?;
    let memory = limits.map_or(u64::MAX, |limits| limits.memory as u64);
    let table_elements = limits.map_or(u64::MAX, |limits| limits.table_elements as u64);
    let mut census = Census { bytes, memory, table_elements, open: Vec::new(), total: Totals::default() };
    for payload in Parser::new(0).parse_all(bytes) {
        census.add(payload.map_err(damaged)?)?;
    }
    Ok(())
}

/// What is counted once, wherever it stands.
#[derive(Default)]
struct Totals {
    definitions: u64,
    types: u64,
    functions: u64,
    code: u64,
    locals_times_bytes: u64,
    core_items: u64,
}

struct Census<'a> {
    bytes: &'a [u8],
    /// Bytes that its memories may start with.
    memory: u64,
    /// Elements that each of its tables may start with.
    table_elements: u64,
    /// The component that is being read, and those around it; a core module as well.
    open: Vec<Frame>,
    total: Totals,
}

impl Census<'_> {
    fn add(&mut self, payload: Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::Version { .. } if self.open.is_empty() => self.open.push(Frame::component()),
            Payload::ModuleSection { .. } => self.define(Frame::module())?,
            Payload::ComponentSection { .. } => {
                at_most("components in one another", self.open.len() as u64 + 1, MAX_DEPTH as u64)?;
                self.define(Frame::component())?;
            }
            Payload::End(_) => self.end(),

            Payload::ComponentTypeSection(section) => {
                self.types(section.range().len())?;
                nesting::check(&self.bytes[section.range()], section.range().start)?;
            }
            Payload::CoreTypeSection(section) => self.types(section.range().len())?,
            Payload::TypeSection(section) => {
                self.types(section.range().len())?;
                self.core_items(section.count())?;
                for group in section {
                    for each in group.map_err(damaged)?.types() {
                        let (parameters, results) = match &each.composite_type.inner {
                            CompositeInnerType::Func(function) => {
                                (function.params().len(), function.results().len())
                            }
                            _ => (0, 0),
                        };
                        self.frame().arities.add(parameters, results);
                    }
                }
            }

            Payload::InstanceSection(section) => {
                for instance in section {
                    match instance.map_err(damaged)? {
                        Instance::Instantiate { module_index, args } => {
                            let module = self.frame().module_at(module_index);
                            self.spend(module.and(Cost { instances: 1, ..Cost::items(args.len()) }))?;
                        }
                        Instance::FromExports(exports) => self.spend(Cost::items(1 + exports.len()))?,
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    match instance.map_err(damaged)? {
                        ComponentInstance::Instantiate { component_index, args } => {
                            let component = self.frame().component_at(component_index);
                            let component = component.ok_or_else(|| {
                                too_big(
                                    "it instantiates a component that it imports, which has no size".into(),
                                )
                            })?;
                            self.spend(component.and(Cost::items(1 + args.len())))?;
                        }
                        ComponentInstance::FromExports(exports) => {
                            self.spend(Cost::items(1 + exports.len()))?;
                        }
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    let alias = alias.map_err(damaged)?;
                    self.alias(&alias);
                    self.spend(Cost::items(1))?;
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    match import.map_err(damaged)?.ty {
                        ComponentTypeRef::Component(_) => self.frame().components.push(None),
                        ComponentTypeRef::Module(_) => self.frame().modules.push(Cost::default()),
                        _ => {}
                    }
                    self.spend(Cost::items(1))?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export.map_err(damaged)?;
                    // An export is a definition as well, with an index of its own.
                    let frame = self.frame();
                    match export.kind {
                        ComponentExternalKind::Component => {
                            let component = frame.component_at(export.index);
                            frame.components.push(component);
                        }
                        ComponentExternalKind::Module => {
                            let module = frame.module_at(export.index);
                            frame.modules.push(module);
                        }
                        _ => {}
                    }
                    self.spend(Cost::items(1))?;
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    function.map_err(damaged)?;
                    self.spend(Cost::items(1))?;
                }
            }

            Payload::ImportSection(section) => self.core_items(section.count())?,
            Payload::ExportSection(section) => self.core_items(section.count())?,
            Payload::GlobalSection(section) => self.core_items(section.count())?,
            Payload::TagSection(section) => self.core_items(section.count())?,
            Payload::ElementSection(section) => self.core_items(section.count())?,
            Payload::DataSection(section) => self.core_items(section.count())?,
            Payload::FunctionSection(section) => {
                self.total.functions += u64::from(section.count());
                at_most("functions", self.total.functions, MAX_FUNCTIONS)?;
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory.map_err(damaged)?;
                    let page = 1_u64 << memory.page_size_log2.unwrap_or(16).min(16);
                    let memory = memory.initial.saturating_mul(page);
                    self.frame().own.memories += 1;
                    self.frame().own.memory = self.frame().own.memory.saturating_add(memory);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    let table = table.map_err(damaged)?;
                    let elements = table.ty.initial;
                    let limit = self.table_elements;
                    if elements > limit {
                        return Err(too_big(format!(
                            "it has a table of {elements} elements, and {limit} fit"
                        )));
                    }
                    self.frame().own.tables += 1;
                }
            }
            Payload::CodeSectionEntry(body) => self.function(&body)?,
            _ => {}
        }
        Ok(())
    }

    /// The component or module that is being read. There is one: the first payload opens it.
    fn frame(&mut self) -> &mut Frame {
        if self.open.is_empty() {
            self.open.push(Frame::component());
        }
        let last = self.open.len() - 1;
        &mut self.open[last]
    }

    fn define(&mut self, frame: Frame) -> Result<(), LoadError> {
        self.total.definitions += 1;
        at_most("modules and components", self.total.definitions, MAX_DEFINITIONS)?;
        self.open.push(frame);
        Ok(())
    }

    /// A component or module ends. It becomes one that the component around it can instantiate.
    fn end(&mut self) {
        if let Some(ended) = self.open.pop()
            && let Some(around) = self.open.last_mut()
        {
            if ended.is_module {
                around.modules.push(ended.own);
            } else {
                around.components.push(Some(ended.own));
            }
        }
    }

    /// Counts what is instantiated in the component that is being read.
    fn spend(&mut self, cost: Cost) -> Result<(), LoadError> {
        let may = self.memory;
        let own = &mut self.frame().own;
        *own = own.and(cost);
        let Cost { items, instances, memories, memory, tables } = *own;
        at_most("instances, functions, aliases, imports and exports", items, MAX_ITEMS)?;
        at_most("instances of core modules", instances, limits::CORE_INSTANCES.into())?;
        at_most("memories", memories, limits::MEMORIES.into())?;
        at_most("tables", tables, limits::TABLES.into())?;
        if memory > may {
            return Err(too_big(format!("it starts with {memory} bytes of memory and may have {may}")));
        }
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        match *alias {
            // What an instance exports is one of those that were defined somewhere before.
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                let largest = self
                    .open
                    .iter()
                    .flat_map(|frame| &frame.components)
                    .copied()
                    .try_fold(Cost::default(), |largest, next| Some(largest.at_least(next?)));
                self.frame().components.push(largest);
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. } => {
                let all = self.open.iter().flat_map(|frame| &frame.modules);
                let largest = all.fold(Cost::default(), |largest, next| largest.at_least(*next));
                self.frame().modules.push(largest);
            }
            ComponentAlias::Outer { kind, count, index } => {
                let outer = self.open.len().checked_sub(1 + count as usize);
                let outer = outer.and_then(|place| self.open.get(place));
                match kind {
                    ComponentOuterAliasKind::Component => {
                        let component = outer.and_then(|frame| frame.component_at(index));
                        self.frame().components.push(component);
                    }
                    ComponentOuterAliasKind::CoreModule => {
                        let module = outer.map(|frame| frame.module_at(index)).unwrap_or_default();
                        self.frame().modules.push(module);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn types(&mut self, bytes: usize) -> Result<(), LoadError> {
        self.total.types += bytes as u64;
        at_most("bytes of types", self.total.types, MAX_TYPES)
    }

    fn core_items(&mut self, count: u32) -> Result<(), LoadError> {
        self.total.core_items += u64::from(count);
        at_most(
            "types, imports, exports, globals and segments of core modules",
            self.total.core_items,
            MAX_CORE_ITEMS,
        )
    }

    fn function(&mut self, body: &FunctionBody<'_>) -> Result<(), LoadError> {
        let bytes = body.range().len() as u64;
        self.total.code += bytes;
        at_most("bytes of code", self.total.code, MAX_CODE)?;
        at_most("bytes of code in one function", bytes, MAX_FUNCTION)?;
        let mut locals = 0_u64;
        for group in body.get_locals_reader().map_err(damaged)? {
            locals += u64::from(group.map_err(damaged)?.0);
        }
        at_most("local variables in one function", locals, MAX_LOCALS)?;
        let carried = branches::values(body, &self.frame().arities)?;
        at_most("values carried by the branches of one function", carried, MAX_VALUES_IN_BRANCHES)?;
        let product = locals.saturating_mul(bytes);
        self.total.locals_times_bytes = self.total.locals_times_bytes.saturating_add(product);
        if product > MAX_LOCALS_TIMES_BYTES || self.total.locals_times_bytes > MAX_LOCALS_TIMES_BYTES_IN_ALL {
            return Err(too_big(format!("it has a function of {bytes} bytes with {locals} local variables")));
        }
        Ok(())
    }
}

fn at_most(what: &str, count: u64, limit: u64) -> Result<(), LoadError> {
    if count <= limit {
        return Ok(());
    }
    // A product of many counts ends at this number.
    let count = if count == u64::MAX { "endless".to_owned() } else { count.to_string() };
    Err(too_big(format!("it has {count} {what}, and {limit} fit")))
}

#[cfg(test)]
mod tests;
