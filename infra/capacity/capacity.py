"""How many queues, accounts, executions and cores a rate of messages takes, and what that costs.

It computes from figures.json: what was measured, what the services publish, and list prices, each with its source. All that is
assumed beside them is printed. `capacity.py --page PAGE` writes the output into a page of the book."""

import argparse
import json
import re
from dataclasses import dataclass, field, fields
from math import ceil
from pathlib import Path

import simulation

FIGURES = json.loads((Path(__file__).parent / "figures.json").read_text())
HOURS_A_MONTH = 730
KIB_A_MEGABYTE = 1_000_000 / 1024
# The sizes of a namespace of the Premium tier with four partitions.
PREMIUM_SIZES = (4, 8, 16, 32, 64)


def assumed(default: float, what: str) -> float:
    """A field of the assumptions, with its sentence."""
    return field(default=default, metadata={"what": what})


@dataclass(frozen=True)
class Assumptions:
    """What is neither measured nor published."""

    rate: float = assumed(100_000, "messages a second, sent and handled")
    size_kib: float = assumed(1, "KiB of each message, as the published targets have it")
    handler_ms: float = assumed(5, "ms that a handler waits for others; its own work is in the measured figure")
    round_trip_ms: float = assumed(5, "ms of a call to the queue")
    failing: float = assumed(0.01, "of all messages fail once: an update and a second receive each")
    concurrency: float = assumed(16, "slots of an execution, the default")
    vcpu: float = assumed(0.5, "vCPU of an execution")
    gib: float = assumed(1, "GiB of an execution")
    headroom: float = assumed(0.8, "of each published limit is used at most")
    utilisation: float = assumed(0.7, "of what an execution can do is counted on")
    boot_s: float = assumed(2, "seconds that a container's own start is billed")


def figure(*path: str) -> float:
    found = FIGURES
    for name in path:
        found = found[name]
    return found["value"]


def execution_rate(it: Assumptions, kind: str) -> float:
    """Messages a second of one execution: as its slots or its processor allow."""
    by_slots = it.concurrency / ((it.handler_ms + it.round_trip_ms) / 1000)
    by_processor = it.vcpu / (figure("measured", kind, "cpu_ms_per_message") / 1000)
    return min(by_slots, by_processor) * it.utilisation


def executions(it: Assumptions, kind: str, queues: int) -> int:
    """As many for each queue as its share of the rate takes."""
    return queues * ceil(it.rate / queues / execution_rate(it, kind))


def container_hour(it: Assumptions, number: int) -> float:
    second = it.vcpu * figure("prices", "container_apps_vcpu_second") + it.gib * figure("prices", "container_apps_gib_second")
    return number * second * 3600


@dataclass(frozen=True)
class Requests:
    """Requests for each message, on Storage."""

    put: float
    receive: float
    delete: float
    update: float

    @property
    def all(self) -> float:
        return self.put + self.receive + self.delete + self.update


def requests(it: Assumptions, receive: float | None = None) -> Requests:
    """`receive`: receives for each message, instead of the measured ones."""
    measured = figure("measured", "storage", "receives_for_5000_messages") / 5000
    share = measured if receive is None else receive
    return Requests(put=1, receive=share * (1 + it.failing), delete=1, update=it.failing)


@dataclass(frozen=True)
class StoragePlan:
    requests: Requests
    accounts: int
    queues: int
    executions: int
    requests_hour: float
    containers_hour: float


def storage(it: Assumptions) -> StoragePlan:
    """On Storage queues."""
    each = requests(it)
    accounts = ceil(it.rate * each.all / (figure("limits", "storage_account_requests_per_second") * it.headroom))
    queues = ceil(it.rate / (figure("limits", "storage_queue_messages_per_second") * it.headroom))
    # As many in each account.
    queues = accounts * ceil(queues / accounts)
    number = executions(it, "storage", queues)
    return StoragePlan(each, accounts, queues, number, requests_cost(it.rate * each.all * 3600), container_hour(it, number))


def requests_cost(number: float) -> float:
    return number / 10_000 * figure("prices", "storage_10000_requests")


def standard_namespaces(it: Assumptions) -> int:
    """Of Service Bus Standard: each message is sent once, and received once."""
    return ceil(it.rate * (2 + it.failing) / (figure("limits", "servicebus_standard_credits_per_second") * it.headroom))


@dataclass(frozen=True)
class PremiumPlan:
    units: int
    namespaces: int
    units_each: int
    executions: int
    units_hour: float
    containers_hour: float


