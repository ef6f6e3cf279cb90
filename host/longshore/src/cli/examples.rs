//! The examples at the end of each verb's help. A test reads every line as the program would.

pub(super) const LONGSHORE: &str = "\
Examples:
  longshore queue create --queue file:./queues/orders
  longshore send --queue file:./queues/orders '{\"order_id\":\"o-1\"}'
  longshore run --queue file:./queues/orders --component order.wasm
  longshore poison list --queue file:./queues/orders";

pub(super) const NEW: &str = "\
Examples:
  longshore new pricing --lang python
  longshore new ../work/pricing --lang rust --azure";

pub(super) const BUILD: &str = "\
Examples:
  longshore build
  longshore build --project pricing/longshore.toml";

pub(super) const RUN: &str = "\
Examples:
  longshore run --queue file:./queues/orders --component order.wasm
  longshore run --queue file:./queues/orders --component order.wasm --forever
  longshore run --queue https://acme.queue.core.windows.net/orders \\
    --component oci://acme.azurecr.io/order:1 --time-budget 10m
  longshore run --queue file:./queues/orders --component order.wasm \\
    --allow-http api.example.com --outbox invoices=file:./queues/invoices
  longshore run --queue file:./queues/orders --component order.wasm \\
    --trace link --telemetry-flush 5s
  longshore run --queue sb://acme.servicebus.windows.net/orders \\
    --component order.wasm --sessions 8 --on-poison stop";

pub(super) const DEV: &str = "\
Examples:
  longshore dev --queue file:./queues/orders --component order.wasm
  longshore dev --queue file:./queues/orders --component order.wasm \\
    --speed 10 --max-executions 3 --queue-length 100
  longshore dev --queue file:./queues/orders --component order.wasm --once";

pub(super) const UI: &str = "\
Examples:
  longshore ui --queue file:./queues/orders
  longshore ui --queue https://acme.queue.core.windows.net/orders --job \"$JOB\"
  longshore ui --queue sb://acme.servicebus.windows.net/orders --allow-actions";

pub(super) const SEND: &str = "\
Examples:
  longshore send --queue file:./queues/orders '{\"order_id\":\"o-1\"}'
  longshore send --queue file:./queues/orders --file orders.jsonl
  longshore send --queue file:./queues/orders --delay 30s '{}'
  longshore send --queue sb://acme.servicebus.windows.net/orders \\
    --property session-id=customer-7 '{}'";

pub(super) const PEEK: &str = "\
Examples:
  longshore peek --queue file:./queues/orders
  longshore peek --queue file:./queues/orders 0198a2c4
  longshore peek --queue file:./queues/orders --limit 5 --output json";

pub(super) const CHECK: &str = "\
Examples:
  longshore check --queue file:./queues/orders --component order.wasm
  longshore check --job \"$JOB\" --probe-send";

pub(super) const POISON_LIST: &str = "\
Examples:
  longshore poison list --queue file:./queues/orders
  longshore poison list --queue file:./queues/orders --all --reason rejected";

pub(super) const POISON_SHOW: &str = "\
Examples:
  longshore poison show --queue file:./queues/orders 0198a2c4
  longshore poison show --queue file:./queues/orders 0198a2c4 --output json \\
    | jq -r .body | longshore invoke order.wasm -";

pub(super) const POISON_REPLAY: &str = "\
Examples:
  longshore poison replay --component order.wasm 0198a2c4 \\
    --queue file:./queues/orders
  longshore poison replay --queue file:./queues/orders --component order.wasm \\
    --log info,guest=trace --output json 0198a2c4";

pub(super) const POISON_REDRIVE: &str = "\
Examples:
  longshore poison redrive --queue file:./queues/orders --dry-run
  longshore poison redrive --queue file:./queues/orders 0198a2c4 0198a2c7
  longshore poison redrive --queue file:./queues/orders --rate 10 \\
    --reason attempts-exhausted --newer-than 2h
  longshore poison redrive --queue file:./queues/orders --dry-run \\
    --detail 'card (closed|expired)' --component sha256:5a2c";

pub(super) const POISON_PURGE: &str = "\
Examples:
  longshore poison purge --queue file:./queues/orders --dry-run
  longshore poison purge --queue file:./queues/orders 0198a2c4 --yes
  longshore poison purge --queue file:./queues/orders --reason rejected \\
    --older-than 7days";

pub(super) const QUEUE_CREATE: &str = "\
Examples:
  longshore queue create --queue file:./queues/orders
  longshore queue create --queue 'UseDevelopmentStorage=true;QueueName=orders'";

