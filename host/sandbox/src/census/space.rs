//! What the definitions of a component cost each time that they are instantiated.

/// What instances cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    /// Instances, functions, aliases, imports and exports.
    pub(super) items: u64,
    /// Instances of core modules.
    pub(super) instances: u64,
    pub(super) memories: u64,
    /// Bytes that the memories start with.
    pub(super) memory: u64,
    pub(super) tables: u64,
}

impl Cost {
    /// Nothing but items.
    pub(super) fn items(count: usize) -> Self {
        Self { items: count as u64, ..Self::default() }
    }

    /// The two together. A sum that is too large for a number is the largest number.
    pub(super) fn and(self, other: Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    /// The larger of the two, number by number.
    pub(super) fn at_least(self, other: Self) -> Self {
        self.each(other, u64::max)
    }

    fn each(self, other: Self, join: fn(u64, u64) -> u64) -> Self {
        Self {
            items: join(self.items, other.items),
            instances: join(self.instances, other.instances),
            memories: join(self.memories, other.memories),
            memory: join(self.memory, other.memory),
            tables: join(self.tables, other.tables),
        }
    }
}

/// A component or module that is being read.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) is_module: bool,
    /// What it costs to instantiate it, as far as it was read.
    pub(super) own: Cost,
    /// The core modules that it can instantiate, by index.
    pub(super) modules: Vec<Cost>,
    /// The components that it can instantiate, by index; `None` if what one costs depends on who
    /// instantiates this component.
    pub(super) components: Vec<Option<Cost>>,
}

impl Frame {
    pub(super) fn component() -> Self {
        Self { is_module: false, own: Cost::default(), modules: Vec::new(), components: Vec::new() }
    }

    pub(super) fn module() -> Self {
        Self { is_module: true, ..Self::component() }
    }

    /// What a module costs. An index that is not there is found by the validator.
    pub(super) fn module_at(&self, index: u32) -> Cost {
        self.modules.get(index as usize).copied().unwrap_or_default()
    }

    /// The same for a component.
    pub(super) fn component_at(&self, index: u32) -> Option<Cost> {
        self.components.get(index as usize).copied().unwrap_or_default()
    }
}
