//! A bare Wasmtime loop: an instance for each message, with nothing of ours around it but the
//! contract.

use longshore_sandbox::InvocationStep;
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "longshore:handler/guest",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

use bindings::exports::longshore::handler::handler::Message;
use bindings::longshore::handler::session;
use bindings::wasi::logging::logging;
use bindings::{Guest, GuestPre};

/// Ticks that no measurement reaches.
const NEVER: u64 = 1_000_000;

struct State {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl logging::Host for State {
    fn log(&mut self, _: logging::Level, context: String, message: String) {
        std::hint::black_box((context, message));
    }
}

/// Components of Python and JavaScript import it whether they use it or not.
impl session::Host for State {
    fn get_state(&mut self) -> Result<Option<Vec<u8>>, session::Error> {
        Err(session::Error::NoSession(String::new()))
    }

    fn set_state(&mut self, _: Option<Vec<u8>>) -> Result<(), session::Error> {
        Err(session::Error::NoSession(String::new()))
    }
}

/// A handler in an engine.
pub(super) struct Bare {
    engine: Engine,
    guest: GuestPre<State>,
}

/// An instance that lives for many messages.
pub(super) struct Reused {
    store: Store<State>,
    guest: Guest,
}

impl Bare {
    pub(super) fn new(engine: &Engine, component: &[u8]) -> Self {
        let component = Component::new(engine, component).expect("it compiles");
        let mut linker = Linker::<State>::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).expect("WASI links");
        logging::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state).expect("the log links");
        session::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state).expect("sessions link");
        let guest = GuestPre::new(linker.instantiate_pre(&component).expect("it links")).expect("a handler");
        Self { engine: engine.clone(), guest }
    }

    /// One message in an instance of its own, and when each step of it is over.
    pub(super) async fn fresh(&self, body: &[u8], mut over: impl FnMut(InvocationStep)) {
        let mut store = self.store();
        over(InvocationStep::Store);
        let guest = self.guest.instantiate_async(&mut store).await.expect("an instance");
        over(InvocationStep::Instantiate);
        call(&mut store, &guest, body).await;
        over(InvocationStep::Call);
        drop(store);
        over(InvocationStep::Drop);
    }

    pub(super) async fn reused(&self) -> Reused {
        let mut store = self.store();
        let guest = self.guest.instantiate_async(&mut store).await.expect("an instance");
        Reused { store, guest }
    }

    fn store(&self) -> Store<State> {
        let state = State { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, state);
        store.set_epoch_deadline(NEVER);
        store
    }
}

impl Reused {
    /// One message, like any other but the first.
    pub(super) async fn call(&mut self, body: &[u8]) {
        call(&mut self.store, &self.guest, body).await;
    }
}

async fn call(store: &mut Store<State>, guest: &Guest, body: &[u8]) {
    let message = Message {
        id: "01a204d0-21f3-7157-b43c-e5df891e89fe",
        queue: "orders",
        body,
        dequeue_count: 1,
        inserted: 1_790_000_000_000,
        deadline: 30_000,
        properties: &[],
    };
    guest.longshore_handler_handler().call_handle(store, message).await.expect("no trap").expect("completed");
}
