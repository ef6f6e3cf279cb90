//! The cases of KEDA's own tests, of the version that is followed: `scale_jobs_test.go`,
//! `metrics_test.go` and `scale_handler_test.go`.

use super::*;

const CUSTOM: Strategy = Strategy::Custom { deduction: 1, running_share: 0.5 };

/// `GetEffectiveMaxScale(maxScale, running, pending, maxReplicaCount, scaleTo)`.
fn effective(strategy: Strategy, case: [i64; 5]) -> (i64, i64) {
    let [max_scale, running, pending, max, scale_to] = case;
    strategy.effective(max_scale, running, pending, max, scale_to)
}

#[test]
fn the_strategies_give_what_keda_says_in_its_own_tests() {
    let custom = |deduction, running_share| Strategy::Custom { deduction, running_share };
    let cases = [
        // TestDefaultScalingStrategy
        (Strategy::Default, [3, 2, 0, 5, 1], 1),
        (Strategy::Default, [2, 0, 0, 5, 1], 2),
        // TestCustomScalingStrategy
        (CUSTOM, [3, 2, 0, 5, 1], 1),
        (CUSTOM, [10, 0, 0, 10, 1], 9),
        (custom(2, 0.0), [3, 2, 0, 5, 1], 1),
        (custom(-2, 0.0), [3, 2, 0, 4, 1], 4),
        // TestAccurateScalingStrategy
        (Strategy::Accurate, [3, 2, 0, 5, 1], 3),
        (Strategy::Accurate, [5, 2, 0, 5, 1], 3),
        (Strategy::Accurate, [3, 4, 2, 10, 1], 1),
        (Strategy::Accurate, [5, 4, 2, 5, 1], 1),
    ];
    for (strategy, case, expected) in cases {
        assert_eq!(effective(strategy, case), (expected, 1), "{strategy:?} {case:?}");
    }
    // TestEagerScalingStrategy
    for (case, expected) in [
        ([4, 3, 0, 10, 1], 4),
        ([4, 0, 3, 10, 1], 4),
        ([4, 7, 0, 10, 1], 3),
        ([4, 1, 6, 10, 1], 3),
        ([15, 0, 0, 10, 1], 10),
    ] {
        assert_eq!(effective(Strategy::Eager, case), (expected, 10), "{case:?}");
    }
}

#[test]
fn the_share_of_those_that_run_is_cut_to_a_whole_number() {
    assert_eq!(effective(CUSTOM, [10, 3, 0, 10, 10]), (8, 10));
    let negative = Strategy::Custom { deduction: 0, running_share: -0.5 };
    assert_eq!(effective(negative, [2, 3, 0, 10, 10]), (3, 10));
}

/// TestRunningJobCountSmallerMinReplicaCount, …IsDeductedFromMinReplicaCount and
/// …GreaterOrEqualMinReplicaCountExecutesScalingStrategy.
#[test]
fn fewer_than_the_minimum_are_filled_up_and_the_minimum_is_no_part_of_the_strategy() {
    let rule =
        |min_executions| ScaleRule { length: 1, min_executions, max_executions: 100, ..ScaleRule::default() };
    let seen = |messages, running| Observation { messages, running, pending: 0 };
    assert_eq!(rule(2).getting(seen(0, 0)), (2, 2));
    assert_eq!(rule(2).getting(seen(0, 1)), (1, 1));
    assert_eq!(rule(1).getting(seen(2, 1)), (2, 2));
    // What is missing of the minimum comes first, whatever the queue holds.
    assert_eq!(rule(2).decide(seen(50, 0)).start, 2);
}

/// TestIsScaledJobActive: the queue's length, the target, the executions that are wanted.
#[test]
fn what_is_wanted_is_the_messages_by_the_length_rounded_up_and_at_most_the_maximum() {
    for (messages, length, max_executions, wanted) in [
        (20, 2, 10, 10),
        (0, 2, 10, 0),
        (1, 5, 10, 1),
        (5, 5, 10, 1),
        (6, 5, 10, 2),
        (999, 1, 10, 10),
        (7, 0, 10, 0),
    ] {
        let rule = ScaleRule { length, max_executions, ..ScaleRule::default() };
        let decision = rule.decide(Observation { messages, ..Observation::default() });
        assert_eq!(decision.start, wanted, "{messages} / {length}");
    }
}

