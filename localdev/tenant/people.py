"""The sample directory: two organisations, their people, and what has happened to each person.

A person has a home organisation and may be a guest in others, with an object ID in each. What an administrator does
to a person is a numbered event: tokens carry the number that was current when they were issued, so that "issued before
the event" needs no clock.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from localdev.tenant.errors import refuse

OPERATOR_ROLE = "Understudy.Operator"
_NAMESPACE = uuid.UUID("6d1f4c55-0a5b-5f3e-9a5e-0f4cf0f6b001")

# States that stop tokens issued before the event, with their AADSTS code. An interactive sign-in ends them.
BARRING = {"require_mfa": 50076, "mfa_enrolment": 50079, "revoked": 50173, "expired": 70043, "inactive": 700082}
# States that stop every token and every sign-in until an administrator lifts them.
STANDING = {"disabled": 50057, "conditional_access": 53003}
OTHER = ("consent_withdrawn", "continuous_access")
STATES = (*BARRING, *STANDING, *OTHER)


@dataclass(frozen=True)
class Organisation:
    """A tenant in Entra's sense."""

    name: str
    domain: str
    tid: str


CONTOSO = Organisation("Contoso", "contoso.example", "3f0c1a52-7a43-4c1e-9d55-6b1f0c0a0001")
FABRIKAM = Organisation("Fabrikam", "fabrikam.example", "8e2d5b90-1c7f-4f6a-a3b2-2d9e4f0b0002")
ORGANISATIONS = (CONTOSO, FABRIKAM)


@dataclass
class Person:
    """A person who can sign in. `oids` has their object ID by tenant ID; the first is their home. An `administrator`
    may consent for everybody at home."""

    username: str
    name: str
    oids: dict[str, str]
    profile: dict[str, Any]
    password: str
    roles: list[str] = field(default_factory=list)
    photo: bool = False
    administrator: bool = False
    state: str | None = None
    events: int = 0
    barred_at: int = 0
    barred_as: int = 0
    challenged_at: int = 0
    event_time: float = 0.0

    @property
    def home(self) -> str:
        """The tenant ID of their home organisation."""
        return next(iter(self.oids))

    @property
    def subject(self) -> str:
        """Their subject at the plain OpenID provider, which has no tenants."""
        return str(uuid.uuid5(_NAMESPACE, f"subject {self.username}"))

    def happen(self, state: str | None, *, now: float, challenge: bool = False) -> None:
        """Puts them in `state`; None undoes everything. `challenge`: Graph refuses access tokens issued before, too."""
        self.state = state
        if state is None:
            self.barred_at = self.challenged_at = 0
            return
        self.events += 1
        self.event_time = now
        if state in BARRING:
            self.barred_at, self.barred_as = self.events, BARRING[state]
        if challenge or state == "continuous_access":
            self.challenged_at = self.events

    def check_may_sign_in(self) -> None:
        """Raises EntraError when not even an interactive sign-in is possible."""
        if self.state in STANDING:
            raise refuse(STANDING[self.state])

    def check_not_barred(self, events: int) -> None:
        """Raises EntraError when a grant from the time of event number `events` is no longer good."""
        self.check_may_sign_in()
        if events < self.barred_at:
            raise refuse(self.barred_as)

    def check_no_page_needed(self) -> None:
        """Raises EntraError when only a browser sign-in is possible: multi-factor authentication is required."""
        if self.barred_at and self.barred_as in (BARRING["require_mfa"], BARRING["mfa_enrolment"]):
            raise refuse(self.barred_as)

    def signed_in(self) -> None:
        """They have just signed in interactively: ends the states that this ends. Consent has its own page."""
        if self.state in BARRING or self.state == "continuous_access":
            self.state = None

    def memory(self) -> dict[str, Any]:
        """What must survive a restart, as JSON."""
        names = ("state", "events", "barred_at", "barred_as", "challenged_at", "event_time", "roles", "profile")
        return {name: getattr(self, name) for name in names}

    def recall(self, memory: dict[str, Any]) -> None:
        """Restores what `memory()` returned."""
        for name, value in memory.items():
            setattr(self, name, value)


