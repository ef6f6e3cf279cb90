//! A hundred thousand messages in one run: `make servicebus-100000`.

use crate::servicebus::amqp::{data, id};
use crate::servicebus::broker::Broker;
use crate::servicebus::host::Host;
use longshore_testkit::sample;
use longshore_testkit::wait::until;

const MESSAGES: usize = 100_000;
/// From here on nothing more is allocated for good: everything has been in use once.
const WARM: u64 = 20_000;
const STEP: usize = 5000;
/// How much the memory may still grow, in bytes. What is kept of each message for ever would be a
/// hundred bytes at least.
const GROWTH: u64 = 4 * 1024 * 1024;

#[test]
#[ignore = "it takes minutes"]
fn a_hundred_thousand_messages_come_over_one_link_and_the_memory_stays_flat() {
    let broker = Broker::start(&[]);
    let host = Host::new(&broker, 60);
    let body = sample::order("o-1", "ok");
    let message = |number| [id(&format!("o-{number}")), data(body.as_bytes())].concat();
    let messages: Vec<_> = (0..MESSAGES).map(message).collect();
    for part in messages.chunks(10_000) {
        broker.fill_raw(&host.name, part);
    }
    let limits = ["--max-messages", &MESSAGES.to_string(), "--concurrency", "64", "--log", "warn"];
    let run = host.run(&limits).start();
    let done = || broker.done(&host.name)["count"].as_u64().unwrap();
    let peak_after = |messages| {
        // Each step is a sign of progress.
        for step in (0..=messages).step_by(STEP) {
            until(format!("{step} messages"), || (done() >= step).then_some(()));
        }
        run.peak_memory().unwrap()
    };
    let (warm, end) = (peak_after(WARM), peak_after(MESSAGES as u64 - STEP as u64));
    let ran = run.wait().succeeded().json();
    assert_eq!(ran["completed"], MESSAGES, "{ran}");
    println!("at most {warm} bytes for {WARM} messages, and {end} for all");
    assert!(end < warm + GROWTH, "{warm} bytes became {end}");
    let (links, settled) = broker.links_and_requests("update-disposition");
    assert_eq!((links, settled), (1, 0), "one link, and nothing was settled elsewhere");
}
