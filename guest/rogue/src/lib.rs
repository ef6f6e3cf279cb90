//! A handler that does what none should. The body says what, as `verb` or `verb:number`.
//!
//! For the host's tests only: a rejection that starts with `escaped` means that something could be reached that must not.

use std::hint::black_box;
use std::io::Write;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_guest::log::Level;
use longshore_guest::{Failure, Message};

longshore_guest::export!(bytes: handle);

static CALLS: AtomicU64 = AtomicU64::new(0);

fn handle(body: &[u8], message: &Message) -> Result<(), Failure> {
    let body = str::from_utf8(body).map_err(|_| Failure::reject("not UTF-8"))?;
    let (verb, number) = body.split_once(':').unwrap_or((body, "0"));
    let number: usize = number.parse().map_err(|_| Failure::reject("not a number"))?;
    match verb {
        "echo" => return Err(Failure::reject(echo(message))),
        "count" => {
            return Err(Failure::reject(format!("call {}", CALLS.fetch_add(1, Ordering::Relaxed) + 1)));
        }
        "reach-out" => return reach_out(),
        "reason" => return Err(Failure::retry("x".repeat(number))),
        "exit" => std::process::exit(i32::try_from(number).unwrap_or(-1)),
        "recurse" => drop(black_box(recurse(number as u64))),
        "lines" => (1..=number).for_each(|n| println!("line {n}")),
        "pieces" => {
            for piece in ["a ", "line ", "in pieces\nand ", "one without an end"] {
                print(piece.as_bytes());
            }
            eprintln!("to the other stream");
        }
        "print" => print(&vec![b'x'; number]),
        "log" => longshore_guest::log::log(Level::Warn, "flood", format_args!("{}", "y".repeat(number))),
        "levels" => levels(),
        "print-and-spin" => {
            print(b"so far");
            loop {
                black_box(());
            }
        }
        _ => {}
    }
    Ok(())
}

fn echo(message: &Message) -> String {
    let Message { id, queue, body, dequeue_count, inserted, deadline, properties } = message;
    format!("{id} {queue} {} {dequeue_count} {inserted} {deadline} {properties:?}", body.len())
}

fn reach_out() -> Result<(), Failure> {
    let escapes = [
        ("arguments", std::env::args().next().is_some()),
        ("environment", std::env::vars().next().is_some()),
        ("a directory", std::fs::read_dir("/").is_ok() || std::fs::read_dir(".").is_ok()),
        ("a file", std::fs::read("/etc/passwd").is_ok()),
        ("a new file", std::fs::write("/tmp/escaped", "").is_ok()),
        ("a connection", TcpStream::connect("127.0.0.1:1").is_ok_and(|_| true)),
        ("a listener", TcpListener::bind("127.0.0.1:0").is_ok()),
        ("a datagram", UdpSocket::bind("127.0.0.1:0").is_ok()),
        ("a name", ("localhost", 80).to_socket_addrs().is_ok()),
        ("standard input", std::io::stdin().lines().next().is_some()),
    ];
    match escaped(&escapes) {
        escaped if escaped.is_empty() => Ok(()),
        escaped => Err(Failure::reject(format!("escaped: {}", escaped.join(", ")))),
    }
}

fn escaped<'a>(escapes: &[(&'a str, bool)]) -> Vec<&'a str> {
    escapes.iter().filter(|(_, escaped)| *escaped).map(|(what, _)| *what).collect()
}

fn recurse(depth: u64) -> Vec<u64> {
    let mut below = black_box(if depth == u64::MAX { Vec::new() } else { recurse(black_box(depth + 1)) });
    below.push(depth);
    below
}

fn print(bytes: &[u8]) {
    let mut stdout = std::io::stdout();
    if stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
        panic!("standard output failed");
    }
}

fn levels() {
    longshore_guest::trace!("at trace");
    longshore_guest::debug!("at debug");
    longshore_guest::info!("at info");
    longshore_guest::warn!("at warn");
    longshore_guest::error!("at error");
    longshore_guest::log::log(Level::Critical, "", format_args!("at critical"));
}
