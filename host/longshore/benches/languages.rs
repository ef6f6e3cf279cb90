//! The same handler in each language: from process start to the first message completed, by where
//! its machine code comes from, and what a message costs in a fresh instance and in one that is
//! kept.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use longshore_handler::Verdict;
use longshore_sandbox::{Sandbox, Settings};
use longshore_testkit::sample;
use longshore_testkit::wait::until;

use super::bare::Bare;
use super::call::{self, Times};
use super::start;
use super::workbench::{Workbench, percentile};

const STARTS: usize = 15;
const MESSAGES: usize = 300;
const BODY: &str = r#"{"order_id":"o-1","msg":"two books and a pen"}"#;

pub(super) fn measure(workbench: &Workbench) {
    let root = longshore_testkit::root();
    let registry = Registry::start(workbench);
    println!("start to first message completed, p50 ms     cold  warm cache  precompiled  registry's cache");
    let mut turn = 1_000_000;
    let languages = [
        ("Rust", workbench.component.clone()),
        ("Python", root.join("guest/python/target/order-python.wasm")),
        ("JavaScript", root.join("guest/js/target/order-js.wasm")),
    ];
    for (language, component) in &languages {
        let starts = Starts::new(workbench, language, component, registry.as_ref());
        let figures: Vec<_> = starts.ways.iter().map(|way| starts.of(way, &mut turn)).collect();
        println!("  {language:<42} {}", figures.join("  "));
    }
    println!(
        "\none message, p50 µs   instantiate      call      drop   all, fresh   bare Wasmtime, fresh   --reuse 100"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    for (language, component) in &languages {
        let [instantiate, called, dropped, all] = runtime.block_on(message(component, 1));
        let [.., reused] = runtime.block_on(message(component, 100));
        let bare = runtime.block_on(bare_message(component));
        println!(
            "  {language:<19} {instantiate:>11.0} {called:>9.0} {dropped:>9.0} {all:>12.0} {bare:>22.0} {reused:>13.0}"
        );
    }
}

/// The ways in which one handler is started.
struct Starts<'a> {
    workbench: &'a Workbench,
    ways: Vec<Way>,
}

struct Way {
    arguments: Vec<String>,
    /// How often it is measured. What is compiled first is so only once.
    times: usize,
}

impl<'a> Starts<'a> {
    fn new(workbench: &'a Workbench, language: &str, component: &Path, registry: Option<&Registry>) -> Self {
        let (cache, artifact) =
            (workbench.directory(language), workbench.directory(&format!("{language}-aot")).join("aot"));
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        let longshore = |arguments: &[&str]| {
            let output = Command::new(&workbench.host).args(arguments).output().expect("longshore runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("UTF-8")
        };
        longshore(&["compile", &text(component), "--to", &text(&artifact)]);
        let component = ["--component".to_owned(), text(component)];
        let cached = ["--cache-dir".to_owned(), text(&cache)];
        let compiled = [&cached[..], &component].concat();
        let precompiled = [&compiled[..], &["--precompiled".to_owned(), text(&artifact)]].concat();
        let mut ways = vec![
            Way { arguments: compiled.clone(), times: 1 },
            Way { arguments: compiled, times: STARTS },
            Way { arguments: precompiled, times: STARTS },
        ];
        if let Some(Registry { name, .. }) = registry {
            let to = format!("oci://{name}/{}:1", language.to_lowercase());
            let pushed = longshore(&["push", "--precompiled", "--output", "json", &component[1], &to]);
            let pushed: serde_json::Value = serde_json::from_str(&pushed).expect("JSON");
            let address = pushed["address"].as_str().expect("an address").to_owned();
            longshore(&["invoke", "--component", &address, BODY, "--cache-dir", &text(&cache)]);
            // In the cache by now; nothing of it is compiled.
            ways.push(Way {
                arguments: [&cached[..], &["--component".into(), address]].concat(),
                times: STARTS,
            });
        }
        let _ = std::fs::remove_dir_all(cache.join("compiled"));
        Self { workbench, ways }
    }

    fn of(&self, way: &Way, turn: &mut usize) -> String {
        let mut times: Vec<_> = (0..way.times)
            .map(|_| {
                *turn += 1;
                start::first_message(self.workbench, *turn, &way.arguments)
            })
            .collect();
        format!("{:>9.1}", percentile(&mut times, 50) / 1000.0)
    }
}

/// What a message costs, p50 in µs: to instantiate, to call, to drop, and all together.
async fn message(component: &Path, reuse: u32) -> [f64; 4] {
    let (bytes, sandbox) = load(component, reuse);
    let handler = sandbox.load(&bytes).expect("the handler loads");
    let mut times = Times::default();
    for _ in 0..MESSAGES {
        let invocation = sample::invocation(call::ID, BODY);
        let mut watch = times.watch();
        let answer = handler.invoke_observed(invocation, |step| watch.over(step)).await;
        watch.end();
        assert_eq!(answer.verdict, Verdict::Completed);
    }
    let [_, steps @ ..] = times.steps.each_mut().map(|it| percentile(it, 50));
    let [instantiate, called, dropped] = steps;
    [instantiate, called, dropped, percentile(&mut times.all, 50)]
}

/// The same in an instance with nothing of ours around it.
async fn bare_message(component: &Path) -> f64 {
    let (bytes, sandbox) = load(component, 1);
    let bare = Bare::new(sandbox.engine(), &bytes);
    let mut times = Times::default();
    for _ in 0..MESSAGES {
        let watch = times.watch();
        bare.fresh(BODY.as_bytes(), |_| {}).await;
        watch.end();
    }
    percentile(&mut times.all, 50)
}

fn load(component: &Path, reuse: u32) -> (Vec<u8>, Sandbox) {
    let bytes = std::fs::read(component).expect("the component: make guest guest-python guest-js");
    let settings = Settings { concurrency: 1, reuse, ..Settings::default() };
    (bytes, Sandbox::new(&settings).expect("a sandbox"))
}

/// Debian's registry, where it is installed.
struct Registry {
    child: Child,
    name: String,
}

impl Registry {
    fn start(workbench: &Workbench) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let (name, directory) = (format!("127.0.0.1:{port}"), workbench.directory("registry"));
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{name}'}}\n",
            directory.display()
        );
        let file = directory.join("config.yml");
        std::fs::write(&file, config).expect("a file");
        let mut command = Command::new("docker-registry");
        let child =
            command.arg("serve").arg(file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let registry = Self { child, name };
        until("the registry, to listen", || TcpStream::connect(&registry.name).ok());
        Some(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
