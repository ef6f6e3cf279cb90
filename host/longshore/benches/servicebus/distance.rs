//! A way to a server that takes its time: every byte comes later by half of a round trip.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How much is read at once.
const PIECE: usize = 64 * 1024;

/// What was read, and when it is due on the other side.
type Late = (Instant, Vec<u8>);

/// Starts such a way to this port of 127.0.0.1, and returns where it begins. It lasts as long as
/// the process.
pub(super) fn start(port: u16, round_trip: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let begins = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
            for (from, to) in [(&client, &server), (&server, &client)] {
                let clone = |it: &TcpStream| it.try_clone().expect("a socket");
                to.set_nodelay(true).expect("a socket");
                let (from, to, (put, take)) = (clone(from), clone(to), channel());
                thread::spawn(move || read(from, &put, round_trip / 2));
                thread::spawn(move || write(to, &take));
            }
        }
    });
    begins
}

fn read(mut from: TcpStream, put: &Sender<Late>, one_way: Duration) {
    let mut piece = vec![0; PIECE];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        if put.send((Instant::now() + one_way, piece[..count].to_vec())).is_err() {
            return;
        }
    }
}

fn write(mut to: TcpStream, take: &Receiver<Late>) {
    for (due, piece) in take {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&piece).is_err() {
            return;
        }
    }
    // An error: the other side has closed it before.
    let _ = to.shutdown(Shutdown::Write);
}
