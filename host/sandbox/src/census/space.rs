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
    /// How many values the functions of a core module take and return, by type.
    pub(super) arities: Arities,
}

/// Numbers of parameters and results, by type.
#[derive(Debug, Default)]
pub(super) struct Arities {
    by_type: Vec<(u32, u32)>,
    /// The largest of all.
    pub(super) largest: u32,
    pub(super) most_results: u32,
}

impl Arities {
    pub(super) fn add(&mut self, parameters: usize, results: usize) {
        // A type has at most a thousand of each.
        let [parameters, results] =
            [parameters, results].map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        self.by_type.push((parameters, results));
        self.largest = self.largest.max(parameters).max(results);
        self.most_results = self.most_results.max(results);
    }

    /// Of one type. An index that is not there is found by the validator.
    pub(super) fn of(&self, index: u32) -> (u32, u32) {
        self.by_type.get(index as usize).copied().unwrap_or_default()
    }
}

impl Frame {
    pub(super) fn component() -> Self {
        Self {
            is_module: false,
            own: Cost::default(),
            modules: Vec::new(),
            components: Vec::new(),
            arities: Arities::default(),
        }
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
