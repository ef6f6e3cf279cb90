//! The engine: how components are compiled, where instances live, and the clock that interrupts
//! them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

#[cfg(feature = "compiler")]
use etcetera::BaseStrategy;
use wasmtime::component::Linker;
#[cfg(feature = "compiler")]
use wasmtime::{Cache, CacheConfig};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails,
};

use crate::imports;
use crate::limits::{self, Limits};
use crate::policy::Policy;
#[cfg(feature = "compiler")]
use crate::private::private_directory;
use crate::settings::Settings;
use crate::state::GuestState;

/// How often a running guest gives its thread back, so that its deadline, its neighbours and an
/// interruption get a turn.
const TICK: Duration = Duration::from_millis(10);

/// Address space set aside for each memory, so that compiled code needs no bounds checks: all that
/// 32 bits can address.
const RESERVATION: u64 = 4 << 30;

/// How much of an instance's memory is kept and zeroed between two messages. The rest is given back
/// to the kernel.
const KEPT_MEMORY: usize = 8 << 20;

/// The same for its tables.
const KEPT_TABLE: usize = 64 << 10;

/// Stack for the host's functions, which share it with the guest that calls them.
const HOST_STACK: usize = 512 << 10;

/// Frames of a trap's backtrace.
const BACKTRACE: usize = 20;

/// An engine with its limits: compiles components ([`Sandbox::load`]) and owns the memory that
/// they run in.
///
/// Cheap to clone. A loaded [`Component`](crate::Component) keeps what it needs alive.
#[derive(Clone, Debug)]
pub struct Sandbox {
    pub(crate) shared: Arc<Shared>,
}

/// What a sandbox and its components have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) linker: Imports,
    /// Machine code that stands for the component, where it was named.
    pub(crate) precompiled: Option<PathBuf>,
    pub(crate) policy: Arc<Policy>,
    load_timeout: Duration,
    /// Held by whoever compiles. A compiler cannot be interrupted: one that takes too long goes on,
    /// and no other begins beside it.
    compiling: Arc<tokio::sync::Mutex<()>>,
    _ticker: Ticker,
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// This platform, or these settings, are not what the engine supports.
    #[error("cannot set up the WebAssembly engine for {concurrency} handlers of {memory} bytes: {cause}")]
    Engine {
        /// What was asked for at a time.
        concurrency: usize,
        /// Bytes for each.
        memory: usize,
        /// What the engine said.
        cause: String,
    },
    /// No thread for the clock that interrupts guests.
    #[error("cannot start the thread that interrupts handlers: {0}; is there a limit on processes?")]
    Thread(#[source] std::io::Error),
}

impl Sandbox {
    /// Sets up an engine. Instances come from a pool. Where the platform refuses the address space
    /// for a pool, they are allocated one by one. That is several times slower, and a warning says
    /// so.
    ///
    /// # Errors
    /// When the engine, or the thread that interrupts guests, cannot be set up.
    pub fn new(settings: &Settings) -> Result<Self, SandboxError> {
        let broken = |error: wasmtime::Error| SandboxError::Engine {
            concurrency: settings.concurrency,
            memory: settings.limits.memory,
            cause: format!("{error:#}"),
        };
        let mut config = config(&settings.limits);
        #[cfg(feature = "compiler")]
        config.cache(cache(settings.cache.clone()));
        config.allocation_strategy(pool(settings));
        let engine = match Engine::new(&config) {
            Ok(engine) => engine,
            Err(error) => {
                tracing::warn!(
                    cause = format!("{error:#}"),
                    "no pool of instances: each message allocates its own memory, which is slower; allow more address space (ulimit -v) or lower the concurrency"
                );
                on_demand(&mut config, settings.limits.memory);
                Engine::new(&config).map_err(broken)?
            }
        };
        let linker = imports::linker(&engine).map_err(broken)?;
        let ticker = Ticker::start(engine.clone()).map_err(SandboxError::Thread)?;
        let Settings { limits, grants, reuse, precompiled, load_timeout, .. } = settings.clone();
        let policy = Arc::new(Policy::new(limits, grants, reuse));
        let (linker, compiling) = (Imports(linker), Arc::default());
        let shared = Shared { engine, linker, precompiled, policy, load_timeout, compiling, _ticker: ticker };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Sandbox {
    /// How long it may take to fetch and compile a component.
    pub fn load_timeout(&self) -> Duration {
        self.shared.load_timeout
    }

    /// What is held while a component is compiled.
    pub fn compiling(&self) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(&self.shared.compiling)
    }

    /// The engine. It is public for one bench only, which compares the sandbox with a bare loop:
    /// the comparison holds only if both run in an engine with the very same settings.
    #[doc(hidden)]
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }
}

