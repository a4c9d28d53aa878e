"""The sample Graph's mail: lists, pages, filters, replies, and what was sent."""

from datetime import UTC, datetime
from typing import Any

import pytest

from localdev.tenant import SampleTenant
from tests.localdev.graph_client import MAIL, GraphClient, error_in, message_to
from tests.localdev.tenant_actors import ADA, BEN, Clock


@pytest.fixture
def ben(tenant: SampleTenant) -> GraphClient:
    """Ben, who may read and send mail."""
    return GraphClient(tenant, BEN, *MAIL)


def test_mail_comes_in_pages_of_ten_newest_first(ben: GraphClient) -> None:
    """The links lead through every message once."""
    for number in range(12):
        ben.tenant.data.deliver_mail(BEN, subject=f"Note {number}")
    pages = ben.pages("/me/messages")
    sizes = [len(each["value"]) for each in pages]
    assert len(pages) > 1
    assert sizes[:-1] == [10] * (len(pages) - 1)
    found = [each for page in pages for each in page["value"]]
    assert len({each["id"] for each in found}) == len(found) == len(ben.all("/me/messages", params={"$top": "1000"}))
    times = [each["receivedDateTime"] for each in found]
    assert times == sorted(times, reverse=True)


def test_the_next_page_keeps_the_query(ben: GraphClient) -> None:
    """Filter, selection and page size hold for every page."""
    for number in range(5):
        ben.tenant.data.deliver_mail(BEN, subject=f"It's note {number}")
    query = {"$filter": "isRead eq false and startswith(subject,'It''s')", "$select": "subject", "$top": "2"}
    pages = ben.pages("/me/messages", params=query)
    assert [len(each["value"]) for each in pages] == [2, 2, 1]
    assert all(set(item) == {"id", "subject"} for each in pages for item in each["value"])


def test_filters_by_reading_and_time(ben: GraphClient) -> None:
    """The two halves of a comparison make the whole."""
    everything = ben.all("/me/messages", params={"$top": "1000"})
    unread = ben.all("/me/messages", params={"$filter": "isRead eq false", "$top": "1000"})
    assert 0 < len(unread) < len(everything)
    assert not any(each["isRead"] for each in unread)
    middle = everything[len(everything) // 2]["receivedDateTime"]
    newer, older = (
        ben.all("/me/messages", params={"$filter": f"receivedDateTime {test} {middle}", "$top": "1000"})
        for test in ("ge", "lt")
    )
    assert [each["id"] for each in newer + older] == [each["id"] for each in everything]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("subject eq 'alpha'", ["Alpha"]),
        ("not (isRead eq true) and contains(subject,'lph')", ["Alpha"]),
        ("(subject eq 'Alpha' or subject eq 'Beta') and isRead eq false", ["Alpha", "Beta"]),
        ("from/emailAddress/address eq 'x@adatum.example'", ["Beta"]),
        ("subject eq 'O''Neill'", ["O'Neill"]),
    ],
)
def test_understands_a_filter(ben: GraphClient, text: str, found: list[str]) -> None:
    """Text in any case, functions, parentheses, paths and doubled quotes."""
    ben.tenant.data.deliver_mail(BEN, subject="Alpha")
    ben.tenant.data.deliver_mail(BEN, subject="Beta", sender="x@adatum.example")
    ben.tenant.data.deliver_mail(BEN, subject="O'Neill")
    assert sorted(each["subject"] for each in ben.all("/me/messages", params={"$filter": text})) == found


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"$filter": "isRead"}, "BadRequest"),
        ({"$filter": "isRead eq"}, "BadRequest"),
        ({"$filter": "isRead is false"}, "BadRequest"),
        ({"$filter": "subject eq 'open"}, "BadRequest"),
        ({"$filter": "(isRead eq false"}, "BadRequest"),
        ({"$filter": "isRead eq false isRead"}, "BadRequest"),
        ({"$filter": "colour eq 'red'"}, "BadRequest"),
        ({"$filter": "isRead gt 'x'"}, "BadRequest"),
        ({"$orderby": "subject upwards"}, "BadRequest"),
        ({"$top": "0"}, "ErrorInvalidParameter"),
        ({"$top": "1001"}, "ErrorInvalidParameter"),
        ({"$skip": "-1"}, "ErrorInvalidParameter"),
        ({"$filter": "isRead eq false", "$orderby": "receivedDateTime desc"}, "InefficientFilter"),
        (
            {"$filter": "isRead eq false and receivedDateTime ge 2020-01-01T00:00:00Z", "$orderby": "receivedDateTime"},
            "InefficientFilter",
        ),
    ],
)
def test_refuses_a_query_that_graph_would_refuse(ben: GraphClient, query: dict[str, str], code: str) -> None:
    """400, also for an order that the filter does not name first."""
    assert error_in(ben.send("GET", "/me/messages", params=query)) == (400, code)


