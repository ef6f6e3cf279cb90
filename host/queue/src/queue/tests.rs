//! What a queue does that says nothing of its own.

use super::*;

/// A queue that says nothing about itself but its URL.
#[derive(Debug)]
struct Plain(QueueUrl);

#[async_trait::async_trait]
impl Queue for Plain {
    fn url(&self) -> &QueueUrl {
        &self.0
    }
    async fn create(&self) -> Result<bool, QueueError> {
        Ok(false)
    }
    async fn may(&self, _: Right) -> Result<(), QueueError> {
        Ok(())
    }
    async fn receive(&self, _: u32, _: Duration) -> Result<Vec<Received>, QueueError> {
        Ok(Vec::new())
    }
    async fn send(&self, _: Outgoing) -> Result<String, QueueError> {
        Err(QueueError::busy(self.url(), "closed"))
    }
    async fn update(&self, _: &str, _: &Receipt, _: Duration) -> Result<Receipt, QueueError> {
        Err(QueueError::MessageNotFound)
    }
    async fn delete(&self, _: &str, _: &Receipt) -> Result<(), QueueError> {
        Err(QueueError::MessageNotFound)
    }
    async fn peek(&self, _: u32) -> Result<Vec<Message>, QueueError> {
        Ok(Vec::new())
    }
    async fn approximate_count(&self) -> Result<u64, QueueError> {
        Ok(0)
    }
}

#[test]
fn a_queue_takes_what_its_kind_takes_unless_it_says_otherwise() {
    for (url, limit) in [("file:./queues/orders", 65_536), ("sb://ns.servicebus.windows.net/orders", 256_000)]
    {
        let queue = Plain(url.parse().unwrap());
        assert_eq!(queue.max_body(), limit);
        assert!(queue.fits(&vec![b'x'; limit]) && !queue.fits(&vec![b'x'; limit + 1]), "{url}");
    }
}

#[test]
fn what_another_program_lists_and_deletes_is_refused_with_its_command() {
    let queue = Plain("sb://ns.servicebus.windows.net/in/orders".parse().unwrap());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(list)) = queue.list().as_mut().poll(&mut context) else { panic!() };
    let std::task::Poll::Ready(Err(delete)) = queue.delete_queue().as_mut().poll(&mut context) else {
        panic!()
    };
    assert_eq!(
        list.to_string(),
        "longshore does not list queues of the kind of sb://ns.servicebus.windows.net/in/orders; `az servicebus queue list --resource-group … --namespace-name ns --query [].name` does"
    );
    assert!(
        delete.to_string().ends_with(
            "; `az servicebus queue delete --resource-group … --namespace-name ns --name in/orders` does"
        ),
        "{delete}"
    );
}

#[test]
fn a_queue_promises_nothing_about_moving_and_holding_unless_it_says_so() {
    let queue = Plain("file:./queues/orders".parse().unwrap());
    assert_eq!(queue.longest_lease(), MAX_VISIBILITY);
    assert!(!queue.hides_only_while_running());
    let poison = queue.url().poison().unwrap();
    assert!(!queue.moves_to(&poison));
    let letter = DeadLetter { to: &poison, body: "a".into(), reason: "rejected", detail: "" };
    let receipt = Receipt("1.1".into());
    let moving = queue.dead_letter("1", &receipt, letter);
    // It waits for nothing, so that the first poll answers.
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let polled = std::pin::pin!(moving).as_mut().poll(&mut context);
    let std::task::Poll::Ready(Err(QueueError::Fault { mend, .. })) = polled else {
        panic!("{polled:?}");
    };
    assert_eq!(mend, "send a copy, then delete");
}
