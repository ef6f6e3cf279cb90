//! One invocation: an instance of its own, one call, and an end to it.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::Store;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use super::Component;
use super::bindings::exports::longshore::handler::handler::Failure;
use super::contract::Instantiated;
use super::engine::Shared;
use super::failure::{self, Phase};
use super::http::Http;
use super::limits::Meter;
use super::outbox::Outbox;
use super::output::{Output, Printer, Stream};
use super::usage::metered;
use longshore_handler::{Answer, Invocation, RetryReason, Usage, Verdict};

/// What the host keeps for one running guest.
pub(super) struct State {
    wasi: WasiCtx,
    resources: ResourceTable,
    pub(super) http: Http,
    pub(super) meter: Meter,
    pub(super) output: Arc<Output>,
    pub(super) outbox: Outbox,
    pub(super) shared: Arc<Shared>,
}

impl State {
    /// Nothing but WASI's clocks and random numbers, and what was granted: no arguments, files, sockets or name lookup.
    fn new(shared: &Arc<Shared>, message_id: String) -> Self {
        let output = Arc::new(Output::new(message_id, shared.limits.log));
        let mut wasi = WasiCtx::builder();
        wasi.allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .envs(&shared.grants.env)
            .stdout(Printer::new(&output, Stream::Stdout))
            .stderr(Printer::new(&output, Stream::Stderr));
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(shared.limits.handles);
        Self {
            wasi: wasi.build(),
            resources,
            http: Http::new(&output, shared),
            meter: Meter::new(&shared.limits),
            output,
            outbox: Outbox::default(),
            shared: Arc::clone(shared),
        }
    }

    /// Forgets one message for the next.
    fn begin(&mut self, message_id: String) {
        self.output.begin(message_id);
        self.meter.begin();
        self.outbox.take();
        self.http = Http::new(&self.output, &self.shared);
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.http.view(&mut self.resources)
    }
}

/// The parts of one invocation, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What the host keeps for the guest: its store, and WASI in it.
    Store,
    /// The guest's memory, tables and start.
    Instantiate,
    /// `handle`, the message's way in and the answer's way out.
    Call,
    /// The memory back to what it was, and everything else freed.
    Drop,
}

/// A store, and the guest in it once there is one.
struct Instance {
    store: Store<State>,
    guest: Option<Instantiated>,
    /// How many messages it was given.
    messages: u32,
}

/// Instances that handled a message well and may handle another; always empty where none may.
#[derive(Clone, Default)]
pub(super) struct Idle(Arc<Mutex<Vec<Instance>>>);

impl Idle {
    fn take(&self) -> Option<Instance> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn keep(&self, instance: Instance) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
    }
}

impl Component {
    /// Hands a message to an instance, a fresh one unless reuse is allowed, and says what became of it. Never fails:
    /// whatever goes wrong is a verdict.
    ///
    /// Must run on a tokio runtime with its timer. Dropping the future interrupts the guest, at its next 10 ms tick at
    /// the latest, and throws the instance away.
    pub async fn invoke(&self, invocation: Invocation) -> Answer {
        self.invoke_observed(invocation, |_| {}).await
    }

    /// As [`invoke`](Component::invoke), and says when each [`Step`] is over, for measurements of where the time goes.
    pub async fn invoke_observed(&self, invocation: Invocation, mut over: impl FnMut(Step) + Send) -> Answer {
        let (started, mut cpu) = (Instant::now(), Duration::ZERO);
        let deadline = invocation.deadline;
        let mut instance = self.instance(invocation.id.clone());
        over(Step::Store);
        // The guest gives way at each tick, also in an endless loop: that is when this timer gets its turn.
        let in_time = {
            // In its place from the start: it is large, and would be copied with each wrapper.
            let call = pin!(instance.call(self, &invocation, &mut over));
            tokio::time::timeout(deadline, metered(call, &mut cpu)).await
        };
        let verdict = in_time.unwrap_or_else(|_| {
            let deadline = humantime::format_duration(deadline);
            Verdict::retry(RetryReason::Deadline, format!("no answer within {deadline}"))
        });
        over(Step::Call);
        let state = instance.store.data_mut();
        let usage = Usage { time: started.elapsed(), cpu, peak_memory: state.meter.peak() };
        let mut outbox = Vec::new();
        let completed = verdict == Verdict::Completed;
        if completed {
            outbox = state.outbox.take();
        }
        if completed && instance.messages < self.shared.reuse {
            instance.store.data().output.finish();
            self.idle.keep(instance);
        } else {
            drop(instance);
        }
        over(Step::Drop);
        Answer { verdict, outbox, usage }
    }

    fn instance(&self, message_id: String) -> Instance {
        if self.shared.reuse > 1
            && let Some(mut instance) = self.idle.take()
        {
            instance.store.data_mut().begin(message_id);
            return instance;
        }
        let mut store = Store::new(&self.shared.engine, State::new(&self.shared, message_id));
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(self.shared.limits.per_call);
        store.set_max_component_handles(self.shared.limits.handles);
        store.epoch_deadline_async_yield_and_update(1);
        Instance { store, guest: None, messages: 0 }
    }
}

impl Instance {
    async fn call(
        &mut self,
        component: &Component,
        invocation: &Invocation,
        over: &mut (impl FnMut(Step) + Send),
    ) -> Verdict {
        let Self { store, guest, messages } = self;
        *messages += 1;
        store.set_epoch_deadline(1);
        let guest = match guest {
            Some(guest) => guest,
            None => match component.guest.instantiate(store).await {
                Ok(made) => guest.insert(made),
                Err(error) => return failure::verdict(&error, Phase::Start, store.data()),
            },
        };
        over(Step::Instantiate);
        match guest.handle(store, invocation).await {
            Ok(Ok(())) => Verdict::Completed,
            Ok(Err(Failure::Retry(retry))) => {
                let (said, after) =
                    (failure::detail(retry.reason), retry.after_ms.map(Duration::from_millis));
                // No HTTP error traps: a guest that met a limit says so in its own words.
                match store.data().http.exceeded() {
                    Some(limit) => {
                        let detail = format!("{limit}; the handler said: {said}");
                        Verdict::Retry { reason: RetryReason::HttpLimit, detail, after }
                    }
                    None => Verdict::Retry { reason: RetryReason::Requested, detail: said, after },
                }
            }
            Ok(Err(Failure::Reject(reason))) => Verdict::Reject { detail: failure::detail(reason) },
            Err(error) => failure::verdict(&error, Phase::Call, store.data()),
        }
    }
}
