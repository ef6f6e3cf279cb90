//! A handler that calls the server whose URL is its message in each way that `longshore_guest::http`
//! has. It rejects the message with what it was answered: the host's tests compare it with what the
//! server saw.

use std::time::Duration;

use longshore_guest::http::{self, Request};
use longshore_guest::{Failure, Message};

// The names of a component's exports are none that the linkers of other systems take.
#[cfg(target_family = "wasm")]
longshore_guest::export!(bytes: probe);

#[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "only a component calls it"))]
fn probe(body: &[u8], _: &Message) -> Result<(), Failure> {
    let base = str::from_utf8(body)?;
    let got = Request::new("GET", &format!("{base}/got?x=1")).header("X-Of-Mine", "7");
    let answers = [
        got.header("Host", "elsewhere").send()?,
        Request::new("POST", &format!("{base}/posted"))
            .body("text")
            .timeout(Duration::from_secs(10))
            .send()?,
        http::put(&format!("{base}/put"), b"file".repeat(50_000))?,
        http::patch(&format!("{base}/patched"), "in pieces")?,
        http::delete(&format!("{base}/deleted"))?,
        http::head(&format!("{base}/status/404"))?,
    ];
    let mut said: Vec<_> = answers.iter().map(|it| (serde_json::json!(it.status), it.text())).collect();
    if let Err(failed) = http::get("https://never.granted.example/") {
        said.push((failed.is_refused().into(), failed.to_string()));
    }
    Err(Failure::reject(serde_json::to_string(&said)?))
}
