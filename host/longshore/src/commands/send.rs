//! `longshore send`.

mod progress;

use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt, future, stream};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::{mpsc, oneshot};

use self::progress::SendProgress;
use super::stop_signals::StopSignals;
use super::{again, print};
use crate::cli::{Format, SendArgs};
use crate::exit::{Clause, Exit, Failure};
use longshore_queue::{CONTENT_TYPE, MAX_VISIBILITY, Outgoing};
use longshore_queue_drivers::open;

/// The byte order mark of UTF-8, with which some editors begin a file.
const UTF_8_MARK: &[u8] = b"\xef\xbb\xbf";
/// How many messages are on their way at once.
const MAX_SENDS_IN_FLIGHT: usize = 64;

#[derive(Serialize)]
struct SentMessage {
    id: String,
}

pub(super) async fn execute(args: SendArgs, format: Format) -> Result<Exit, Failure> {
    if args.delay > MAX_VISIBILITY {
        let days = MAX_VISIBILITY.as_secs() / (24 * 60 * 60);
        return Err(Failure::usage(format!("--delay is longer than the {days} days that queues allow")));
    }
    let template = template(&args)?;
    let queue = open(&args.queue.queue).await?;
    let base64 = args.base64;
    let reads_lines = args.file.is_some() || args.bodies.iter().any(|it| it == "-");
    let unit = if reads_lines { "line" } else { "message" };
    if reads_lines {
        // How long a line may be.
        queue.learn_limits().await;
    }
    let (bodies, produced) = mpsc::channel(MAX_SENDS_IN_FLIGHT);
    let producer = tokio::spawn(produce(args, bodies, 2 * queue.max_body()));
    let bar = print::counter("sent");
    let mut progress = SendProgress::new(unit);
    let stop = AtomicBool::new(false);
    let bodies = stream::unfold(produced, async |mut produced| Some((produced.recv().await?, produced)));
    let (stop_reading, stopped) = oneshot::channel::<()>();
    let (mut stop_reading, mut signalled) = (Some(stop_reading), false);
    let mut signals = StopSignals::listen()?;
    print::wait_for_nobody(format);
    let mut is_behind = false;
    let sending = bodies
        .take_until(stopped)
        // What is on its way is awaited. After the first failure nothing more is sent.
        .take_while(|_| future::ready(!stop.load(Ordering::Relaxed)))
        .map(|Numbered { number, body }| {
            let body = if base64 { STANDARD.encode(&body).into() } else { body };
            let (queue, stop, message) = (&queue, &stop, Outgoing { body, ..template.clone() });
            async move {
                let asked = again::ask(async || queue.send(message.clone()).await).await;
                stop.fetch_or(asked.answer.is_err(), Ordering::Relaxed);
                (number, asked.answer)
            }
        })
        .buffered(MAX_SENDS_IN_FLIGHT);
    let mut sending = pin!(sending);
    loop {
        let done = tokio::select! {
            biased;
            _ = signals.next() => None,
            () = print::caught_up(), if is_behind && !signalled => {
                is_behind = false;
                continue;
            }
            done = sending.next(), if !is_behind || signalled => match done {
                Some(done) => Some(done),
                None => break,
            },
        };
        let Some((number, answer)) = done else {
            signalled = true;
            match stop_reading.take() {
                // What is on its way is awaited, unless there is a second signal.
                Some(stop_reading) => drop(stop_reading.send(())),
                None => break,
            }
            continue;
        };
        if let (Some(id), Format::Json) = (progress.note(number, answer), format) {
            print::json(&SentMessage { id })?;
            is_behind = print::is_behind();
        }
        bar.set_position(progress.sent);
    }
    bar.finish_and_clear();
    progress.failed(queue.url())?;
    if signalled {
        producer.abort();
        return Err(progress.stopped(queue.url()));
    }
    // Nothing is held back by a full channel any more.
    producer.await.during(|| "the task that reads the messages panicked")?.during(|| progress.already())?;
    if format == Format::Table {
        print::line(&format!("sent {} to {}", progress.sent, queue.url()));
    }
    Ok(Exit::Done)
}

/// A body, and which line it is of its file, or which of the messages.
#[derive(Debug)]
struct Numbered {
    number: u64,
    body: Bytes,
}

/// Everything of the messages but their bodies.
fn template(args: &SendArgs) -> Result<Outgoing, Failure> {
    if args.id.is_some() && (args.bodies.len() != 1 || args.bodies[0] == "-") {
        return Err(Failure::usage("--id is the id of one message; give one body"));
    }
    let content_type = args.content_type.iter().map(|it| (CONTENT_TYPE.to_owned(), it.clone()));
    let properties: Vec<_> = content_type.chain(args.property.iter().cloned()).collect();
    let bare = properties.is_empty() && args.id.is_none();
    let kind = args.queue.queue.kind();
    if !bare && !kind.keeps_properties {
        let cause =
            format!("{} gives its own ids and keeps no properties; put them into the body", kind.name);
        return Err(Failure::usage(cause));
    }
    Ok(Outgoing { id: args.id.clone(), delay: args.delay, properties, ..Outgoing::default() })
}

