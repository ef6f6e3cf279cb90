//! How deep the types of components and instances are in one another.
//!
//! Every reader of types calls itself for each level, and three bytes make one. The types are
//! therefore walked here first, and no deeper than they may be
//! ([binary format](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md),
//! `componenttype` and `instancetype`).

use wasmparser::{
    BinaryReader, ComponentAlias, ComponentExternName, ComponentImport, ComponentType, ComponentTypeRef,
    CoreType,
};

use crate::error::{LoadError, damaged, too_big};

/// Types of components and instances in one another. Toolchains make three.
const MAX_TYPE_DEPTH: usize = 20;

/// What the type of a component, and of an instance, begins with.
const COMPONENT: u8 = 0x41;
const INSTANCE: u8 = 0x42;

/// Walks a section of types.
pub(super) fn check(section: &[u8], offset: usize) -> Result<(), LoadError> {
    let mut reader = BinaryReader::new(section, offset);
    let count = reader.read_var_u32().map_err(damaged)?;
    for _ in 0..count {
        read_type(&mut reader, 0)?;
    }
    Ok(())
}

fn read_type(reader: &mut BinaryReader<'_>, depth: usize) -> Result<(), LoadError> {
    if depth > MAX_TYPE_DEPTH {
        return Err(too_big(format!("its types are more than {MAX_TYPE_DEPTH} deep in one another")));
    }
    let mut ahead = reader.clone();
    if !matches!(ahead.read_u8().map_err(damaged)?, COMPONENT | INSTANCE) {
        reader.read::<ComponentType<'_>>().map_err(damaged)?;
        return Ok(());
    }
    *reader = ahead;
    let declarations = reader.read_var_u32().map_err(damaged)?;
    for _ in 0..declarations {
        declaration(reader, depth)?;
    }
    Ok(())
}

fn declaration(reader: &mut BinaryReader<'_>, depth: usize) -> Result<(), LoadError> {
    let read = match reader.read_u8().map_err(damaged)? {
        0x00 => reader.read::<CoreType<'_>>().map(|_| ()),
        0x01 => return read_type(reader, depth + 1),
        0x02 => reader.read::<ComponentAlias<'_>>().map(|_| ()),
        0x03 => reader.read::<ComponentImport<'_>>().map(|_| ()),
        0x04 => {
            let name = reader.read::<ComponentExternName<'_>>();
            name.and_then(|_| reader.read::<ComponentTypeRef>().map(|_| ()))
        }
        other => {
            let cause = format!("{other:#x} begins no declaration of a type");
            return Err(LoadError::Damaged { cause });
        }
    };
    read.map_err(damaged)
}