/// What the host offers to guests.
pub(crate) struct Imports(pub(crate) Linker<GuestState>);

impl std::fmt::Debug for Imports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Imports(…)")
    }
}

/// What code is compiled for, and with which it runs.
pub(crate) fn config(limits: &Limits) -> Config {
    let stack = limits.stack;
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Handlers are synchronous; the support for asynchronous ones costs on each call.
        .concurrency_support(false)
        .memory_reservation(RESERVATION)
        .max_wasm_stack(stack)
        .async_stack_size(stack.saturating_add(HOST_STACK))
        // Whatever the environment says: debug information is the component's, and endless to read.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(BACKTRACE));
    config
}

fn pool(settings: &Settings) -> InstanceAllocationStrategy {
    // One more than may run: while a component is replaced, an instance of the old one may still be
    // around.
    let slots = u32::try_from(settings.concurrency).unwrap_or(u32::MAX).saturating_add(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_stacks(slots)
        .total_core_instances(slots.saturating_mul(limits::CORE_INSTANCES))
        .max_core_instances_per_component(limits::CORE_INSTANCES)
        .total_memories(slots.saturating_mul(limits::MEMORIES))
        .max_memories_per_component(limits::MEMORIES)
        .total_tables(slots.saturating_mul(limits::TABLES))
        .max_tables_per_component(limits::TABLES)
        .table_elements(settings.limits.table_elements)
        .max_memory_size(settings.limits.memory)
        .max_unused_warm_slots(slots)
        .linear_memory_keep_resident(KEPT_MEMORY)
        .table_keep_resident(KEPT_TABLE)
        .pagemap_scan(Enabled::Auto);
    InstanceAllocationStrategy::Pooling(pool)
}

/// Where address space is short, a memory takes no more of it than its guest may use; the code
/// checks bounds instead.
fn on_demand(config: &mut Config, memory: usize) {
    config
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        .memory_reservation(memory as u64)
        .memory_reservation_for_growth(0);
}

/// Where compiled components are, within the cache directory.
#[cfg(feature = "compiler")]
const COMPILED: &str = "compiled";

/// The compile cache, or none: a read-only file system must not keep the host from handling
/// messages.
#[cfg(feature = "compiler")]
fn cache(directory: Option<PathBuf>) -> Option<Cache> {
    let directory = directory.or_else(|| {
        let strategy = etcetera::choose_base_strategy().ok()?;
        Some(strategy.cache_dir().join("longshore"))
    });
    let Some(directory) = directory else {
        tracing::debug!("no home directory, hence no cache for compiled components");
        return None;
    };
    // A directory of its own: the engine deletes all files in it that it does not know. What is in
    // it is executed: a cache that others can write is not used.
    let is_private = private_directory(&directory, COMPILED);
    let directory = directory.join(COMPILED);
    let absolute = is_private.and_then(|()| std::path::absolute(&directory));
    let opened = absolute.map_err(wasmtime::Error::from).and_then(|absolute| {
        let mut config = CacheConfig::new();
        config.with_directory(absolute);
        Cache::new(config)
    });
    opened
        .inspect_err(|error| {
            tracing::warn!(
                directory = %directory.display(),
                cause = format!("{error:#}"),
                "compiled components are not kept: each start compiles again"
            );
        })
        .ok()
}

/// A thread that moves the engine's epoch on at each [`TICK`], and ends when it is dropped.
#[derive(Debug)]
struct Ticker {
    /// Nothing is ever sent on it: the thread ends when the channel closes.
    _alive: mpsc::Sender<()>,
}

impl Ticker {
    fn start(engine: Engine) -> std::io::Result<Self> {
        let (alive, gone) = mpsc::channel::<()>();
        thread::Builder::new().name("sandbox-ticker".into()).spawn(move || {
            while gone.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        })?;
        Ok(Self { _alive: alive })
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::Sandbox;
    use crate::settings::Settings;

    #[test]
    fn the_ticking_thread_ends_with_the_sandbox() {
        let cache = tempfile::tempdir().unwrap();
        let settings = Settings { concurrency: 1, cache: Some(cache.path().into()), ..Settings::default() };
        let sandbox = Sandbox::new(&settings).unwrap();
        let engine = sandbox.shared.engine.weak();
        drop(sandbox);
        // The thread holds the engine; nothing else does any more.
        let gone = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(20));
            engine.upgrade().is_none()
        });
        assert!(gone);
    }

    #[test]
    fn a_cache_that_cannot_be_used_does_not_keep_the_host_from_starting() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = Settings { concurrency: 1, cache: Some(file.path().into()), ..Settings::default() };
        assert!(Sandbox::new(&settings).is_ok());
    }
}
