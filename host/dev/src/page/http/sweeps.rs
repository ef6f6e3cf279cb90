//! Poison messages that are sent back or deleted: first a question, then what was asked.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;

use super::Site;
use super::form::{form, not_allowed, refused};
use crate::page::actions::{ChosenPoison, PoisonSweep, SweepCount, SweepVerb};
use crate::page::board::Board;
use crate::page::text::{counted, decoded, number, was};
use crate::page::view::{self, Question};

/// Which poison messages, or a yes to the question about them.
#[derive(Deserialize)]
struct SweepForm {
    id: Option<String>,
    group: Option<String>,
    all: Option<String>,
    /// The word of the question.
    asked: Option<String>,
}

/// Poison messages, back to their queue.
pub(super) async fn redrive(State(site): State<Site>, request: Request) -> Response {
    answered(&site, request, SweepVerb::Redrive).await
}

/// Poison messages, deleted.
pub(super) async fn purge(State(site): State<Site>, request: Request) -> Response {
    answered(&site, request, SweepVerb::Purge).await
}

async fn answered(site: &Site, request: Request, verb: SweepVerb) -> Response {
    let board = &site.board;
    let (form, is_page) = match form::<SweepForm>(request, site).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    if !board.rights.messages {
        return not_allowed(board, is_page);
    }
    let done = match &form.asked {
        Some(handle) => done_as_asked(site, verb, handle, is_page).await,
        None => match chosen(board, &form).await {
            Ok(chosen) => asked(site, PoisonSweep { verb, chosen }, None, is_page).await,
            Err(words) => Err(words),
        },
    };
    done.unwrap_or_else(|words| refused(board, &words, is_page))
}

/// Those that a form names, as they are at this moment.
async fn chosen(board: &Arc<Board>, form: &SweepForm) -> Result<ChosenPoison, String> {
    match (&form.id, &form.group, &form.all) {
        (Some(id), None, None) => Ok(ChosenPoison::these(vec![decoded(id)])),
        (None, Some(group), None) => {
            let groups = board.look().await.groups();
            let found = groups.into_iter().find(|it| view::group_key(it) == *group);
            let found = found.ok_or("none of this group lies in the poison queue any more")?;
            Ok(ChosenPoison::these(found.ids))
        }
        (None, None, Some(_)) => Ok(ChosenPoison::default()),
        _ => Err("the form has to name one message, one group, or all".into()),
    }
}

/// The question. `before` is what it said before, where something has changed since.
async fn asked(
    site: &Site,
    mut sweep: PoisonSweep,
    before: Option<u64>,
    is_page: bool,
) -> Result<Response, String> {
    let board = &site.board;
    let now = Timestamp::now();
    let foreseen = board.actions.foresee(&sweep).await?;
    let messages = match foreseen.of_about {
        Some(about) => {
            format!("At least {} of about {}", number(foreseen.messages), counted(about, "message"))
        }
        None => counted(foreseen.messages, "message"),
    };
    let first = match sweep.verb {
        SweepVerb::Redrive => format!("{messages} would go back to the queue, and be handled anew."),
        SweepVerb::Purge => format!("{messages} would be deleted. Nobody can bring them back."),
    };
    let changed = before.map(|before| format!("There were {} when this was asked.", number(before)));
    let stay = skipped(&foreseen, "would stay");
    let words: Vec<_> = std::iter::once(first).chain(changed).chain(stay).collect();
    if foreseen.messages == 0 {
        return Ok(view::answer(board, "Nothing to do", &words, is_page).into_response());
    }
    let yes = match (sweep.verb, foreseen.of_about) {
        (SweepVerb::Redrive, None) => format!("Redrive {messages}"),
        (SweepVerb::Purge, None) => format!("Delete {messages}"),
        (SweepVerb::Redrive, Some(_)) => "Redrive all of them".to_owned(),
        (SweepVerb::Purge, Some(_)) => "Delete all of them".to_owned(),
    };
    if sweep.chosen.ids.is_empty() {
        sweep.chosen.at_most = Some(foreseen.of_about.unwrap_or(foreseen.messages));
        // The clock of the service is another one.
        sweep.chosen.until = Some(foreseen.inserted_until.unwrap_or(now));
    }
    let (title, action, is_danger) = match sweep.verb {
        SweepVerb::Redrive => ("Send them back?", "/poison/redrive", false),
        SweepVerb::Purge => ("Delete them for good?", "/poison/purge", true),
    };
    let handle = site.questions.ask(sweep, foreseen);
    let fields = [("asked", &*handle)];
    let question = Question { title, words: &words, action, fields: &fields, yes: &yes, is_danger };
    Ok(view::question(board, &question, is_page).into_response())
}

/// What was asked is done, and nothing else. Where it would be more by now, it is asked anew.
async fn done_as_asked(
    site: &Site,
    verb: SweepVerb,
    handle: &str,
    is_page: bool,
) -> Result<Response, String> {
    let board = &site.board;
    let asked_before = site.questions.answered(handle).filter(|it| it.sweep.verb == verb);
    let asked_before =
        asked_before.ok_or("this question was answered already, or is too old; ask once more")?;
    let mut sweep = asked_before.sweep;
    let there = board.look_again().await;
    if there.of_about.is_none() && there.problem.is_none() {
        // What somebody else has dealt with meanwhile is no reason to leave the others.
        let had = sweep.chosen.ids.len();
        sweep.chosen.ids.retain(|id| there.message(id).is_some());
        if had > 0 && sweep.chosen.ids.is_empty() {
            return Err("none of them lies in the poison queue any more".into());
        }
    }
    let said = asked_before.foreseen.of_about.unwrap_or(asked_before.foreseen.messages);
    let now = board.actions.foresee(&sweep).await?;
    if now.of_about.unwrap_or(now.messages) > said {
        let anew = PoisonSweep { chosen: ChosenPoison::these(sweep.chosen.ids), ..sweep };
        return asked(site, anew, Some(said), is_page).await;
    }
    let work = board.work.begin(verb, said, board.now().depth.and_then(|it| it.poison));
    let work = work.ok_or("another one is at work; wait for its end")?;
    // A task of its own: a browser that goes away ends nothing in the middle.
    let at_work = board.clone();
    let swept = tokio::spawn(async move {
        let swept = at_work.actions.sweep(&sweep).await;
        work.ends(&swept);
        at_work.forget_look().await;
        swept
    });
    let swept = swept.await.map_err(|_| "longshore is ending".to_owned())??;
    let (title, first) = match verb {
        SweepVerb::Redrive => ("Sent back", format!("{} sent back to the queue.", was(swept.messages))),
        SweepVerb::Purge => ("Deleted", format!("{} deleted.", was(swept.messages))),
    };
    let words: Vec<_> = std::iter::once(first).chain(skipped(&swept, "stayed")).collect();
    Ok(view::answer(board, title, &words, is_page).into_response())
}

/// How many stay, by reason.
fn skipped(count: &SweepCount, verb: &str) -> Vec<String> {
    let words = |(reason, count): &(String, u64)| format!("{} {verb}: {reason}", counted(*count, "message"));
    count.skipped.iter().map(words).collect()
}
