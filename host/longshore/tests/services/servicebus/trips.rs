//! How often a run waits for the wire. That is counted, not timed: the way to the broker hands over
//! what both sides have said when neither says any more.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use crate::servicebus::broker::Broker;
use crate::servicebus::host::Host;

/// How long nobody says anything before it is the other's turn.
const QUIET: Duration = Duration::from_millis(100);
/// How often the sides are looked at.
const LOOK: Duration = Duration::from_millis(5);

/// A way to a server on which every word waits for the other side's turn.
pub struct Turns {
    pub port: u16,
    taken: Arc<AtomicUsize>,
}

impl Turns {
    pub fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let turns = Self { port: listener.local_addr().unwrap().port(), taken: Arc::default() };
        let taken = turns.taken.clone();
        spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let taken = taken.clone();
                spawn(move || take_turns([client, server], &taken));
            }
        });
        turns
    }

    /// How many trips there were: there and back.
    fn trips(&self) -> usize {
        self.taken.load(Ordering::Relaxed).div_ceil(2)
    }
}

fn take_turns(mut sides: [TcpStream; 2], taken: &AtomicUsize) {
    let mut said = [Vec::new(), Vec::new()];
    let mut newest = Instant::now();
    for side in &sides {
        side.set_nonblocking(true).unwrap();
    }
    loop {
        sleep(LOOK);
        let mut piece = [0; 16 * 1024];
        for (side, said) in sides.iter_mut().zip(&mut said) {
            match side.read(&mut piece) {
                Ok(0) => return,
                Ok(count) => {
                    said.extend_from_slice(&piece[..count]);
                    newest = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
        if newest.elapsed() < QUIET || said.iter().all(Vec::is_empty) {
            continue;
        }
        taken.fetch_add(1, Ordering::Relaxed);
        for (side, said) in sides.iter_mut().rev().zip(&mut said) {
            if side.write_all(&std::mem::take(said)).is_err() {
                return;
            }
        }
        newest = Instant::now();
    }
}

/// How often a run is tried: on a busy machine a side may pause in the middle of what it says.
const TRIES: usize = 4;

/// How many trips it takes to unload so many messages, 16 at a time.
fn trips_for(messages: usize) -> usize {
    let broker = Broker::start(&[]);
    let host = Host::new(&broker, 60);
    host.send(&vec!["ok"; messages]);
    let turns = Turns::start(broker.port);
    let far = Host { url: host.url.replace(&broker.port.to_string(), &turns.port.to_string()), ..host };
    let ran = far.run(&["--max-messages", &messages.to_string()]).run().succeeded().json();
    assert_eq!(ran["completed"], messages, "{ran}");
    turns.trips()
}

#[test]
fn a_run_waits_for_seven_trips_before_its_first_message_and_then_for_one_a_slot() {
    // Two are for SASL. The next five open the connection together with the protocol's header,
    // begin a session, attach both links for the token, bring it, and attach the link that receives
    // with its first credit. The last one settles.
    const ONE: usize = 8;
    // 16 at a time would be 10 more. Some are spent until the present rate is known, and over so
    // slow a wire that is low. When a receive held up others it took 20, and the start 4 more.
    const ALL: usize = ONE + 19;
    let mut counted = Vec::new();
    for _ in 0..TRIES {
        let trips = (trips_for(1), trips_for(160));
        if trips.0 <= ONE && trips.1 <= ALL {
            return;
        }
        counted.push(trips);
    }
    panic!("trips for one message, and for 160: {counted:?}");
}