/// Feeds the messages in, one by one: a file may be larger than memory.
///
/// A line that is longer than `longest` is refused before it is read as a whole.
async fn produce(args: SendArgs, bodies: mpsc::Sender<Numbered>, longest: usize) -> Result<(), Failure> {
    if let Some(count) = args.sample {
        for number in 0..count {
            feed(&bodies, number + 1, sample(number).into()).await;
        }
        return Ok(());
    }
    if let Some(path) = args.file.as_deref().filter(|path| *path != Path::new("-")) {
        let file = tokio::fs::File::open(path).await.during(|| format!("cannot read {}", path.display()))?;
        return lines(file, &bodies, longest).await.during(|| format!("cannot read {}", path.display()));
    }
    if args.file.is_some() {
        return lines(tokio::io::stdin(), &bodies, longest).await.during(|| "cannot read standard input");
    }
    for (number, body) in (1..).zip(args.bodies) {
        match body.as_str() {
            "-" => {
                lines(tokio::io::stdin(), &bodies, longest).await.during(|| "cannot read standard input")?
            }
            _ => feed(&bodies, number, body.into()).await,
        }
    }
    Ok(())
}

/// Each line that is not empty, without its end. It may have any bytes. A mark of UTF-8 at the
/// start is no part of the first line, and what has a mark of UTF-16 has no lines that we know.
async fn lines(
    source: impl AsyncRead + Unpin,
    bodies: &mpsc::Sender<Numbered>,
    longest: usize,
) -> io::Result<()> {
    let mut source = BufReader::new(source);
    match source.fill_buf().await? {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            let cause = "it is UTF-16; make it UTF-8 first: `iconv -f UTF-16 -t UTF-8`";
            return Err(io::Error::new(io::ErrorKind::InvalidData, cause));
        }
        start if start.starts_with(UTF_8_MARK) => source.consume(UTF_8_MARK.len()),
        _ => {}
    }
    let mut number = 0;
    loop {
        let mut line = Vec::new();
        number += 1;
        if (&mut source).take(longest as u64 + 2).read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let is_whole = line.pop_if(|last| *last == b'\n').is_some();
        line.pop_if(|last| is_whole && *last == b'\r');
        if line.len() > longest {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("line {number} is longer than {longest} bytes, and no message is"),
            ));
        }
        if !line.is_empty() {
            feed(bodies, number, line.into()).await;
        }
    }
}

async fn feed(bodies: &mpsc::Sender<Numbered>, number: u64, body: Bytes) {
    // The other end is gone when a send has failed, and that is what will be reported.
    let _ = bodies.send(Numbered { number, body }).await;
}

/// An order for the example handler. Of a hundred, one fails in each way there is. Those that use
/// up all their attempts stay few, so that they do not look like an outage.
fn sample(number: u64) -> String {
    let order = |msg: &str| serde_json::json!({ "order_id": format!("o-{number}"), "msg": msg }).to_string();
    let exhausting = number < 800;
    match number % 100 {
        21 => format!("{{\"order_id\": \"o-{number}\", \"msg\": "),
        37 => serde_json::json!({ "msg": "an order without an id" }).to_string(),
        53 => order("reject"),
        61 | 62 => order("retry-until:2"),
        78 if exhausting => order("retry"),
        90 if exhausting => order("trap"),
        _ => order("two books"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_byte_order_mark_is_no_part_of_a_message_and_utf_16_is_refused_with_a_mend() {
        async fn read(file: &[u8]) -> Result<Vec<Bytes>, String> {
            let (bodies, mut produced) = mpsc::channel(8);
            let read = lines(file, &bodies, 100).await;
            drop(bodies);
            let mut found = Vec::new();
            while let Some(line) = produced.recv().await {
                found.push(line.body);
            }
            read.map(|()| found).map_err(|error| error.to_string())
        }
        assert_eq!(read(b"\xef\xbb\xbf[1]\r\n\xef\xbb\xbf\n").await.unwrap(), [&b"[1]"[..], UTF_8_MARK]);
        assert_eq!(read(b"").await.unwrap(), [] as [Bytes; 0]);
        for utf_16 in [&b"\xff\xfe[\0"[..], b"\xfe\xff\0["] {
            assert!(read(utf_16).await.unwrap_err().contains("iconv -f UTF-16"));
        }
    }

    #[test]
    fn a_thousand_samples_fail_in_each_way_and_never_in_so_many_that_the_breaker_opens() {
        let samples: Vec<_> = (0..1000).map(sample).collect();
        let count = |part: &str| samples.iter().filter(|body| body.contains(part)).count();
        assert_eq!(
            [count("\"reject\""), count("without an id"), count("retry-until"), count("books")],
            [10, 10, 20, 934]
        );
        let exhausting = count("\"retry\"") + count("\"trap\"");
        assert!((10..20).contains(&exhausting), "{exhausting}");
        assert_eq!(
            samples.iter().filter(|body| serde_json::from_str::<serde_json::Value>(body).is_err()).count(),
            10
        );
    }
}
