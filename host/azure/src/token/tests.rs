use std::sync::atomic::{AtomicUsize, Ordering};

use azure_core::credentials::TokenRequestOptions;

use super::*;

/// Gives tokens that live so many seconds; `None`: does not answer.
#[derive(Debug)]
struct Fake(Arc<Script>);

#[derive(Debug, Default)]
struct Script {
    asked: AtomicUsize,
    life_s: Mutex<Option<i64>>,
}

#[async_trait::async_trait]
impl TokenCredential for Fake {
    async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> Result<AccessToken, Error> {
        let number = self.0.asked.fetch_add(1, Ordering::Relaxed);
        let life = *self.0.life_s.lock().unwrap();
        let Some(life) = life else { return std::future::pending().await };
        let expires = OffsetDateTime::now_utc() + azure_core::time::Duration::seconds(life);
        Ok(AccessToken::new(format!("token {number}"), expires))
    }
}

fn tokens(life_s: Option<i64>) -> (Arc<Script>, Arc<Tokens>) {
    let script = Arc::new(Script { life_s: Mutex::new(life_s), ..Script::default() });
    let fakes = script.clone();
    let credential = CredentialUse {
        source: Box::new(move || Ok(Arc::new(Fake(fakes.clone())))),
        who: "the identity",
        mend: "look after it".into(),
        one_try: Duration::from_secs(6),
        is_asked_again: true,
    };
    (script, Arc::new(Tokens::new(credential, "scope")))
}

#[tokio::test(start_paused = true)]
async fn a_cold_start_without_identity_ends_within_20_s_with_the_cause_and_the_mend() {
    let (script, tokens) = tokens(None);
    let started = Instant::now();
    let asking: Vec<_> = (0..20)
        .map(|_| {
            tokio::spawn({
                let tokens = tokens.clone();
                async move { tokens.token().await.unwrap_err() }
            })
        })
        .collect();
    for asked in asking {
        let error = asked.await.unwrap();
        assert_eq!(error.to_string(), "the identity gave no token: no answer within 6 s; look after it");
        assert!(error.never_had);
    }
    assert!(tokens.token().await.is_err(), "and at once when asked again");
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(script.asked.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_valid_token_is_never_waited_for_while_the_identity_is_down() {
    let (script, tokens) = tokens(Some(3600));
    tokens.token().await.unwrap();
    *script.life_s.lock().unwrap() = None;
    for _ in 0..3000 {
        sleep(Duration::from_secs(1)).await;
        let asked = Instant::now();
        assert_eq!(tokens.token().await.unwrap().secret(), "token 0");
        assert_eq!(asked.elapsed(), Duration::ZERO);
    }
    assert!(script.asked.load(Ordering::Relaxed) > 10, "it was tried again meanwhile");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_refreshed_ahead_of_its_expiry_without_anybody_asking() {
    let (script, tokens) = tokens(Some(3600));
    tokens.token().await.unwrap();
    sleep(Duration::from_secs(1795)).await;
    assert_eq!(script.asked.load(Ordering::Relaxed), 1);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(script.asked.load(Ordering::Relaxed), 2);
    assert_eq!(tokens.token().await.unwrap().secret(), "token 1");
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_s_service_refuses_is_replaced_now_and_then_and_stays_where_there_is_no_other() {
    let (script, tokens) = tokens(Some(3600));
    let first = tokens.token().await.unwrap();
    let asked = |script: &Script| script.asked.load(Ordering::Relaxed);
    let refused: Vec<_> = (0..16)
        .map(|_| {
            let (tokens, refused) = (tokens.clone(), first.secret().to_owned());
            tokio::spawn(async move { tokens.replacement(&refused).await.unwrap() })
        })
        .collect();
    for another in refused {
        assert_eq!(another.await.unwrap().secret(), "token 1", "one for all");
    }
    assert_eq!(asked(&script), 2);
    assert!(tokens.replacement("token 1").await.is_none(), "it is refused for another cause");
    assert_eq!(asked(&script), 2);
    sleep(REPLACED_AGAIN).await;
    *script.life_s.lock().unwrap() = None;
    let started = Instant::now();
    assert!(tokens.replacement("token 1").await.is_none(), "the identity is down");
    assert!(started.elapsed() <= Duration::from_secs(6), "{:?}", started.elapsed());
    assert_eq!(tokens.token().await.unwrap().secret(), "token 1", "another service may take it");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once_however_many_were_refused_with_it() {
    let (script, tokens) = tokens(Some(3600));
    let first = tokens.token().await.unwrap();
    tokens.refused(&first);
    let second = tokens.token().await.unwrap();
    tokens.refused(&first);
    assert_eq!(tokens.token().await.unwrap().secret(), second.secret());
    assert_eq!(script.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_does_not_end_the_fetch_that_it_began() {
    let (script, tokens) = tokens(None);
    let gave_up = tokio::time::timeout(Duration::from_secs(1), tokens.token()).await;
    assert!(gave_up.is_err());
    // The identity answers again when it is asked the second time, after 6 s.
    *script.life_s.lock().unwrap() = Some(3600);
    sleep(Duration::from_secs(8)).await;
    assert_eq!(script.asked.load(Ordering::Relaxed), 2);
    let asked = Instant::now();
    assert_eq!(tokens.token().await.unwrap().secret(), "token 1");
    assert_eq!((asked.elapsed(), script.asked.load(Ordering::Relaxed)), (Duration::ZERO, 2));
}