class People:
    """Everybody, by username (any case)."""

    def __init__(self) -> None:
        self._people: dict[str, Person] = {}
        self._subjects: dict[str, Person] = {}
        self.reset()

    def reset(self) -> None:
        """Restores the sample people and removes everybody else."""
        self._people.clear()
        self._subjects.clear()
        for person in _sample():
            self.add(person)

    def __iter__(self) -> Iterator[Person]:
        return iter(self._people.values())

    def add(self, person: Person) -> None:
        """Adds or replaces."""
        self._people[person.username.lower()] = person
        for subject in (person.subject, *person.oids.values()):
            self._subjects[subject] = person

    def find(self, username: str) -> Person | None:
        """The person, or None."""
        return self._people.get(username.strip().lower())

    def get(self, username: str) -> Person:
        """Returns the person. Raises AADSTS50034 when there is none."""
        person = self.find(username)
        if person is None:
            raise refuse(50034, username=username)
        return person

    def by_subject(self, subject: str) -> Person | None:
        """The person with this object ID in any tenant, or this subject at the plain provider."""
        return self._subjects.get(subject)

    def of(self, tids: tuple[str, ...]) -> list[Person]:
        """Who can sign in to these tenants: with one tenant also its guests, with several only people at home there."""
        if len(tids) == 1:
            return [person for person in self if tids[0] in person.oids]
        return [person for person in self if person.home in tids]


def organisation(tid: str) -> Organisation:
    """The organisation with this tenant ID."""
    return next(each for each in ORGANISATIONS if each.tid == tid)


def tenants_of(segment: str) -> tuple[str, ...]:
    """Tenant IDs that an authority's path stands for: a GUID, a domain, common or organizations. Else AADSTS90002."""
    wanted = segment.lower()
    if wanted in ("common", "organizations"):
        return tuple(each.tid for each in ORGANISATIONS)
    found = tuple(each.tid for each in ORGANISATIONS if wanted in (each.tid, each.domain))
    if not found:
        raise refuse(90002, tenant=segment)
    return found


def make(
    username: str,
    name: str,
    *,
    job_title: str = "Colleague",
    office: str = "12/1100",
    guest_of: Organisation | None = None,
    roles: tuple[str, ...] = (),
    photo: bool = False,
    administrator: bool = False,
) -> Person:
    """Makes a person. The IDs follow from the username, the organisation from its domain."""
    home = next(each for each in ORGANISATIONS if username.lower().endswith("@" + each.domain))
    tenants = [home] + ([guest_of] if guest_of else [])
    oids = {each.tid: str(uuid.uuid5(_NAMESPACE, f"{username} in {each.tid}")) for each in tenants}
    given, _, surname = name.partition(" ")
    profile = {
        "displayName": name,
        "givenName": given,
        "surname": surname,
        "jobTitle": job_title,
        "mail": username,
        "userPrincipalName": username,
        "officeLocation": office,
        "mobilePhone": None,
        "businessPhones": ["+1 425 555 0100"],
        "preferredLanguage": "en-US",
    }
    return Person(
        username,
        name,
        oids,
        profile,
        password=f"sample-{given.lower()}",
        roles=list(roles),
        photo=photo,
        administrator=administrator,
    )


def _sample() -> list[Person]:
    return [
        make(
            "ada@contoso.example",
            "Ada Lindqvist",
            job_title="Operations lead",
            roles=(OPERATOR_ROLE,),
            photo=True,
            administrator=True,
        ),
        make("ben@contoso.example", "Ben Okafor", job_title="Sales manager", office="18/2111", photo=True),
        make("chiara@contoso.example", "Chiara Rossi", job_title="Designer", office="20/1101"),
        make("deniz@contoso.example", "Deniz Demir", job_title="Paralegal", office="24/1106"),
        make("emi@contoso.example", "Emi Tanaka", job_title="Engineer", office="131/1104", photo=True),
        make("farid@contoso.example", "Farid Haddad", job_title="Accountant", office="98/2202"),
        make("greta@fabrikam.example", "Greta Nowak", job_title="Consultant", office="F1", guest_of=CONTOSO),
        make("hugo@fabrikam.example", "Hugo Martin", job_title="Buyer", office="F2"),
        make("ines@fabrikam.example", "Ines Duarte", job_title="Director", office="F3", photo=True, administrator=True),
    ]
