"""The promises of docs/reliability.md, each judged by what a campaign saw from outside."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from shared.clients.http import LONGEST_SECONDS
from tests.reliability.chaos_evidence import Act, Evidence, Message, Row, TokenRequest, Window, Write

_ENROLS = ("sign_in", "api")
_CHANGES = (*_ENROLS, "sign_out")
_ANSWERS = {
    "me": {0, 200, 302, 303, 401, 403, 404, 502, 503},
    "api": {0, 200, 401, 403, 502, 503},
    "sign_in": {0, 302, 303, 400, 403, 503},
    "sign_out": {0, 303, 403, 503},
}
_A_MOMENT = 1.0
_REFUSALS_COUNT_FOR = 300.0  # seconds between the tenant's refusal and the row that says so: a pause, and storage
_WAKING_SECONDS = 20.0  # after a pause a host finishes what it had begun


@dataclass
class Finding:
    """One invariant.

    Attributes:
        checked: how many cases were looked at.
        broken: what did not hold, in words.
        windows: cases in a documented window, by its name.
        note: more to know.
    """

    name: str
    checked: int = 0
    broken: list[str] = field(default_factory=list)
    windows: Counter[str] = field(default_factory=Counter)
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"checked": self.checked, "broken": self.broken, "windows": dict(self.windows), "note": self.note}

    def lines(self) -> list[str]:
        """One line, and one for each case that did not hold."""
        windows = ", ".join(f"{name}: {count}" for name, count in self.windows.items())
        verdict = f"{len(self.broken)} BROKEN of" if self.broken else "held in"
        more = "; ".join(each for each in (f"documented: {windows}" if windows else "", self.note) if each)
        return [f"  {self.name}: {verdict} {self.checked}{f' ({more})' if more else ''}"] + [
            f"    - {each}" for each in self.broken
        ]


def judge(evidence: Evidence) -> list[Finding]:
    """Every invariant, in the order of the report."""
    return [each(evidence) for each in INVARIANTS]


def everybody_is_swept(evidence: Evidence) -> Finding:
    """No active person stays unswept for longer than ABSENT_AFTER and a fifth of it, SWEEP_EVERY, one claim and two
    ticks. Time in which storage or tenant failed, or neither host ran, doesn't count. A host that dies, is paused or
    loses its storage may leave one claim more each."""
    finding = Finding("nobody unswept for longer than SWEEP_EVERY + claim + tick")
    down = evidence.down()
    bound = evidence.absent * 1.2 + evidence.every + 2 * evidence.tick + evidence.claim
    longest, told = 0.0, set()
    for look in evidence.looks:
        for row in look.rows.values():
            if row.state != "active":
                continue
            finding.checked += 1
            since = max(row.last_swept_at, row.last_activity, evidence.begin)
            excused = sum(max(0.0, min(end, look.begin) - max(begin, since)) for begin, end in down)
            waited = look.begin - since - excused
            claims = sum(each.overlaps(since, look.begin) for each in evidence.windows_of("kill", "pause", "storage"))
            longest = max(longest, waited)
            if waited > bound + claims * evidence.claim and row.account not in told:
                told.add(row.account)
                finding.broken.append(f"{evidence.name(row.account)}: {waited:.0f} s, {excused:.0f} s more excused")
    seconds = sum(min(end, evidence.end) - begin for begin, end in down)
    finding.windows["seconds in which storage, tenant or both hosts were down"] = round(seconds)
    finding.note = f"longest {longest:.0f} s of {bound:.0f}"
    return finding


def hints_stay_low(evidence: Evidence) -> Finding:
    """The hint of a slot that no sweep holds is not later than the due time of an active person in it who signed in
    last. The row must be the same in the next look: it was in force when the hint was read."""
    finding = Finding("no hint later than somebody who is due, in a slot that nobody sweeps")
    told = set()
    for look, following in pairwise(evidence.looks):
        for row in look.rows.values():
            hint, later = look.hints.get(row.slot), following.rows.get(row.account)
            if hint is None or hint.claimed or row.state != "active" or later is None or later.etag != row.etag:
                continue
            finding.checked += 1
            if hint.next_due_at <= row.due_at + 0.001 or (row.account, row.etag) in told:
                continue
            told.add((row.account, row.etag))
            reason = _why_late(evidence, row, look.begin)
            if reason:
                finding.windows[reason] += 1
            else:
                late = hint.next_due_at - row.due_at
                who = f"{evidence.name(row.account)}, slot {row.slot}"
                finding.broken.append(f"{who}, at {_at(evidence, look.begin)}: {late:.1f} s later")
    return finding


def _why_late(evidence: Evidence, row: Row, seen_at: float) -> str:
    """What cut a sign-in off from its hint, or put a slot off; "" when nothing explains it. A visit after a sweep may
    make somebody due before their slot's next turn, which stands."""
    acts = evidence.acts_of.get(row.account, [])
    if not any(each.what == "sign_in" and each.begin <= row.last_activity <= each.end for each in acts):
        return "a visit, and the slot keeps its turn"
    cut_off = [
        each
        for each in acts
        if each.what in _ENROLS
        and each.begin < seen_at < each.end + _WAKING_SECONDS
        and (each.status not in (200, 303) or each.end > seen_at)
    ]
    if cut_off:
        return "a sign-in that was cut off before the hint"
    asked_to_wait = any(
        each.status == 429 and seen_at - _WAKING_SECONDS < each.done < seen_at for each in evidence.requests
    )
    return "the tenant asked for a pause" if asked_to_wait else ""


