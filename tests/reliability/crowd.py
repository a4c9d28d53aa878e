"""Signs in as many people as a test needs, without browsers."""

from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit

from localdev.tenant import SampleTenant, Visitor
from shared.accounts import Account
from shared.services import Services


def enrol(
    app: Services, tenant: SampleTenant, names: Iterable[str], *, domain: str = "contoso.example"
) -> list[Account]:
    """Signs each in through the tenant's pages. Returns their accounts in order. New names are new people."""
    known = {each["username"] for each in tenant.people()}
    accounts = []
    for name in names:
        username = f"{name}@{domain}"
        if username not in known:
            tenant.add_person(username, f"{name.title()} Crowd")
        url, flow = app.identity.begin_sign_in()
        callback = Visitor().sign_in(url, username)
        signed_in = app.identity.finish_sign_in(flow, dict(parse_qsl(urlsplit(callback).query)))
        accounts.append(app.enrolment.save_sign_in(signed_in))
    return accounts
