//! What was tried to lower the bare loop itself: the engine's settings, one changed at a time, and
//! a second thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use longshore_sandbox::{Sandbox, Settings};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::bare::Bare;
use super::call::{BODY, Times};
use super::workbench::{Workbench, percentile};

const ROUNDS: usize = 20;
const CALLS: usize = 250;
/// How long each number of threads is measured.
const BUSY: Duration = Duration::from_secs(1);
/// Items of an order that takes a while to parse, so that the guest's own speed shows.
const ITEMS: usize = 4000;

type Change = fn(&mut Config, &mut PoolingAllocationConfig);

const CHANGES: [(&str, Change); 11] = [
    ("as longshore sets it", |_, _| {}),
    ("nothing kept resident", |_, pool| {
        pool.linear_memory_keep_resident(0).table_keep_resident(0);
    }),
    ("no memory kept resident, tables are", |_, pool| {
        pool.linear_memory_keep_resident(0);
    }),
    ("no pagemap scan", |_, pool| {
        pool.pagemap_scan(Enabled::No);
    }),
    ("no pagemap scan, 2 MiB kept", |_, pool| {
        pool.pagemap_scan(Enabled::No).linear_memory_keep_resident(2 << 20);
    }),
    ("stacks kept resident", |_, pool| {
        pool.async_stack_keep_resident(1 << 20);
    }),
    ("no copy-on-write images", |config, _| {
        config.memory_init_cow(false);
    }),
    ("tables filled at the start", |config, _| {
        config.table_lazy_init(false);
    }),
    ("no epochs", |config, _| {
        config.epoch_interruption(false);
    }),
    ("decommits in batches of 16", |_, pool| {
        pool.decommit_batch_size(16);
    }),
    ("bounds checks, no guard pages", |config, _| {
        config.signals_based_traps(false).memory_guard_size(0).memory_reservation(128 << 20);
    }),
];

/// The sandbox's settings, and one change.
fn engine(change: Change) -> Engine {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .memory_reservation(4 << 30)
        .max_wasm_stack(512 << 10)
        .async_stack_size(1 << 20)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(20));
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(17)
        .total_stacks(17)
        .total_core_instances(1700)
        .max_core_instances_per_component(100)
        .total_memories(68)
        .max_memories_per_component(4)
        .total_tables(136)
        .max_tables_per_component(8)
        .table_elements(20_000)
        .max_memory_size(128 << 20)
        .max_unused_warm_slots(17)
        .linear_memory_keep_resident(8 << 20)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    change(&mut config, &mut pool);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).expect("an engine")
}

pub(super) fn measure(workbench: &Workbench) {
    let bytes = std::fs::read(&workbench.component).expect("the component");
    let mut tried = vec![("the sandbox's own engine", own(&bytes))];
    tried.extend(CHANGES.map(|(name, change)| (name, Bare::new(&engine(change), &bytes))));
    let mut on_demand = Config::new();
    on_demand.epoch_interruption(true).concurrency_support(false);
    tried.push(("no pool", Bare::new(&Engine::new(&on_demand).expect("an engine"), &bytes)));

    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut fresh: Vec<_> = tried.iter().map(|_| Times::default()).collect();
    let mut large: Vec<_> = tried.iter().map(|_| Times::default()).collect();
    let order = large_order();
    runtime.block_on(async {
        for _ in 0..ROUNDS {
            for (at, (_, bare)) in tried.iter().enumerate() {
                for _ in 0..CALLS {
                    let watch = fresh[at].watch();
                    bare.fresh(BODY.as_bytes(), |_| {}).await;
                    watch.end();
                }
                let watch = large[at].watch();
                bare.fresh(order.as_bytes(), |_| {}).await;
                watch.end();
            }
        }
    });
    println!(
        "{:38} {:>10} {:>24} {:>12} {:>12}",
        "bare loop, fresh instances", "p50, µs", "an order of 0.2 MB, µs", "one thread", "two, a second"
    );
    for (at, (name, bare)) in tried.into_iter().enumerate() {
        let bare = Arc::new(bare);
        let (one, two) = (per_second(&bare, 1), per_second(&bare, 2));
        println!(
            "{name:38} {:10.1} {:24.0} {one:12.0} {two:12.0}",
            percentile(&mut fresh[at].all, 50),
            percentile(&mut large[at].all, 50)
        );
    }
}

fn own(bytes: &[u8]) -> Bare {
    let sandbox = Sandbox::new(&Settings::default()).expect("a sandbox");
    Bare::new(sandbox.engine(), bytes)
}

/// An order with items that the handler skips over.
fn large_order() -> String {
    let items: Vec<_> =
        (0..ITEMS).map(|n| format!(r#"{{"sku":"book-{n}","qty":{},"price":{n}.95}}"#, n % 7)).collect();
    format!(r#"{{"items":[{}],"order_id":"large","msg":"ok"}}"#, items.join(","))
}

/// Messages a second, with so many threads that share nothing but the engine.
fn per_second(bare: &Arc<Bare>, threads: usize) -> f64 {
    let (ended, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let started = Instant::now();
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (bare, ended, done) = (Arc::clone(bare), Arc::clone(&ended), Arc::clone(&done));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                runtime.block_on(async {
                    while !ended.load(Ordering::Relaxed) {
                        bare.fresh(BODY.as_bytes(), |_| {}).await;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            })
        })
        .collect();
    std::thread::sleep(BUSY);
    ended.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.join().expect("no panic");
    }
    done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
}