def nobody_is_set_aside_by_us(evidence: Evidence) -> Finding:
    """Every row that was set aside is of somebody whom the token endpoint had refused."""
    finding = Finding("nobody set aside whom the tenant did not refuse")
    refused: dict[str, list[float]] = {}
    for each in evidence.requests:
        if each.status in (400, 401) and each.grant != "authorization_code":
            owner = evidence.chain.get(each.presented, ("", 0.0, ""))[2]
            refused.setdefault(owner, []).append(each.at)
    for write in _set_asides(evidence):
        finding.checked += 1
        times = refused.get(write.account, []) + refused.get("", [])
        if not any(write.done - _REFUSALS_COUNT_FOR < at < write.done for at in times):
            code = write.row.get("FailureCode")
            finding.broken.append(f"{evidence.name(write.account)} at {_at(evidence, write.at)}: {code}, never refused")
    return finding


def rows_stay(evidence: Evidence) -> Finding:
    """Whoever signed in has a row until they sign out, and whoever signed out has none until they come back. Acts of
    one person that overlap, or whose answer was lost, leave it open."""
    finding = Finding("no row lost or back from the dead")
    for account, acts in evidence.acts_of.items():
        changes = [each for each in acts if each.what in _CHANGES]
        for begin, end, there in _certain(changes):
            for look in evidence.looks_between(begin, end):
                finding.checked += 1
                if (account in look.rows) != there:
                    what = "lost" if there else "back from the dead"
                    finding.broken.append(f"{evidence.name(account)} {what} at {_at(evidence, look.begin)}")
                    break
    return finding


def _certain(changes: list[Act]) -> Iterator[tuple[float, float, bool]]:
    """When a person's row must be there, or must not: begin, end, which."""
    there: bool | None = None
    by: Act | None = None
    reached = 0.0
    for index, act in enumerate(changes):
        following = changes[index + 1].begin if index + 1 < len(changes) else float("inf")
        alone = act.begin > reached and act.end < following
        reached = max(reached, act.end)
        if not alone:
            there, by = None, None
        elif act.what == "sign_in":
            there, by = (True, act) if act.status == 303 else (there or None, by)
        elif act.what == "api":
            there = True if act.status == 200 else (there or None)
        elif act.status == 303 and there and act.session_of is by:
            there, by = False, None
        else:
            there = None
        if there is not None:
            yield act.end, following, there


