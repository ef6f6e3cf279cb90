//! The example handler: what becomes of an order is what its text says. See the README.

use std::time::Duration;

use longshore_guest::{Failure, Message, info, session};
use serde::Deserialize;

/// An order event, as JSON: `{"order_id": "o-1", "msg": "ok"}`. Other fields are ignored.
#[derive(Debug, Deserialize)]
struct OrderEvent {
    /// The order's id, not empty.
    order_id: String,
    /// What shall become of it.
    msg: String,
}

longshore_guest::export!(handle);

fn handle(order: OrderEvent, message: &Message) -> Result<(), Failure> {
    if order.order_id.is_empty() {
        return Err(Failure::reject("order_id: must not be empty"));
    }
    let (wish, argument) = order.msg.split_once(':').unwrap_or((&order.msg, ""));
    match wish {
        "retry" => return Err(Failure::retry("the order asks for a retry")),
        "retry-after" => {
            let delay = Duration::from_millis(number(argument)?);
            return Err(Failure::retry_after("the order asks for a retry", delay));
        }
        "retry-until" if u64::from(message.dequeue_count) < number(argument)? => {
            return Err(Failure::retry("the order asks for more attempts"));
        }
        "reject" => return Err(Failure::reject("the order asks for a rejection")),
        "trap" => panic!("the order asks for a trap"),
        "sleep" => std::thread::sleep(Duration::from_millis(number(argument)?)),
        "spin" => spin(),
        "alloc" => allocate(),
        "append" | "append-late" | "append-then-retry" => {
            if wish == "append-late" {
                std::thread::sleep(Duration::from_secs(3));
            }
            let mut state = session::state()?.unwrap_or_default();
            state.extend(argument.as_bytes());
            session::set_state(&state)?;
            if wish == "append-then-retry" && message.dequeue_count == 1 {
                return Err(Failure::retry("the order asks for a retry"));
            }
        }
        "forget" => session::clear_state()?,
        "fill" => session::set_state(&vec![b'x'; usize::try_from(number(argument)?)?])?,
        "expect" if session::state()?.as_deref() != Some(argument.as_bytes()) => {
            return Err(Failure::reject("msg: the state of the session is another"));
        }
        _ => {}
    }
    info!("handled order {}", order.order_id);
    Ok(())
}

fn number(argument: &str) -> Result<u64, Failure> {
    argument.trim().parse().map_err(|_| Failure::reject("msg: expected a whole number after the colon"))
}

fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

fn allocate() -> ! {
    loop {
        std::mem::forget(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(order_id: &str, msg: &str, dequeue_count: u32) -> Result<(), Failure> {
        let message = Message { dequeue_count, ..Message::test("") };
        handle(OrderEvent { order_id: order_id.to_owned(), msg: msg.to_owned() }, &message)
    }

    #[test]
    fn the_outcome_is_what_the_order_says() {
        let after = Failure::retry_after("the order asks for a retry", Duration::from_millis(1500));
        for (msg, expected) in [
            ("ok", Ok(())),
            ("two books", Ok(())),
            ("", Ok(())),
            ("sleep:1", Ok(())),
            ("retry", Err(Failure::retry("the order asks for a retry"))),
            ("retry-after:1500", Err(after)),
            ("reject", Err(Failure::reject("the order asks for a rejection"))),
            ("sleep:long", Err(Failure::reject("msg: expected a whole number after the colon"))),
        ] {
            assert_eq!(outcome("o-1", msg, 1), expected, "{msg}");
        }
    }

    #[test]
    fn retry_until_completes_at_the_count_it_names() {
        assert!(matches!(outcome("o-1", "retry-until:3", 2), Err(Failure::Retry(_))));
        assert_eq!(outcome("o-1", "retry-until:3", 3), Ok(()));
    }

    #[test]
    fn an_order_without_an_id_is_rejected() {
        assert_eq!(outcome("", "ok", 1), Err(Failure::reject("order_id: must not be empty")));
    }
}
