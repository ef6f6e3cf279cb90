//! What the sessions of a queue are doing, for people. What is noted in the state of a session can
//! only be read by who holds it: each that is free is held for a moment. No credit is granted
//! meanwhile, so that no message is delivered, and none is counted.

use longshore_queue::{QueueError, SessionLook, SessionStanding};

use super::accept::{self, Accepted};
use super::{mark, requests};
use crate::servicebus::connection::Connected;
use crate::servicebus::management::peek_in;

/// How many sessions are listed with one request.
const PAGE: i32 = 100;

/// How many messages of a session are counted.
const COUNTED: u32 = SessionLook::MOST_COUNTED;

/// A session as it is now.
pub(in crate::servicebus) async fn at(connected: &Connected, id: &str) -> Result<SessionLook, QueueError> {
    let standing = match held(connected, id).await? {
        None => SessionStanding::Taken,
        Some(Accepted { session, .. }) => {
            let (found, _) = mark::read(session.state(connected).await?);
            match found.and_then(|it| it.stopped) {
                Some(_) => SessionStanding::StandsStill,
                None => SessionStanding::Free,
            }
        }
    };
    let peeked = peek_in(connected, &connected.entity().url, Some(id), 0, COUNTED).await?;
    let messages = peeked.iter().filter(|it| it.active).count() as u64;
    Ok(SessionLook { id: id.to_owned(), messages, standing })
}

/// Takes away what keeps a session still. What it was before is returned: `Taken` if somebody holds
/// it, whose it is to go on.
pub(in crate::servicebus) async fn let_go_on(
    connected: &Connected,
    id: &str,
) -> Result<SessionStanding, QueueError> {
    let Some(Accepted { session, link, .. }) = held(connected, id).await? else {
        return Ok(SessionStanding::Taken);
    };
    let (found, given) = mark::read(session.state(connected).await?);
    let standing = match found {
        Some(mut found) if found.stopped.is_some() => {
            found.stopped = None;
            session.set_state(connected, mark::write(&found, given.as_ref()).as_ref()).await?;
            SessionStanding::StandsStill
        }
        _ => SessionStanding::Free,
    };
    drop(link);
    Ok(standing)
}

/// The ids of the sessions that have messages or a state, as many as are listed; `None` if the
/// queue has no sessions.
pub(in crate::servicebus) async fn ids(connected: &Connected) -> Result<Option<Vec<String>>, QueueError> {
    let mut ids = Vec::new();
    loop {
        let from = i32::try_from(ids.len()).unwrap_or(i32::MAX);
        let page = match requests::list(connected, from, PAGE).await {
            // It does not do that for a queue without.
            Err(QueueError::Fault { .. }) => return Ok(None),
            listed => listed?,
        };
        if page.is_empty() || ids.len() >= SessionLook::MOST_LISTED {
            return Ok(Some(ids));
        }
        ids.extend(page);
    }
}

/// How many sessions of a queue have messages, whoever holds them; `None` if it has no sessions.
pub(in crate::servicebus) async fn with_messages(connected: &Connected) -> Result<Option<u64>, QueueError> {
    let Some(ids) = ids(connected).await? else { return Ok(None) };
    let mut found = 0;
    for id in &ids {
        // Sessions are listed that have a state and no messages as well.
        found += u64::from(requests::has_messages(connected, id).await?);
    }
    Ok(Some(found))
}

async fn held(connected: &Connected, id: &str) -> Result<Option<Accepted>, QueueError> {
    let name = format!("{}-look-{}", connected.entity().link, uuid::Uuid::now_v7());
    accept::accept(connected, &name, Some(id)).await
}
