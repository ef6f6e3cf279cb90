"""Many executions on many queues, with the receive policy of rule 5 (docs/internals/rules.md). Seeded: discrete events, and no
service. A queue gives at most so many messages a second, as the published target says."""

import heapq
import random
from collections import deque
from dataclasses import dataclass, field

# As in host/worker/src/intake.rs, rate.rs and drain.rs.
MAX_RECEIVE = 32
MAX_RECEIVES_IN_FLIGHT = 4
MIN_GAP_S = 0.002
AHEAD_S = 0.25
MAX_AHEAD = 64
RATE_OF = 64
AT_MOST_TIMES_SEEN = 2
EMPTY_FOR_S = 1.0


@dataclass(frozen=True)
class Case:
    """What is simulated."""

    queues: int
    executions_per_queue: int
    messages_per_queue: int
    concurrency: int = 16
    handler_s: float = 0.005
    round_trip_s: float = 0.005
    # The target of one queue.
    queue_messages_per_second: float = 2000.0
    # Executions of one poll start within this time.
    start_within_s: float = 0.5


@dataclass
class Outcome:
    """What came of it, over all queues."""

    messages: int = 0
    # Receives that found messages.
    receives: int = 0
    empty_receives: int = 0
    # Whether leases may be updated: each execution asks once.
    questions: int = 0
    deletes: int = 0
    # Executions that found nothing at all.
    idle_executions: int = 0
    # From the first start to the last delete, of the slowest queue.
    seconds: float = 0.0
    # The longest time that a message waited for a slot.
    longest_wait_s: float = 0.0

    @property
    def requests(self) -> int:
        return self.receives + self.empty_receives + self.questions + self.deletes


@dataclass
class Queue:
    left: int
    # When it has given what it was asked for so far.
    busy_until: float = 0.0

    def give(self, asked: int, now: float, each_s: float) -> tuple[int, float]:
        """How many messages a receive brings, and when they are given."""
        given = min(asked, self.left)
        self.left -= given
        self.busy_until = max(now, self.busy_until) + given * each_s
        return given, self.busy_until


@dataclass
class Execution:
    """One process: what it has in hand, and what it knows of its rate."""

    case: Case
    queue: Queue
    waiting: deque = field(default_factory=deque)
    running: int = 0
    asked: int = 0
    flying: int = 0
    newest_sent: float = -1.0
    newest_was_full: bool = False
    succeeded: bool = False
    found: int = 0
    first_empty: float | None = None
    next_receive: float = 0.0
    ended: bool = False
    # Of the newest messages: when each ended, its time in its slot, and the slots taken.
    slots: deque = field(default_factory=lambda: deque(maxlen=RATE_OF))

    def ahead(self, now: float) -> int:
        """How many messages the present rate works off in a quarter of a second."""
        if not self.slots or not self.succeeded:
            return 0
        took, taken = sum(it[1] for it in self.slots), sum(it[2] for it in self.slots)
        per_message = took / taken + (now - self.slots[-1][0]) / len(self.slots)
        ahead = int(AHEAD_S / max(per_message, 1e-9))
        if ends := len(self.slots) - 1:
            seen = AHEAD_S / max((now - self.slots[0][0]) / ends, 1e-9)
            ahead = min(ahead, AT_MOST_TIMES_SEEN * int(seen))
        return min(MAX_AHEAD, ahead)

    def wants(self, now: float) -> int:
        """For how many messages it asks now; zero: it waits."""
        if self.ended or now < self.next_receive:
            return 0
        slots = self.case.concurrency if self.succeeded else 1
        ahead = self.ahead(now)
        free = slots + ahead - self.running - len(self.waiting) - self.asked
        if free < max(1, (ahead + 1) // 2):
            return 0
        ask = min(MAX_RECEIVE, free)
        apart = ask == MAX_RECEIVE or now - self.newest_sent >= MIN_GAP_S
        one_more = self.newest_was_full and self.flying < MAX_RECEIVES_IN_FLIGHT and apart
        return ask if self.flying == 0 or one_more else 0


def run(case: Case, seed: int = 1) -> Outcome:
    """Lets the executions drain their queues."""
    outcome = Outcome()
    for number in range(case.queues):
        drain(case, random.Random(f"{seed}/{number}"), outcome)
    return outcome


def drain(case: Case, rng: random.Random, outcome: Outcome) -> None:
    """One queue and its executions. Queues share nothing, so that one goes after the other."""
    queue = Queue(case.messages_per_queue)
    events: list = []
    order = 0

    def at(time: float, what: str, who: Execution, value=None) -> None:
        nonlocal order
        order += 1
        heapq.heappush(events, (time, order, what, who, value))

    for _ in range(case.executions_per_queue):
        at(rng.uniform(0, case.start_within_s), "look", Execution(case, queue))
    while events:
        now, _, what, it, value = heapq.heappop(events)
        if what == "arrives":
            given, answered = queue.give(value, now, 1 / case.queue_messages_per_second)
            at(answered + case.round_trip_s / 2, "answered", it, (value, given, now - case.round_trip_s / 2))
            continue
        if what == "answered":
            asked, given, sent = value
            it.flying, it.asked, it.newest_was_full = it.flying - 1, it.asked - asked, given == asked
            it.waiting.extend([now] * given)
            it.found += given
            if given:
                # Whether leases may be updated is asked beside the first message.
                outcome.questions += it.found == given
                outcome.receives, it.first_empty, it.next_receive = outcome.receives + 1, None, now
            else:
                outcome.empty_receives += 1
                it.next_receive = now + EMPTY_FOR_S
                it.first_empty = sent if it.first_empty is None else it.first_empty
                drained = sent - it.first_empty >= EMPTY_FOR_S and not (it.running or it.waiting or it.flying)
                if drained and not it.ended:
                    it.ended, outcome.idle_executions = True, outcome.idle_executions + (it.found == 0)
                at(it.next_receive, "look", it)
        elif what == "deleted":
            started, taken = value
            it.slots.append((now, now - started, max(taken, it.running)))
            it.running, it.succeeded = it.running - 1, True
            outcome.messages, outcome.deletes = outcome.messages + 1, outcome.deletes + 1
            outcome.seconds = max(outcome.seconds, now)
        while it.waiting and it.running < case.concurrency:
            outcome.longest_wait_s = max(outcome.longest_wait_s, now - it.waiting.popleft())
            it.running += 1
            slot = rng.expovariate(1 / case.handler_s) + case.round_trip_s
            at(now + slot, "deleted", it, (now, it.running))
        while asked := it.wants(now):
            it.flying, it.asked, it.newest_sent = it.flying + 1, it.asked + asked, now
            at(now + case.round_trip_s / 2, "arrives", it, asked)
