//! Arbitrary bytes as what `az` and `azd` print.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Output};
use std::sync::{Arc, Mutex};

use azure_core::credentials::TokenCredential;
use azure_identity::{DeveloperToolsCredential, DeveloperToolsCredentialOptions, Executor};
use longshore_testkit::fuzz::{FuzzTarget, feed};

use crate::failed_try::{FailedTry, MAX_WORDS};

const PRINTED_TARGET: &str = "tool-output";

/// A tool that prints what it is told to.
#[derive(Debug, Default)]
struct ToldTool(Mutex<Vec<u8>>);

#[async_trait::async_trait]
impl Executor for ToldTool {
    async fn run(&self, _: &OsStr, _: &[&OsStr]) -> io::Result<Output> {
        let printed = self.0.lock().unwrap().clone();
        // The first byte is the exit code, and the rest is printed to one stream.
        let (code, text) = printed.split_first().map_or((0, &[][..]), |(code, text)| (*code, text));
        let code = if code == b'0' { 0 } else { i32::from(code) };
        let (stdout, stderr) = if code == 0 { (text, &[][..]) } else { (&[][..], text) };
        Ok(Output {
            status: ExitStatus::from_raw(code << 8),
            stdout: stdout.to_vec(),
            stderr: stderr.to_vec(),
        })
    }
}

#[test]
fn whatever_a_tool_prints_it_is_a_token_or_said_in_few_words() {
    let target = FuzzTarget::of_texts(
        PRINTED_TARGET,
        module_path!(),
        &[
            "\"accessToken\":",
            "\"expires_on\":",
            "\"expiresOn\":",
            "\"token\":",
            "To troubleshoot,",
            "null",
            "az login",
            "\n",
        ],
        &[
            r#"0{"accessToken":"secret","expiresOn":"2026-11-27 03:00:00.000000","expires_on":1790003600,"subscription":"s","tenant":"t","tokenType":"Bearer"}"#,
            r#"0{"token":"secret","expiresOn":"2026-11-27T03:00:00Z"}"#,
            "1ERROR: Please run 'az login' to setup account.\n",
            "1Invoke-Error: To troubleshoot, visit https://aka.ms/a",
        ],
    );
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    feed(&target, |bytes| {
        let tool = Arc::new(ToldTool(Mutex::new(bytes.to_vec())));
        let options = DeveloperToolsCredentialOptions { executor: Some(tool) };
        let credential = DeveloperToolsCredential::new(Some(options)).unwrap();
        match runtime.block_on(credential.get_token(&["https://storage.azure.com/.default"], None)) {
            Ok(token) => format!("a token {}", token.token.secret().is_empty()),
            Err(error) => {
                let FailedTry { cause, .. } = FailedTry::of(&error);
                assert!(cause.chars().count() <= MAX_WORDS, "{cause}");
                cause
            }
        }
    });
}
