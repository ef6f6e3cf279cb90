//! Other people's clients: what they write is handled, and what we write they read.

use std::process::Command;

use crate::storage::azurite::{fresh, installed, plain};
use crate::storage::host::Host;
use longshore_testkit::needs;
use longshore_testkit::queue_suite::text;

/// The official SDKs of two other languages.
fn clients() -> [Command; 2] {
    let mut python = Command::new(installed(".venv/bin/python"));
    python.arg(installed("python/client.py"));
    installed("node/node_modules");
    let mut javascript = needs::program("node", needs::SERVICES);
    javascript.arg(installed("node/client.js"));
    [python, javascript]
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn receive(mut client: Command, url: &str) -> Vec<String> {
    serde_json::from_str(&output(client.args(["receive", url]))).unwrap()
}

#[test]
fn what_other_clients_send_as_text_and_as_base64_is_handled() {
    for mut client in clients() {
        let host = Host::signed();
        let order = |n: u32| format!(r#"{{"order_id":"o-{n} <&>é😀","msg":"ok"}}"#);
        let program: Vec<_> = client.get_args().map(std::ffi::OsStr::to_owned).collect();
        for encoding in ["text", "base64"] {
            let sent = ["send", &host.url, encoding, &order(1), &order(2)].map(str::to_owned);
            output(client.args(sent));
            let mut again = Command::new(client.get_program());
            again.args(&program);
            client = again;
        }
        let ran = host.run(&["--linger", "0"]).succeeded();
        assert_eq!(ran.json()["completed"], 4, "{client:?}: {ran:?}");
    }
}

#[test]
fn what_we_send_and_poison_is_read_by_other_clients() {
    for client in [0, 1] {
        let host = Host::signed();
        let body = r#"{"order_id":"<&>é😀","msg":"reject"}"#;
        host.start(&["send", body]).succeeded();
        host.run(&[]).succeeded();
        let [queue, poison] =
            ["", "-poison"].map(|suffix| plain().signed(&format!("{}{suffix}", host.name())));
        let envelopes = receive(clients().into_iter().nth(client).unwrap(), &poison);
        let envelope: serde_json::Value = serde_json::from_str(&envelopes[0]).unwrap();
        assert_eq!((&envelope["reason"], &envelope["body"]), (&"rejected".into(), &body.into()));
        host.start(&["send", body]).succeeded();
        assert_eq!(receive(clients().into_iter().nth(client).unwrap(), &queue), [body]);
    }
}

#[tokio::test]
async fn line_ends_and_markup_survive_other_clients() {
    // The JavaScript SDK does not read the reference that Azurite writes for a carriage return.
    for (client, body) in clients().into_iter().zip(["a\r\n<b>&amp;]]>\t", "a\n<b>&amp;]]>\t"]) {
        let name = fresh();
        let queue = plain().named(&name);
        queue.create().await.unwrap();
        queue.send(text(body)).await.unwrap();
        assert_eq!(receive(client, &plain().signed(&name)), [body]);
    }
}