def sign_ins_win(evidence: Evidence) -> Finding:
    """After a sign-in was answered, its row holds tokens of that sign-in or a later one."""
    finding = Finding("no older sign-in over a newer one")
    signed_in: dict[str, list[Act]] = {}
    for act in evidence.acts:
        if act.what == "sign_in" and act.status == 303:
            signed_in.setdefault(act.account, []).append(act)
    told = set()
    for look in evidence.looks:
        for row in look.rows.values():
            acts = [each for each in signed_in.get(row.account, []) if each.end < look.begin]
            families = [evidence.chain[token] for token in row.tokens if token in evidence.chain]
            if not acts or not families:
                continue
            finding.checked += 1
            newest = max(acts, key=lambda each: each.begin)
            family, began, _ = max(families, key=lambda each: each[1])
            if began >= newest.begin or (row.account, family) in told:
                continue
            told.add((row.account, family))
            overlapping = any(
                each.begin <= began <= each.end and each.end > newest.begin
                for each in evidence.acts_of[row.account]
                if each.what in _ENROLS
            )
            if overlapping:
                finding.windows["two sign-ins at once, the one that was saved last stands"] += 1
            else:
                who = f"{evidence.name(row.account)} at {_at(evidence, look.begin)}"
                after = f"a sign-in from {_at(evidence, newest.begin)} to {_at(evidence, newest.end)}"
                finding.broken.append(f"{who}: tokens of {_at(evidence, began)} after {after}")
    return finding


def families_live(evidence: Evidence) -> Finding:
    """No refresh token is redeemed twice where that revokes its family, except in a documented window."""
    finding = Finding(f"no family revoked, {evidence.rotation} rotation")
    finding.checked = sum(each.grant == "refresh_token" for each in evidence.requests)
    for reuse in evidence.requests:
        if "redeemed before" in reuse.said:
            window, story = _why(evidence, reuse)
            if window:
                finding.windows[window] += 1
            else:
                finding.broken.append(story)
    return finding


def _why(evidence: Evidence, reuse: TokenRequest) -> tuple[str, str]:
    """The documented window of a second redemption, or "", and what happened, in words."""
    same = [each for each in evidence.requests if each.presented == reuse.presented and each.rotated]
    first = min(same, key=lambda each: each.done)  # the tenant waits before it looks, not after
    account = evidence.chain.get(reuse.presented, ("", 0.0, "?"))[2]
    writes = evidence.writes_of.get(account, [])
    holder = _holder(writes, first.at)
    second = _holder(writes, reuse.at)
    attempts = [each for each in writes if first.given and first.given in each.tokens and each.at < reuse.done]
    saved = next((each for each in attempts if each.committed), None)
    until = saved.done if saved else reuse.done
    ended = [
        each
        for each in evidence.windows_of("kill", "pause")
        if each.host == holder and each.overlaps(first.at - _A_MOMENT, until)
    ]
    woken = [
        each
        for each in evidence.windows_of("pause")
        if each.end <= reuse.at <= each.end + _WAKING_SECONDS and _asked_before(writes, each)
    ]
    if not first.whole or first.done - first.at > LONGEST_SECONDS:
        return "the token endpoint's answer was lost", ""
    if ended and (not saved or saved.done > ended[0].begin):
        also = ", storage failing meanwhile" if attempts and not saved else ""
        return f"a {ended[0].kind} of the holder between redeem and save{also}", ""
    if woken:
        return "a pause between the look at the lease and the wire", ""
    return "", _story(evidence, account, first, reuse, holder, second, attempts)


def _holder(writes: list[Write], before: float) -> int | None:
    """The host that wrote the last lease before this time."""
    leases = [each.host for each in writes if each.lease and each.at < before and each.committed is not False]
    return leases[-1] if leases else None