pub(super) const QUEUE_LIST: &str = "\
Examples:
  longshore queue list --queue file:./queues/orders
  longshore queue list --queue https://acme.queue.core.windows.net/orders";

pub(super) const QUEUE_STATS: &str = "\
Examples:
  longshore queue stats --queue file:./queues/orders
  longshore queue stats --queue file:./queues/orders --output json";

pub(super) const QUEUE_SESSIONS: &str = "\
Examples:
  longshore queue sessions --queue sb://acme.servicebus.windows.net/orders
  longshore queue sessions --queue sb://acme.servicebus.windows.net/orders \\
    --continue customer-7";

pub(super) const QUEUE_DELETE: &str = "\
Examples:
  longshore queue delete --queue file:./queues/orders
  longshore queue delete --queue file:./queues/orders-poison --yes";

pub(super) const QUEUE_COMPACT: &str = "\
Examples:
  longshore queue compact --queue file:./queues/orders";

pub(super) const JOB_START: &str = "\
Examples:
  longshore job start --job \"$JOB\" --wait
  longshore job start --job \"$JOB\" --env LONGSHORE_LOG=debug \\
    --args run --max-messages 10";

pub(super) const JOB_STATUS: &str = "\
Examples:
  longshore job status --job \"$JOB\"
  longshore job status --job \"$JOB\" orders-7x2k9p1 --wait";

pub(super) const JOB_LIST: &str = "\
Examples:
  longshore job list --job \"$JOB\" --limit 10
  longshore job list --job \"$JOB\" --status Failed --output json";

pub(super) const JOB_STOP: &str = "\
Examples:
  longshore job stop --job \"$JOB\" orders-7x2k9p1
  longshore job stop --job \"$JOB\" --all";

pub(super) const JOB_LOGS: &str = "\
Examples:
  longshore job logs --job \"$JOB\" --since 2h
  longshore job logs --job \"$JOB\" --message 0198a2c4
  longshore job logs --job \"$JOB\" --execution orders-7x2k9p1 --output json
  longshore job logs --job \"$JOB\" --follow";

pub(super) const INVOKE: &str = "\
Examples:
  longshore invoke order.wasm '{\"order_id\":\"o-1\"}'
  longshore invoke order.wasm --file order.json --allow-http api.example.com
  longshore invoke --component order.wasm --log debug - < order.json";

pub(super) const INSPECT: &str = "\
Examples:
  longshore inspect order.wasm
  longshore inspect order.wasm --config currency=EUR --allow-http a.example.com
  longshore inspect oci://acme.azurecr.io/order:1 --output json";

pub(super) const COMPILE: &str = "\
Examples:
  longshore compile order.wasm -o order.cwasm
  longshore compile order.wasm -o order.cwasm \\
    --target aarch64-unknown-linux-gnu";

pub(super) const PUSH: &str = "\
Examples:
  longshore push order.wasm oci://acme.azurecr.io/order:1
  longshore push order.wasm oci://acme.azurecr.io/order:1 --precompiled";

pub(super) const DEPLOY: &str = "\
Examples:
  longshore deploy order.wasm --job \"$JOB\" --dry-run
  longshore deploy order.wasm --job \"$JOB\" --tag 1.2 \\
    --repository oci://acme.azurecr.io/handlers/order";

pub(super) const RELEASES: &str = "\
Examples:
  longshore releases --job \"$JOB\"
  longshore releases --repository oci://acme.azurecr.io/handlers/order";

pub(super) const ROLLBACK: &str = "\
Examples:
  longshore rollback --job \"$JOB\" --dry-run
  longshore rollback --job \"$JOB\" --to 1.1";

pub(super) const COMPLETIONS: &str = "\
Examples:
  longshore completions bash \\
    > ~/.local/share/bash-completion/completions/longshore
  longshore completions zsh > ~/.zfunc/_longshore
  longshore completions fish > ~/.config/fish/completions/longshore.fish
  longshore completions powershell >> $PROFILE";

pub(super) const MAN: &str = "\
Examples:
  longshore man ~/.local/share/man/man1";

pub(super) const CONFIG: &str = "\
It takes each flag of the other verbs that has a variable, and shows what would
be in force with it.

Examples:
  longshore config
  longshore config --profile azure --output json";

pub(super) const CONFIG_SCHEMA: &str = "\
Examples:
  longshore config schema > longshore.schema.json";