def premium(it: Assumptions) -> PremiumPlan:
    """On Service Bus Premium: one partitioned queue in each namespace, and as few namespaces as may be."""
    megabytes = it.rate * it.size_kib * (1 + it.failing) / KIB_A_MEGABYTE
    units = ceil(megabytes / (figure("limits", "servicebus_premium_megabytes_per_second") * it.headroom))
    namespaces = ceil(units / figure("limits", "servicebus_premium_units_per_namespace"))
    each = next(size for size in PREMIUM_SIZES if size * namespaces >= units)
    number = executions(it, "servicebus", namespaces)
    hour = each * namespaces * figure("prices", "servicebus_premium_unit_hour")
    return PremiumPlan(units, namespaces, each, number, hour, container_hour(it, number))


def table(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"{name:{width}}  {value}" for name, value in rows]


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.3g}"


def assumptions_text(it: Assumptions) -> list[str]:
    return [f"{number(getattr(it, its.name)):>8}  {its.metadata['what']}" for its in fields(it)]


def figures_text(kind: str) -> list[str]:
    lines = []
    groups = [(it, FIGURES["measured"][it]) for it in FIGURES["measured"]] if kind == "measured" else [("", FIGURES[kind])]
    for prefix, group in groups:
        for it in group.values():
            source = f"{it['command']}, {it['date']}" if kind == "measured" else f"{it['source']} ({it['read']})"
            lines += [f"{it['value']:>9,}  {prefix + ': ' if prefix else ''}{it['what']}", f"{'':11}{source}"]
    return lines


def storage_text(it: Assumptions) -> list[str]:
    plan, each = storage(it), requests(it)
    single = requests(it, receive=1)
    rate = execution_rate(it, "storage")
    cores = plan.executions * it.vcpu
    month = (plan.requests_hour + plan.containers_hour) * HOURS_A_MONTH
    return table(
        [
            ("requests a message", f"{each.all:.3f}: put {each.put:g}, receive {each.receive:.3f}, delete {each.delete:g}, update {each.update:g}"),
            ("the same, one message a receive", f"{single.all:.3f}"),
            ("requests a second", f"{it.rate * each.all:,.0f}"),
            ("accounts", f"{plan.accounts}"),
            ("queues", f"{plan.queues}, {plan.queues // plan.accounts} in each account, {it.rate / plan.queues:,.0f} messages a second each"),
            ("messages a second of an execution", f"{rate:,.0f}"),
            ("executions", f"{plan.executions}, {plan.executions // plan.queues} on each queue"),
            ("cores, memory", f"{cores:,.0f} vCPU, {plan.executions * it.gib:,.0f} GiB, in {environments(cores)} environment(s) of {figure('limits', 'container_apps_cores_per_environment'):g} cores"),
            ("requests cost", f"${plan.requests_hour:,.2f} an hour, ${plan.requests_hour / it.rate / 3600 * 1e6:.2f} a million messages"),
            ("the same, one message a receive", f"${requests_cost(single.all * 1e6):.2f} a million messages"),
            ("executions cost", f"${plan.containers_hour:,.2f} an hour, ${plan.containers_hour / it.rate / 3600 * 1e6:.3f} a million messages"),
            ("together", f"${plan.requests_hour + plan.containers_hour:,.2f} an hour, ${month:,.0f} a month without a pause"),
        ]
    )


def environments(cores: float) -> int:
    return ceil(cores / figure("limits", "container_apps_cores_per_environment"))


def servicebus_text(it: Assumptions) -> list[str]:
    plan, namespaces = premium(it), standard_namespaces(it)
    cores = plan.executions * it.vcpu
    operations = it.rate * 3 * 3600 / 1e6
    month = (plan.units_hour + plan.containers_hour) * HOURS_A_MONTH
    return table(
        [
            ("Standard: namespaces", f"{namespaces}: not what this tier is for"),
            ("Standard: operations cost", f"${operations * figure('prices', 'servicebus_standard_million_operations'):,.2f} an hour at the cheapest step: send, receive, complete"),
            ("Standard: base prices", f"${namespaces * figure('prices', 'servicebus_standard_month'):,.0f} a month"),
            ("Premium: messaging units", f"{plan.units} by bytes; {plan.namespaces} namespace of {plan.units_each}, with four partitions"),
            ("Premium: messages a second of an execution", f"{execution_rate(it, 'servicebus'):,.0f}"),
            ("Premium: executions", f"{plan.executions}"),
            ("Premium: cores, memory", f"{cores:,.0f} vCPU, {plan.executions * it.gib:,.0f} GiB, in {environments(cores)} environment(s)"),
            ("Premium: units cost", f"${plan.units_hour:,.2f} an hour, ${plan.units_hour / it.rate / 3600 * 1e6:.3f} a million messages"),
            ("Premium: executions cost", f"${plan.containers_hour:,.2f} an hour"),
            ("Premium: together", f"${plan.units_hour + plan.containers_hour:,.2f} an hour, ${month:,.0f} a month without a pause"),
        ]
    )