def _asked_before(writes: list[Write], pause: Window) -> bool:
    """Had the paused host taken this person's lease in the two minutes before?"""
    return any(each.lease and each.host == pause.host and pause.begin - 120 < each.at < pause.end for each in writes)


def _story(
    evidence: Evidence,
    account: str,
    first: TokenRequest,
    reuse: TokenRequest,
    holder: int | None,
    second: int | None,
    attempts: list[Write],
) -> str:
    """Everything about this person around both redemptions."""
    begin, end = min(first.at, reuse.at) - 3, max(first.done, reuse.done) + 1
    failed = sum(not each.committed for each in attempts)
    saved = len(attempts) - failed
    head = (
        f"{evidence.name(account)}: redeemed at {_at(evidence, first.at)} (lease of host {holder}, answered after "
        f"{first.done - first.at:.1f} s, saved {saved} times, {failed} failed), again at {_at(evidence, reuse.at)} "
        f"(lease of host {second})"
    )
    lines = [
        (
            each.at,
            _told(each, first.given),
        )
        for each in evidence.writes_of.get(account, [])
        if begin < each.at < end
    ]
    lines += [
        (
            each.at,
            f"token request {each.presented[:6]} -> {each.given[:6] or each.said[:60]} in {each.done - each.at:.1f} s",
        )
        for each in evidence.requests
        if begin < each.at < end
        and each.grant == "refresh_token"
        and evidence.chain.get(each.presented, ("", 0.0, ""))[2] == account
    ]
    lines += [
        (each.begin, f"{each.what} at host {each.host}: {each.status} after {each.end - each.begin:.1f} s")
        for each in evidence.acts_of.get(account, [])
        if begin - 5 < each.begin < end
    ]
    lines += [
        (each.begin, f"{each.kind} host {each.host} for {each.end - each.begin:.1f} s")
        for each in evidence.windows
        if each.overlaps(begin, end)
    ]
    return "\n        ".join([head, *(f"{_at(evidence, at)} {text}" for at, text in sorted(lines))])


def _told(write: Write, new: str) -> str:
    """A write in words."""
    words = [f"host {write.host} {write.kind} {'committed' if write.committed else 'refused'}"]
    words += [] if write.answered else ["answer lost"]
    words += [f"lease {write.lease[:4]}" if write.lease else "no lease"] if "LeaseOwner" in write.row else []
    words += ["the new tokens" if new and new in write.tokens else "tokens"] if write.tokens else []
    return ", ".join(words)


def losses_are_told(evidence: Evidence) -> Finding:
    """A message is sent after its row was saved, and once, unless a crash, a fault or another write came before it was
    noted; whoever was set aside, and still is, has got one."""
    finding = Finding("every loss notified, as docs/notifications.md says")
    sent: dict[str, Message] = {}
    for message in sorted(evidence.messages, key=lambda each: each.at):
        if message.committed is False:
            continue
        finding.checked += 1
        who = f"{evidence.name(message.account)}, {_at(evidence, message.at)}"
        rows = [
            each
            for each in evidence.writes_of.get(message.account, [])
            if each.row.get("State") == "needs_sign_in"
            and _moment(each.row.get("FailureFirstAt")) == _moment(message.since)
            and each.committed is not False
        ]
        if not any(each.done <= message.at or (each.committed is None and each.at < message.at) for each in rows):
            finding.broken.append(f"{who}: a message {'before its row was saved' if rows else 'without any loss'}")
        if message.id in sent:
            reason = _why_again(evidence, sent[message.id], message)
            finding.windows[f"sent again, {reason}"] += bool(reason)
            finding.broken += [] if reason else [f"{who}: told twice"]
        sent[message.id] = message
    finding.windows = +finding.windows
    finding.broken += _untold(evidence, set(sent))
    missing = {each.id for each in evidence.messages if each.committed} - set(evidence.queued)
    finding.broken += [f"message {each} is not in the queue" for each in missing]
    return finding


