//! One invocation of the shipped order handler, step by step, beside two floors: a bare Wasmtime
//! loop with the same engine and component, and an instance that is reused.

use std::time::{Duration, Instant};

use longshore_handler::Verdict;
use longshore_sandbox::{Component, InvocationStep, Sandbox, Settings};
use longshore_testkit::sample;

use super::bare::Bare;
use super::workbench::{Workbench, percentile};

pub(super) const BODY: &str = r#"{"order_id":"0f6d3e2a-3d1c-4a8c-9c54-7b1f0c2f7b11","msg":"two books and a pen, to be delivered to the back door, please, where the dog is kind and the light is always on when it is dark outside"}"#;
/// As a queue makes them.
pub(super) const ID: &str = "01a204d0-21f3-7157-b43c-e5df891e89fe";
const ROUNDS: usize = 60;
const CALLS: usize = 250;

/// What calls took, step by step and together.
#[derive(Default)]
pub(super) struct Times {
    pub(super) steps: [Vec<Duration>; 4],
    pub(super) all: Vec<Duration>,
}

/// The clock of one call.
pub(super) struct Watch<'a> {
    times: &'a mut Times,
    started: Instant,
    last: Instant,
}

impl Times {
    pub(super) fn watch(&mut self) -> Watch<'_> {
        let now = Instant::now();
        Watch { times: self, started: now, last: now }
    }

    fn print(&mut self, name: &str) {
        print!("{name:40}");
        for step in &mut self.steps {
            if step.is_empty() {
                print!(" {:>11}", "");
            } else {
                print!(" {:11.1}", percentile(step, 50));
            }
        }
        println!(" {:8.1} {:8.1}", percentile(&mut self.all, 50), percentile(&mut self.all, 99));
    }
}

impl Watch<'_> {
    pub(super) fn over(&mut self, step: InvocationStep) {
        let now = Instant::now();
        self.times.steps[step as usize].push(now - self.last);
        self.last = now;
    }

    pub(super) fn end(self) {
        self.times.all.push(self.started.elapsed());
    }
}

pub(super) fn measure(workbench: &Workbench) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(compare(workbench));
}

async fn compare(workbench: &Workbench) {
    let bytes = std::fs::read(&workbench.component).expect("the component");
    let load = |settings| {
        let sandbox = Sandbox::new(&settings).expect("a sandbox");
        (sandbox.load(&bytes).expect("the handler loads"), sandbox)
    };
    let (ours, sandbox) = load(Settings::default());
    let (kept, _) = load(Settings { reuse: u32::MAX, ..Settings::default() });
    let bare = Bare::new(sandbox.engine(), &bytes);
    let mut one = bare.reused().await;

    let [mut fresh, mut invoked, mut reused, mut invoked_again, mut native] =
        std::array::from_fn(|_| Times::default());
    // In turns, so that whatever else the machine does hits all of them alike.
    for _ in 0..ROUNDS {
        for _ in 0..CALLS {
            let mut watch = fresh.watch();
            bare.fresh(BODY.as_bytes(), |step| watch.over(step)).await;
            watch.end();
        }
        for _ in 0..CALLS {
            invoke(&ours, &mut invoked).await;
        }
        for _ in 0..CALLS {
            let mut watch = reused.watch();
            one.call(BODY.as_bytes()).await;
            watch.over(InvocationStep::Call);
            watch.end();
        }
        for _ in 0..CALLS {
            invoke(&kept, &mut invoked_again).await;
        }
        for _ in 0..CALLS {
            let watch = native.watch();
            parse_natively();
            watch.end();
        }
    }
    println!(
        "{:40} {:>11} {:>11} {:>11} {:>11} {:>8} {:>8}",
        "p50, µs", "store", "instantiate", "call", "drop", "all", "p99"
    );
    native.print("native parse and format");
    reused.print("bare Wasmtime, one instance reused");
    invoked_again.print("longshore --reuse");
    fresh.print("bare Wasmtime, fresh instance");
    invoked.print("longshore, fresh instance, limits, log");
    let ratio = percentile(&mut invoked.all, 50) / percentile(&mut fresh.all, 50);
    println!("longshore / bare, fresh instances: {ratio:.2} (at most 1.25)");
}

async fn invoke(handler: &Component, times: &mut Times) {
    let invocation = sample::invocation(ID, BODY);
    let mut watch = times.watch();
    let answer = handler.invoke_observed(invocation, |step| watch.over(step)).await;
    watch.end();
    assert_eq!(answer.verdict, Verdict::Completed);
}

fn parse_natively() {
    let order: serde_json::Value = serde_json::from_str(BODY).expect("JSON");
    std::hint::black_box(format!("handled order {}", order["order_id"]));
}