def empty_text(it: Assumptions) -> list[str]:
    """What executions cost that find nothing."""
    asked = figure("measured", "storage", "requests_of_an_empty_execution")
    seconds = figure("measured", "storage", "seconds_of_an_empty_execution") + it.boot_s
    one = requests_cost(asked) + container_hour(it, 1) / 3600 * seconds
    plan = storage(it)
    polls = HOURS_A_MONTH * 3600 / 30
    return table(
        [
            ("requests of one", f"{asked:g}"),
            ("seconds of one, its container's start among them", f"{seconds:.1f}"),
            ("a thousand of them", f"${one * 1000:.3f}"),
            ("one at each poll of 30 s, for a month", f"${one * polls:.2f}"),
            (f"{plan.executions} at each poll, for a month", f"${one * polls * plan.executions:,.2f}"),
        ]
    )


CASES = (
    ("one execution", simulation.Case(1, 1, 20_000)),
    ("two on a queue", simulation.Case(1, 2, 20_000)),
    ("four on a queue", simulation.Case(1, 4, 20_000)),
    ("four on each of 16", simulation.Case(16, 4, 5_000)),
    ("handlers of 0.5 ms", simulation.Case(4, 2, 10_000, handler_s=0.0005)),
    ("handlers of 200 ms", simulation.Case(4, 8, 2_000, handler_s=0.2)),
    ("round trips of 10 ms", simulation.Case(4, 2, 10_000, round_trip_s=0.01)),
    ("64 slots", simulation.Case(4, 1, 10_000, concurrency=64)),
    ("ten for 40 messages", simulation.Case(16, 10, 40)),
    ("ten for none", simulation.Case(16, 10, 0)),
)


def simulated_text() -> list[str]:
    heading = "                       messages  receives   of full  empty, by   found    requests  messages a second  longest"
    second = "                                  found      batches  execution  nothing  a message  of each queue      wait"
    lines = [heading, second]
    for name, case in CASES:
        it = simulation.run(case)
        processes = case.queues * case.executions_per_queue
        full = it.receives / (it.messages / simulation.MAX_RECEIVE) if it.messages else 0
        each = it.requests / it.messages if it.messages else 0
        speed = case.messages_per_queue / it.seconds if it.seconds else 0
        lines.append(
            f"{name:22} {it.messages:8,} {it.receives:8,} {full:9.2f}x {it.empty_receives / processes:9.1f} {it.idle_executions:8}"
            f" {each:10.3f} {speed:15,.0f} {it.longest_wait_s * 1000:8.0f} ms"
        )
    return lines


def sections(it: Assumptions) -> dict[str, list[str]]:
    """Each part of the output, by its name."""
    return {
        "assumptions": assumptions_text(it),
        "measured": figures_text("measured"),
        "limits": figures_text("limits"),
        "prices": figures_text("prices"),
        "storage": storage_text(it),
        "servicebus": servicebus_text(it),
        "empty": empty_text(it),
        "simulation": simulated_text(),
    }


def written(page: str, parts: dict[str, list[str]]) -> str:
    """The page with each part in the block that is marked with its name."""
    for name, lines in parts.items():
        block = re.compile(rf"(<!-- capacity: {name} -->\n```text\n).*?(```)", re.S)
        text = "".join(f"{line.rstrip()}\n" for line in lines)
        page, count = block.subn(lambda found, text=text: found[1] + text + found[2], page)
        if count != 1:
            raise SystemExit(f"the page has {count} blocks after `<!-- capacity: {name} -->`: it needs one")
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--page", type=Path, help="write the output into this page of the book")
    for it in fields(Assumptions):
        parser.add_argument(f"--{it.name.replace('_', '-')}", type=float, default=it.default, help=it.metadata["what"].replace("%", "%%"))
    flags = vars(parser.parse_args())
    page = flags.pop("page")
    parts = sections(Assumptions(**flags))
    if page:
        page.write_text(written(page.read_text(), parts))
        return
    for name, lines in parts.items():
        print(f"== {name}", *lines, "", sep="\n")


if __name__ == "__main__":
    main()
