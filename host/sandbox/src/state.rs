//! What the host keeps for one running guest.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use crate::account::Account;
use crate::guest_log::{GuestLog, Printer, StdStream};
use crate::http::GuestHttp;
use crate::limits::Meter;
use crate::outbox::Outbox;
use crate::policy::Policy;
use crate::session::GuestSession;

/// What the host keeps for one running guest.
pub(crate) struct GuestState {
    wasi: WasiCtx,
    resources: ResourceTable,
    pub(crate) http: GuestHttp,
    pub(crate) meter: Meter,
    /// Of the guest's memory, and of what the host keeps for it.
    pub(crate) account: Arc<Account>,
    pub(crate) log: Arc<GuestLog>,
    pub(crate) outbox: Outbox,
    pub(crate) session: GuestSession,
    pub(crate) policy: Arc<Policy>,
}

impl GuestState {
    /// WASI's clocks and random numbers, and what was granted. There are no arguments, files,
    /// sockets or name lookup.
    pub(crate) fn new(policy: &Arc<Policy>, message_id: String) -> Self {
        let log = Arc::new(GuestLog::new(message_id, policy.limits.log, policy.limits.log_tail));
        let account = Arc::new(Account::new(policy.limits.memory));
        let mut wasi = WasiCtx::builder();
        wasi.allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .envs(&policy.grants.env)
            // Random bytes are made in one go, which nothing interrupts.
            .max_random_size(policy.limits.per_call as u64)
            .stdout(Printer::new(&log, StdStream::Stdout))
            .stderr(Printer::new(&log, StdStream::Stderr));
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(policy.limits.handles);
        Self {
            wasi: wasi.build(),
            resources,
            http: GuestHttp::new(&log, policy, &account),
            meter: Meter::new(&account, &policy.limits),
            account,
            log,
            outbox: Outbox::default(),
            session: GuestSession::default(),
            policy: Arc::clone(policy),
        }
    }

    /// Forgets one message for the next.
    pub(crate) fn begin(&mut self, message_id: String) {
        self.log.begin(message_id);
        self.meter.begin();
        self.outbox.take();
        self.http = GuestHttp::new(&self.log, &self.policy, &self.account);
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

impl WasiHttpView for GuestState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        self.http.view(&mut self.resources)
    }
}
