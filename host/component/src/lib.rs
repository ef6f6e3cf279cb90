//! Where a component comes from, and the handler made of it, which may be unavailable.

mod fetched;
mod load;
mod loaded;
pub mod registry;
mod source;

pub use self::fetched::Fetched;
pub use self::load::NotLoaded;
pub use self::loaded::LoadedComponent;
pub use self::source::{FetchError, Source, SourceError};
