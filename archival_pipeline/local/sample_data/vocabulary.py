"""The invented world that the sample rows speak of: processes, people, values. Data and small draws only."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

Strategy = Literal["singleton", "per_request", "per_process_instance", "per_case"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One process definition with the two human tasks of its middle."""

    process_id: str
    name: str
    version: str
    deployment: str
    strategy: Strategy
    tasks: tuple[str, str]
    subject: str
    children: tuple[str, ...] = ()


_ORDERS, _CUSTOMERS = "com.example:orders:1.0.0", "com.example:customers:2.1.0"
_CLAIMS, _HR, _CASES = "com.example:claims:1.4.2", "com.example:hr:3.0.1", "com.example:disputes:1.1.0"

_DEFINITIONS = (
    Definition("com.example.order.fulfillment", "order-fulfillment", "1.0", _ORDERS, "per_process_instance",
               ("Approve order", "Confirm shipment"), "order", ("credit-check", "shipment")),
    Definition("com.example.customer.onboarding", "customerOnboarding", "2.1", _CUSTOMERS, "per_process_instance",
               ("Review application", "Welcome call"), "customer", ("credit-check", "identity-check")),
    Definition("com.example.claims.handling", "claim-handling", "1.4", _CLAIMS, "singleton",
               ("Assess damage", "Approve payment"), "claim", ("document-archive", "identity-check")),
    Definition("com.example.hr.leave", "leave-request", "3.0", _HR, "per_request",
               ("Approve leave", "Plan cover"), "leave", ("document-archive",)),
    Definition("com.example.dispute.case", "dispute-case", "1.1", _CASES, "per_case",
               ("Hear customer", "Decide dispute"), "dispute", ("identity-check",)),
    Definition("com.example.credit", "credit-check", "1.2", _ORDERS, "per_process_instance",
               ("Check rating", "Set limit"), "credit", ("document-archive",)),
    Definition("com.example.identity", "identity-check", "1.0", _CUSTOMERS, "per_process_instance",
               ("Compare documents", "Confirm identity"), "identity", ("document-archive",)),
    Definition("com.example.shipment", "shipment", "1.0", _ORDERS, "per_process_instance",
               ("Pack parcel", "Hand over"), "shipment", ("document-archive",)),
    Definition("com.example.documents", "document-archive", "1.0", _CLAIMS, "singleton",
               ("Scan document", "File document"), "document", ("document-archive",)),
)  # fmt: skip
BY_NAME = {definition.name: definition for definition in _DEFINITIONS}
ROOTS = tuple(BY_NAME[name] for name in ("order-fulfillment", "customerOnboarding", "claim-handling", "leave-request"))
CASE = BY_NAME["dispute-case"]
CASE_PREFIX = "DISPUTE"
DEPLOYMENTS = (_ORDERS, _CUSTOMERS, _CLAIMS, _HR, _CASES)

USERS = ("john", "mary", "krisv", "olena", "o'neill", "Jürgen Weiß", "Administrator")
GROUPS = ("managers", "clerks", "Administrators")
EMAILS = ("claims@example.com",)
WORKERS = USERS[:6]

# node id, name, type of the ten nodes that each instance passes; the two tasks get their names from the definition.
NODES = (
    ("_1", "Start", "StartNode"),
    ("_2", "Prepare data", "ActionNode"),
    ("_3", "Decide path", "Split"),
    ("_4", "", "HumanTaskNode"),
    ("_5", "Ask registry", "WorkItemNode"),
    ("_6", "", "HumanTaskNode"),
    ("_7", "Wait a moment", "TimerNode"),
    ("_8", "Join path", "Join"),
    ("_9", "Tell customer", "WorkItemNode"),
    ("_10", "End", "EndNode"),
)
SUB_PROCESS_NODE = ("_11", "SubProcessNode")

VARIABLES = ("customerId", "amount", "region", "status", "priority", "contactEmail", "approved", "note")
REGIONS = ("north", "south", "east", "west", "Île-de-France", "Київ")
TASK_INPUTS = ("customerId", "amount", "region", "priority", "note")
TASK_OUTPUTS = ("approved", "comment", "decidedBy")

# Values that break careless quoting, escaping and encoding.
AWKWARD_TEXTS = (
    "O'Brien said \"no\" -- really; DROP",
    "C:\\temp\\new\\table",
    "two\tcolumns\tin one",
    "first line\nsecond line\r\nthird line",
    "\\N",
    "\\.",
    "Жовтий їжак 漢字 \U0001f4e6 e\u0301",
    " spaces around ",
    "{\"json\": [1.0, null, \"\\u0041\"]}",
    "100% _sure_ $$ $1 :name %(s)s",
)  # fmt: skip
PLAIN_TEXTS = (
    "please call the customer before noon",
    "documents are complete",
    "waiting for the second signature",
    "amount corrected after review",
    "forwarded to the regional office",
    "customer asked for a copy",
)


_AWKWARD_SHARE = 0.1


def text(rng: Random) -> str:
    """Draw a free text; one in ten is awkward."""
    return rng.choice(AWKWARD_TEXTS if rng.random() < _AWKWARD_SHARE else PLAIN_TEXTS)


# variable -> its value when it is set for the n-th time, counted from 0; every other variable is free text.
_VALUES: dict[str, Callable[[Random, int], str]] = {
    "customerId": lambda rng, _: f"C-{rng.randrange(100_000):06d}",
    "amount": lambda rng, _: f"{rng.randrange(100, 10_000_000) / 100:.2f}",
    "region": lambda rng, _: rng.choice(REGIONS),
    "status": lambda _, turn: ("new", "in review", "decided")[min(turn, 2)],
    "priority": lambda rng, _: str(rng.randrange(10)),
    "contactEmail": lambda rng, _: f"customer{rng.randrange(10_000)}@example.com",
    "approved": lambda rng, turn: rng.choice(("true", "false")) if turn else "",
    "decidedBy": lambda rng, _: rng.choice(WORKERS),
}


def value(rng: Random, variable: str, turn: int) -> str:
    """Draw the value that a variable gets when it is set for the n-th time."""
    draw = _VALUES.get(variable)
    return text(rng) if draw is None else draw(rng, turn)


def unique_text(rng: Random) -> str:
    """Draw a uuid."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def content(rng: Random, median: int) -> bytes:
    """Draw a binary value: log-normal size around the median, at most 64 kB."""
    size = int(median * rng.lognormvariate(0.0, 0.8))
    return rng.randbytes(min(max(size, 1), 65_536))