#[test]
fn the_minimum_is_taken_off_the_maximum_and_cannot_be_more() {
    let rule = |min_executions, max_executions| ScaleRule {
        length: 1,
        min_executions,
        max_executions,
        ..ScaleRule::default()
    };
    let seen = |running| Observation { messages: 100, running, pending: 0 };
    assert_eq!(rule(4, 10).decide(seen(4)).start, 6);
    assert_eq!(rule(4, 10).decide(seen(9)).start, 1);
    assert_eq!(rule(4, 10).decide(seen(10)).start, 0);
    // With a minimum over the maximum KEDA takes the maximum for both.
    assert_eq!(rule(5, 3).decide(seen(0)).start, 3);
    assert_eq!(rule(5, 3).decide(seen(3)).start, 3);
}

#[test]
fn a_queue_that_is_not_over_the_activation_starts_nothing() {
    let rule = ScaleRule { activation: 5, length: 1, ..ScaleRule::default() };
    let start = |messages| rule.decide(Observation { messages, ..Observation::default() }).start;
    assert_eq!([0, 5, 6].map(start), [0, 0, 6]);
    // The minimum makes the job active, and the queue counts as empty all the same.
    let rule = ScaleRule { min_executions: 1, ..rule };
    let seen = Observation { messages: 5, running: 1, pending: 0 };
    assert_eq!(rule.decide(seen).start, 0);
    assert_eq!(rule.decide(Observation { messages: 6, ..seen }).start, 6);
}

#[test]
fn no_more_are_started_than_there_are_messages_and_never_fewer_than_none() {
    let rule = ScaleRule { length: 1, ..ScaleRule::default() };
    assert_eq!(rule.decide(Observation { messages: 2, running: 8, pending: 0 }).start, 0);
    let deducting = Strategy::Custom { deduction: -8, running_share: 1.0 };
    let rule = ScaleRule { strategy: deducting, ..rule };
    assert_eq!(rule.decide(Observation { messages: 2, running: 0, pending: 0 }).start, 2);
    // Eager fills the maximum, also beyond the messages that there are.
    let rule = ScaleRule { strategy: Strategy::Eager, length: 10, ..rule };
    assert_eq!(rule.decide(Observation { messages: 25, running: 0, pending: 0 }).start, 3);
    assert_eq!(rule.decide(Observation { messages: 25, running: 3, pending: 2 }).start, 3);
}

/// TestGetMessageCount of `azure_queue_scaler_test.go`.
#[test]
fn visible_messages_alone_count_while_a_peek_sees_all_of_them() {
    assert_eq!(Counting::VisibleOnly.messages(10, 100), 10);
    assert_eq!(Counting::VisibleOnly.messages(32, 100), 100);
    assert_eq!(Counting::VisibleOnly.messages(0, 100), 0);
    assert_eq!(Counting::All.messages(10, 100), 100);
}

#[test]
fn the_sum_is_shown_in_words() {
    let rule = ScaleRule { length: 960, ..ScaleRule::default() };
    let shown = |rule: ScaleRule, messages, running, pending| {
        rule.decide(Observation { messages, running, pending }).to_string()
    };
    assert_eq!(shown(rule, 961, 1, 0), "961 / 960 → 2, 1 running → start 1");
    assert_eq!(shown(rule, 0, 0, 0), "0 / 960 → 0, 0 running → start none");
    assert_eq!(shown(rule, 12_000, 3, 1), "12000 / 960 → 13, at most 10 → 10, 3 running → start 7");
    let few = ScaleRule { activation: 3, ..rule };
    assert_eq!(shown(few, 3, 0, 0), "3 / 960 → 1, not more than the activation of 3, 0 running → start none");
    let least = ScaleRule { min_executions: 2, ..rule };
    assert_eq!(shown(least, 50, 1, 0), "1 running, at least 2 → start 1");
    assert_eq!(shown(least, 961, 3, 0), "961 / 960 → 2, 3 running, 2 of them always → start 1");
    let accurate = ScaleRule { strategy: Strategy::Accurate, ..rule };
    assert_eq!(shown(accurate, 961, 1, 1), "961 / 960 → 2, 1 running, 1 pending (accurate) → start 1");
}