def _why_again(evidence: Evidence, first: Message, again: Message) -> str:
    """Why a message may have come twice; "" when nothing explains it."""
    if any(each.overlaps(first.at - _A_MOMENT, again.done) for each in evidence.windows):
        return "a crash or a fault before it was noted"
    between = [each for each in evidence.writes_of.get(first.account, []) if first.at < each.at < again.at]
    if any(each.row.get("NotifiedAt") and not each.committed for each in between):
        return "another write before it was noted"
    return ""


def _untold(evidence: Evidence, sent: set[str]) -> Iterator[str]:
    """Whoever is set aside in the last look, for longer than a sweep may take, and without a message."""
    told = {(each.account, _moment(each.since)) for each in evidence.messages if each.id in sent}
    last = evidence.looks[-1]
    bound = evidence.every + evidence.claim + 2 * evidence.tick
    mended = max((each.end for each in evidence.windows), default=evidence.begin)
    for row in last.rows.values():
        if row.state == "needs_sign_in" and (row.account, _moment(row.failure_first_at)) not in told:
            if row.notified:
                yield f"{evidence.name(row.account)}: noted as told, and no message was sent"
            elif last.begin - max(mended, _set_aside_at(evidence, row)) > bound:
                yield f"{evidence.name(row.account)}: set aside and not told"


def _set_aside_at(evidence: Evidence, row: Row) -> float:
    writes = evidence.writes_of.get(row.account, [])
    return max((each.done for each in writes if each.row.get("State") == "needs_sign_in"), default=0.0)


def nothing_unexpected(evidence: Evidence) -> Finding:
    """No request was answered with an error of ours, and no log tells of an error that nobody expected."""
    finding = Finding("no answer and no log line that nobody expected")
    finding.checked = len(evidence.acts)
    odd = Counter(f"{act.what} {act.status}" for act in evidence.acts if act.status not in _ANSWERS[act.what])
    finding.broken = [f"{count} times {what}" for what, count in odd.items()]
    for name, text in evidence.logs.items():
        lines = [line for line in text.splitlines() if "in an unexpected way" in line or "makes no sense" in line]
        finding.broken += [f"{name}: {line[:200]}" for line in lines[:5]]
    return finding


def secrets_stay(evidence: Evidence) -> Finding:
    """No token, code, cookie, key or secret is in a host's log."""
    finding = Finding("no secret in a log", checked=len(evidence.secrets))
    for name, text in evidence.logs.items():
        words = set(text.split())
        for secret in evidence.secrets:
            if len(secret) >= 8 and (secret in words or secret in text):
                finding.broken.append(f"{name}: a secret of {len(secret)} characters")
    return finding


INVARIANTS: tuple[Callable[[Evidence], Finding], ...] = (
    everybody_is_swept,
    hints_stay_low,
    nobody_is_set_aside_by_us,
    rows_stay,
    sign_ins_win,
    families_live,
    losses_are_told,
    nothing_unexpected,
    secrets_stay,
)


def _set_asides(evidence: Evidence) -> Iterator[Write]:
    """Writes that set somebody aside; not those that only note a message on a row that was."""
    for writes in evidence.writes_of.values():
        known = ""
        for write in writes:
            if write.committed is False or "State" not in write.row:
                continue
            first_at = str(write.row.get("FailureFirstAt", ""))
            if write.row["State"] == "needs_sign_in" and first_at != known:
                known = first_at
                yield write


def _moment(text: object) -> str:
    """A time as the queue, the wire and the tables write it, to the millisecond."""
    return str(text or "").replace("Z", "").replace("+00:00", "")[:23].ljust(23, "0")


def _at(evidence: Evidence, moment: float) -> str:
    return f"{moment - evidence.begin:.2f} s"
