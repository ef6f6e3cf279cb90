//! One invocation of the shipped order handler, beside a bare Wasmtime loop with the same engine and component.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use longshore::sandbox::{Invocation, Sandbox, Settings, Verdict};
use wasmtime::Store;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::{Place, percentile};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "longshore:handler/guest",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

use bindings::GuestPre;
use bindings::exports::longshore::handler::handler::Message;
use bindings::wasi::logging::logging;

const BODY: &str = r#"{"order_id":"0f6d3e2a-3d1c-4a8c-9c54-7b1f0c2f7b11","msg":"two books and a pen, to be delivered to the back door, please, where the dog is kind and the light is always on when it is dark outside"}"#;
const ROUNDS: usize = 60;
const CALLS: usize = 250;

struct Bare {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Bare {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl logging::Host for Bare {
    fn log(&mut self, _: logging::Level, context: String, message: String) {
        std::hint::black_box((context, message));
    }
}

pub(super) fn measure(place: &Place) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(compare(place));
}

async fn compare(place: &Place) {
    let bytes = std::fs::read(&place.component).expect("the component");
    let sandbox = Sandbox::new(&Settings::default()).expect("a sandbox");
    let ours = sandbox.load(&bytes).expect("the handler loads");
    let engine = sandbox.engine();
    let component = Component::new(engine, &bytes).expect("it compiles");
    let mut linker = Linker::<Bare>::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("WASI links");
    logging::add_to_linker::<_, wasmtime::component::HasSelf<_>>(&mut linker, |bare| bare)
        .expect("the log links");
    let bare = GuestPre::new(linker.instantiate_pre(&component).expect("it links")).expect("a handler");

    let (mut fresh, mut invoked, mut reused, mut native) = (vec![], vec![], vec![], vec![]);
    // In turns, so that whatever else the machine does hits all of them alike.
    for _ in 0..ROUNDS {
        for _ in 0..CALLS {
            fresh.push(timed(|| async { call_fresh(engine, &bare).await }).await);
        }
        for _ in 0..CALLS {
            let invocation = invocation();
            invoked.push(
                timed(|| async { assert_eq!(ours.invoke(invocation).await.verdict, Verdict::Completed) })
                    .await,
            );
        }
        let mut store = store(engine);
        let instance = bare.instantiate_async(&mut store).await.expect("an instance");
        for _ in 0..CALLS {
            store.set_epoch_deadline(1_000_000);
            let handler = instance.longshore_handler_handler();
            let started = Instant::now();
            handler.call_handle(&mut store, message()).await.expect("no trap").expect("completed");
            reused.push(started.elapsed());
        }
        for _ in 0..CALLS {
            native.push(timed(|| async { parse_natively() }).await);
        }
    }
    let p50 = |times: &mut Vec<Duration>| percentile(times, 50);
    let (fresh50, invoked50) = (p50(&mut fresh), p50(&mut invoked));
    println!("native parse and format, the floor of floors   p50 {:7.1} µs", p50(&mut native));
    println!("call on a reused instance                      p50 {:7.1} µs", p50(&mut reused));
    println!(
        "bare Wasmtime loop, fresh instance             p50 {fresh50:7.1} µs  p99 {:7.1}",
        percentile(&mut fresh, 99)
    );
    println!(
        "longshore, fresh instance, limits and log on   p50 {invoked50:7.1} µs  p99 {:7.1}",
        percentile(&mut invoked, 99)
    );
    println!("longshore / bare: {:.2} (at most 1.3)", invoked50 / fresh50);
}

async fn timed<F: Future<Output = ()>>(work: impl FnOnce() -> F) -> Duration {
    let started = Instant::now();
    work().await;
    started.elapsed()
}

fn store(engine: &wasmtime::Engine) -> Store<Bare> {
    let mut store =
        Store::new(engine, Bare { wasi: WasiCtx::builder().build(), table: ResourceTable::new() });
    store.set_epoch_deadline(1_000_000);
    store
}

async fn call_fresh(engine: &wasmtime::Engine, bare: &GuestPre<Bare>) {
    let mut store = store(engine);
    let instance = bare.instantiate_async(&mut store).await.expect("an instance");
    let handler = instance.longshore_handler_handler();
    handler.call_handle(&mut store, message()).await.expect("no trap").expect("completed");
}

fn message() -> Message<'static> {
    Message {
        id: "01a204d0-21f3-7157-b43c-e5df891e89fe",
        queue: "orders",
        body: BODY.as_bytes(),
        dequeue_count: 1,
        inserted: 1_790_000_000_000,
        deadline: 30_000,
        properties: &[],
    }
}

fn invocation() -> Invocation {
    Invocation {
        id: "01a204d0-21f3-7157-b43c-e5df891e89fe".into(),
        queue: "orders".into(),
        body: BODY.into(),
        dequeue_count: 1,
        inserted: Timestamp::UNIX_EPOCH,
        deadline: Duration::from_secs(30),
        properties: Vec::new(),
    }
}

fn parse_natively() {
    let order: serde_json::Value = serde_json::from_str(BODY).expect("JSON");
    std::hint::black_box(format!("handled order {}", order["order_id"]));
}
