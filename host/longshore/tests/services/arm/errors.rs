//! What goes wrong, and whether it is said what to do.

use serde_json::json;

use crate::arm::server::{Answer, JOB, Server};

#[test]
fn a_refused_token_is_replaced_once() {
    let server = Server::start(|call| match call.token.as_str() {
        "token-number-0" => Answer::error(401, "ExpiredAuthenticationToken", "the token has expired"),
        _ => Answer::ok(json!({ "name": "orders-1" })),
    });
    server.run(&["job", "start"]).ends_with(0);
    assert_eq!((server.tokens(), server.calls().len()), (2, 2));

    let server =
        Server::start(|_| Answer::error(401, "InvalidAuthenticationTokenTenant", "the wrong issuer"));
    server.run(&["job", "start"]).ends_with(3).says(&["the wrong issuer", "in one tenant"]);
    assert_eq!((server.tokens(), server.calls().len()), (2, 2));
}

#[test]
fn what_is_denied_names_the_role_and_where_it_is_missing() {
    let denied = || {
        let message = "The client 'c' with object id 'o' does not have authorization to perform the action.";
        Answer::error(403, "AuthorizationFailed", message)
    };
    for (verb, role, action) in [
        (&["job", "start"][..], "Container Apps Jobs Operator", "Microsoft.App/jobs/start/action"),
        (&["job", "start", "--env", "A=1"], "Reader", "Microsoft.App/jobs/read"),
        (&["job", "list"], "Reader", "Microsoft.App/jobs/executions/read"),
        (&["job", "status"], "Reader", "Microsoft.App/jobs/executions/read"),
        (&["job", "status", "e"], "Reader", "Microsoft.App/jobs/execution/read"),
        (&["job", "stop", "--all"], "Container Apps Jobs Operator", "Microsoft.App/jobs/stop/action"),
        (&["job", "stop", "e"], "Container Apps Jobs Operator", "Microsoft.App/jobs/stop/execution/action"),
    ] {
        let server = Server::start(move |_| denied());
        let scope = format!("on {JOB};");
        let (role, action) = (format!("`{role}`"), format!(" {action}, "));
        server.run(verb).ends_with(3).says(&["AuthorizationFailed", "object id 'o'", &role, &action, &scope]);
        assert_eq!(server.calls().len(), 1, "asking again changes nothing");
    }
}

#[test]
fn what_is_not_there_or_in_the_way_is_said_with_the_mend() {
    for (status, code, words) in [
        (404, "ResourceNotFound", &["cannot start the job", JOB, "az containerapp job list"][..]),
        (409, "ContainerAppOperationInProgress", &["somebody else is changing it"]),
        (400, "InvalidParameterValueInContainerTemplate", &["InvalidParameterValueInContainerTemplate: why"]),
    ] {
        let server = Server::start(move |_| Answer::error(status, code, "why"));
        server.run(&["job", "start"]).ends_with(3).says(words);
    }
    // Without the envelope, and without anything.
    let bare = Server::start(|_| Answer::Say(400, Vec::new(), json!({ "code": "Bare", "message": "why" })));
    bare.run(&["job", "list"]).ends_with(3).says(&["HTTP 400 Bare: why"]);
    let silent = Server::start(|_| Answer::Say(400, Vec::new(), json!(null)));
    silent.run(&["job", "list"]).ends_with(3).says(&["HTTP 400;"]);
}

#[test]
fn an_answer_of_somebody_else_is_not_taken_for_arms() {
    let server = Server::start(|_| Answer::ok(json!({ "executions": [] })));
    server.run(&["job", "list"]).ends_with(3).says(&["value", "no proxy's"]);
}

#[test]
fn wrong_names_are_found_before_anything_is_asked() {
    let server = Server::start(|_| Answer::Cut);
    for (args, env, words) in [
        (&["job", "list", "--job", "orders"][..], &[][..], "resource id"),
        (&["job", "list"], &[("LONGSHORE_ARM_ENDPOINT", "http://management.azure.com")], "in the clear"),
        (&["job", "start", "--container", "c"], &[], "changes nothing"),
        (&["job", "start", "--env", "NOTHING"], &[], "NAME=VALUE"),
    ] {
        server.run_with(args, env).ends_with(2).says(&[words]);
    }
    assert!(server.calls().is_empty());
    let nobody = [("LONGSHORE_ARM_ENDPOINT", "http://127.0.0.1:9")];
    // Nothing was sent, so that it is no matter of what was done.
    let ran = server.run_with(&["job", "start"], &nobody).ends_with(3);
    assert!(
        !ran.says(&["no connection to http://127.0.0.1:9", "--arm-endpoint"]).stderr.contains("may have")
    );
}
