//! Where a component comes from.
