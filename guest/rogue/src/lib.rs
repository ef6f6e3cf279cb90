//! A handler that does what none should. The body says what, as `verb` or `verb:number`.
//!
//! For the host's tests only: a rejection that starts with `escaped` means that something could be
//! reached that must not.

mod web;

use std::hint::black_box;
use std::io::Write;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use longshore_guest::log::Level;
use longshore_guest::{Failure, Message, config, outbox};

longshore_guest::export!(bytes: handle);

static CALLS: AtomicU64 = AtomicU64::new(0);

fn handle(body: &[u8], message: &Message) -> Result<(), Failure> {
    let body = str::from_utf8(body).map_err(|_| Failure::reject("not UTF-8"))?;
    let (verb, argument) = body.split_once(':').unwrap_or((body, "0"));
    match verb {
        "get" => return web::get(argument),
        "relay" => {
            web::call(argument)?;
            outbox::send("invoices", b"relayed");
            return Ok(());
        }
        "follow" => return web::follow(argument),
        "reach" => return reach_out(argument),
        "get-in-time" => return web::get_in_time(argument),
        "post" => return web::post(argument),
        "ask" => return web::ask(argument),
        "die-writing" => return web::die_writing(argument),
        "let-wait" => return web::let_wait(argument),
        "gets" => return web::get_many(argument),
        "flood" => loop {
            let refused = web::get(argument);
            if matches!(&refused, Err(Failure::Retry(retry)) if retry.reason.contains("ConnectionLimitReached"))
            {
                return refused;
            }
        },
        "connect" => return web::connect(argument),
        "config" => return Err(Failure::reject(format!("{:?}", config::get(argument)))),
        "quote-and-panic" => {
            eprintln!("the body says {argument}");
            panic!("as the message wishes");
        }
        "env" => return Err(Failure::reject(format!("{:?}", std::env::vars().collect::<Vec<_>>()))),
        "output" => {
            outbox::send(argument, b"for another queue");
            return Ok(());
        }
        _ => {}
    }
    let number: usize = argument.parse().map_err(|_| Failure::reject("not a number"))?;
    match verb {
        "echo" => return Err(Failure::reject(echo(message))),
        "count" => {
            return Err(Failure::reject(format!("call {}", CALLS.fetch_add(1, Ordering::Relaxed) + 1)));
        }
        "count-and-complete" => {
            let count = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
            outbox::send("invoices", count.to_string().as_bytes());
        }
        "hoard" => return web::hoard(number),
        "copy-fields" => return web::copy_fields(number),
        "random" => {
            let bytes = wasip2::random::random::get_random_bytes(number as u64);
            return Err(Failure::reject(format!("{} random bytes", bytes.len())));
        }
        "contexts" => {
            let context = "c".repeat(1_000_000);
            (0..number).for_each(|_| longshore_guest::log::log(Level::Info, &context, format_args!("x")));
        }
        "empty-properties" => {
            let properties = vec![("", ""); number];
            (0..100).for_each(|_| outbox::send_with("invoices", b"", &properties));
        }
        "print-unended" => print!("{number} without an end"),
        "leak" => std::mem::forget(black_box(vec![1_u8; number])),
        "reach-out" => return reach_out(""),
        "reason" => return Err(Failure::retry("x".repeat(number))),
        "exit" => std::process::exit(i32::try_from(number).unwrap_or(-1)),
        "abort" => std::process::abort(),
        "panic" => panic!("as the message wishes"),
        "sleep" => std::thread::sleep(Duration::from_secs(number as u64)),
        "spin" => loop {
            black_box(());
        },
        "spin-in-host" => loop {
            black_box(Instant::now());
        },
        "allocate" => loop {
            std::mem::forget(black_box(vec![1_u8; 1 << 20]));
        },
        "handles" => (0..number).for_each(|_| {
            std::mem::forget(wasip2::clocks::monotonic_clock::subscribe_duration(1));
        }),
        "not-utf-8" => {
            // SAFETY: it is not sound, which is what the host shall notice.
            let reason = unsafe { String::from_utf8_unchecked(vec![0xff; 10]) };
            return Err(Failure::Reject(reason));
        }
        "lines-without-end" => loop {
            longshore_guest::info!("one more");
        },
        "prints" => (0..number).for_each(|_| print(&[b'x'; 10_000])),
        "outputs" => (0..number).for_each(|n| outbox::send("invoices", n.to_string().as_bytes())),
        "large-outputs" => (0..3).for_each(|_| outbox::send("invoices", &[b'x'; 500_000])),
        "output-bytes" => outbox::send("invoices", &vec![b'x'; number]),
        "output-and-properties" => outbox::send_with("invoices", &[0xff, 0], &[("tenant", "blue")]),
        "output-then-fail" => {
            outbox::send("invoices", b"never to be sent");
            return Err(Failure::retry("after all"));
        }
        "output-then-trap" => {
            outbox::send("invoices", b"never to be sent");
            panic!("after all");
        }
        "recurse" => drop(black_box(recurse(number as u64))),
        "lines-and-reject" => {
            (1..=number).for_each(|n| println!("line {n}"));
            return Err(Failure::reject("as the message wishes"));
        }
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
        "levels-and-reject" => {
            levels();
            return Err(Failure::reject("as the message wishes"));
        }
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
    let inserted = inserted.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |it| it.as_millis());
    let deadline = deadline.as_millis();
    format!("{id} {queue} {} {dequeue_count} {inserted} {deadline} {properties:?}", body.len())
}

/// What is tried, each with whether it worked.
type Attempts = fn() -> Vec<(&'static str, bool)>;

/// Tries what no handler may, or only what is named.
fn reach_out(what: &str) -> Result<(), Failure> {
    let ways: [(&str, Attempts); 4] = [
        ("environment", || {
            vec![
                ("arguments", std::env::args().next().is_some()),
                ("PATH", std::env::var_os("PATH").is_some()),
                ("HOME", std::env::var_os("HOME").is_some()),
                ("standard input", std::io::stdin().lines().next().is_some()),
            ]
        }),
        ("files", || {
            vec![
                ("a directory", std::fs::read_dir("/").is_ok() || std::fs::read_dir(".").is_ok()),
                ("a file", std::fs::read("/etc/passwd").is_ok()),
                ("a new file", std::fs::write("/tmp/escaped", "").is_ok()),
            ]
        }),
        ("sockets", || {
            vec![
                ("a connection", TcpStream::connect("127.0.0.1:1").is_ok()),
                ("a listener", TcpListener::bind("127.0.0.1:0").is_ok()),
                ("a datagram", UdpSocket::bind("127.0.0.1:0").is_ok()),
            ]
        }),
        ("names", || vec![("a name", ("localhost", 80).to_socket_addrs().is_ok())]),
    ];
    let tried =
        ways.iter().filter(|(way, _)| what.is_empty() || *way == what).flat_map(|(_, attempts)| attempts());
    let tried: Vec<_> = tried.collect();
    let escaped: Vec<_> = tried.iter().filter(|(_, escaped)| *escaped).map(|(what, _)| *what).collect();
    match (tried.is_empty(), escaped.is_empty()) {
        (true, _) => Err(Failure::reject("nothing was tried")),
        (_, true) => Ok(()),
        _ => Err(Failure::reject(format!("escaped: {}", escaped.join(", ")))),
    }
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