def test_orders_by_what_the_filter_names_first(ben: GraphClient) -> None:
    """Ascending and descending."""
    wanted = "receivedDateTime ge 2020-01-01T00:00:00Z and isRead eq false"
    up, down = (
        ben.all("/me/messages", params={"$filter": wanted, "$orderby": f"receivedDateTime {way}", "$top": "100"})
        for way in ("asc", "desc")
    )
    assert len(up) > 1
    assert [each["id"] for each in up] == [each["id"] for each in reversed(down)]


def test_sent_mail_is_accepted_kept_and_counted(ben: GraphClient) -> None:
    """202 without a body; in Sent Items, with the recipient, in the control API and in the log."""
    answer = ben.send("POST", "/me/sendMail", json=message_to(BEN, ADA, subject="Digest"))
    assert (answer.status_code, answer.content) == (202, b"")
    (sent,) = ben.get("/me/mailFolders/SentItems/messages")["value"]
    assert (sent["subject"], sent["isRead"], sent["from"]["emailAddress"]["address"]) == ("Digest", True, BEN)
    received = ben.all("/me/mailFolders/inbox/messages", params={"$filter": "subject eq 'Digest'"})
    assert [each["isRead"] for each in received] == [False]
    assert ben.tenant.data.mail(ADA)["sent"] == []
    (known,) = ben.tenant.data.mail(BEN)["sent"]
    assert [each["emailAddress"]["address"] for each in known["toRecipients"]] == [BEN, ADA]
    log = ben.tenant.log()
    assert (log["mails_sent"], log["by_person"][BEN]["mails_sent"]) == (1, 1)
    assert log["graph"]["by_call"]["POST /v1.0/me/sendMail"] == 1


def test_mail_need_not_be_saved(ben: GraphClient) -> None:
    """It is counted all the same."""
    ben.send("POST", "/me/sendMail", json=message_to(ADA) | {"saveToSentItems": False})
    assert ben.get("/me/mailFolders/sentitems/messages")["value"] == []
    assert ben.tenant.log()["mails_sent"] == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "ErrorInvalidRequest"),
        ({"message": {"subject": "To nobody"}}, "ErrorInvalidRecipients"),
        (message_to("nobody"), "ErrorInvalidRecipients"),
        ({"message": {"toRecipients": ["ada"]}}, "ErrorInvalidRecipients"),
    ],
)
def test_refuses_mail_to_nobody(ben: GraphClient, body: dict[str, Any], code: str) -> None:
    """400, and nothing is sent."""
    assert error_in(ben.send("POST", "/me/sendMail", json=body)) == (400, code)
    assert ben.tenant.log()["mails_sent"] == 0


def test_refuses_a_body_that_is_no_json_object(ben: GraphClient) -> None:
    """400 in Graph's words."""
    for data in ("{", "[]"):
        assert error_in(ben.send("POST", "/me/sendMail", data=data)) == (400, "BadRequest")


def test_a_reply_goes_to_the_sender(ben: GraphClient) -> None:
    """With the comment, RE: once, and in Sent Items."""
    unread = ben.tenant.data.mail(ADA)["unread"]
    original = ben.tenant.data.deliver_mail(BEN, subject="Offer", sender=ADA, text="Yes or no?")
    assert ben.send("POST", f"/me/messages/{original['id']}/reply", json={"comment": "Yes."}).status_code == 202
    (sent,) = ben.tenant.data.mail(BEN)["sent"]
    assert (sent["subject"], sent["toRecipients"][0]["emailAddress"]["address"]) == ("RE: Offer", ADA)
    assert "Yes." in sent["body"]["content"]
    assert "Yes or no?" in sent["body"]["content"]
    assert ben.tenant.data.mail(ADA)["unread"] == unread + 1
    twice = {"comment": "Yes.", "message": {"body": {"contentType": "text", "content": "Yes."}}}
    assert ben.send("POST", f"/me/messages/{original['id']}/reply", json=twice).status_code == 400
    assert error_in(ben.send("POST", "/me/messages/nothing/reply", json={})) == (404, "ErrorItemNotFound")


def test_one_message_can_be_read_by_its_id(ben: GraphClient) -> None:
    """The one in the list; 404 for an unknown one."""
    first = ben.get("/me/messages")["value"][0]
    assert ben.get(f"/me/messages/{first['id']}")["subject"] == first["subject"]
    assert ben.get(f"/me/messages/{first['id']}?$select=isRead").keys() == {"@odata.context", "id", "isRead"}
    assert error_in(ben.send("GET", "/me/messages/nothing")) == (404, "ErrorItemNotFound")
    assert error_in(ben.send("GET", "/me/mailFolders/archive/messages")) == (404, "ErrorItemNotFound")


def test_basic_permission_shows_no_bodies(tenant: SampleTenant) -> None:
    """Mail.ReadBasic lists mail without what it says."""
    basic = GraphClient(tenant, BEN, "Mail.ReadBasic")
    assert not {"body", "bodyPreview"} & basic.get("/me/messages")["value"][0].keys()


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("Mail.Send", "GET", "/me/messages"),
        ("Mail.Read", "POST", "/me/sendMail"),
        ("Mail.ReadWrite", "POST", "/me/sendMail"),
        ("Mail.Read", "POST", "/me/messages/x/reply"),
        ("Calendars.Read", "POST", "/me/events"),
        ("Calendars.Read", "PATCH", "/me/events/x"),
        ("Calendars.Read", "DELETE", "/me/events/x"),
        ("Mail.Read", "GET", "/me/calendarView"),
        ("Tasks.Read", "POST", "/me/todo/lists"),
        ("Tasks.Read", "DELETE", "/me/todo/lists/x/tasks/y"),
        ("Mail.Read", "GET", "/me/todo/lists"),
    ],
)
def test_each_call_needs_its_own_permission(tenant: SampleTenant, scope: str, method: str, path: str) -> None:
    """403 in Outlook's words for a token with another permission."""
    assert error_in(GraphClient(tenant, BEN, scope).send(method, path, json={})) == (403, "ErrorAccessDenied")


def test_mail_is_the_same_until_somebody_writes(ben: GraphClient, clock: Clock) -> None:
    """Made-up messages have a past: none is from the future, and a look changes nothing."""
    first = ben.all("/me/messages", params={"$top": "100"})
    clock.ahead = 60
    assert ben.all("/me/messages", params={"$top": "100"}) == first
    assert first[0]["receivedDateTime"] <= datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ben.tenant.reset()
    again = GraphClient(ben.tenant, BEN, *MAIL).all("/me/messages", params={"$top": "100"})
    # A message may become due, or an old one leave, between the two looks.
    assert {each["id"] for each in first[:5]} <= {each["id"] for each in again}
