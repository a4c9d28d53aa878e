"""A sweep over N due people, compared with the sample's loop (baseline) and with MSAL and HTTP alone (floor)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench import baseline, tokens
from bench.baseline import Pass
from bench.figures import Figure
from bench.floor import Floor
from bench.people import Caches
from bench.rig import Rig
from bench.workbench import Workbench
from localdev.progress import Progress
from localdev.tenant.certificates import ClientCertificate
from shared.background.first_edition import AnyTask
from shared.services import Services
from shared.sweep_queue import due_slots
from tasks import TASKS
from timer_worker.sweep import Sweep

LATENCY = 0.1
_WIDE = 256


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        rounds: each round measures everything once, side by side. Medians are shown.
        baseline_people: rows that the baseline reads again and again.
    """

    people: int = 3000
    rounds: int = 3
    baseline_seconds: float = 15.0
    baseline_people: int = 300
    ceiling_answers: int = 10_000


QUICK = Size(people=160, rounds=1, baseline_seconds=0.5, baseline_people=10, ceiling_answers=200)


@dataclass(frozen=True)
class Swept(Pass):
    """One sweep.

    Attributes:
        storage_calls: HTTP requests to the storage account.
        token_calls, graph_calls, double_redemptions: the endpoint's counts.
    """

    storage_calls: int
    token_calls: int
    graph_calls: int
    double_redemptions: int


def run(size: Size, bench: Workbench) -> list[Figure]:
    """Measures all rounds, the endpoint's ceiling and the baseline."""
    rig = bench.rig(size.people)
    baseline.fill(rig, size.baseline_people)
    measured = _Measured(rig, size)
    ceiling, per_cpu_second = rig.far_end.measure_ceiling(answers=size.ceiling_answers)
    for number in range(1, size.rounds + 1):
        measured.measure_round(number, bench.progress)
    bench.progress.show(f"the baseline, {size.baseline_seconds:.0f} s")
    rig.far_end.reset(latency=LATENCY)
    base = baseline.run_loop(rig, size.baseline_people, seconds=size.baseline_seconds)
    note = f"{per_cpu_second:.0f} per CPU second of its one core"
    return [*measured.figures(base), Figure("sweep.endpoint_ceiling", ceiling, "answers/s", ">= 1500", note)]


class _Measured:
    """The passes of all rounds."""

    def __init__(self, rig: Rig, size: Size) -> None:
        self._rig, self._size = rig, size
        caches = Caches.sign_in(rig)
        self._caches = [caches.of(tokens.object_id(number)) for number in range(size.people)]
        certificate = ClientCertificate.make("Understudy")
        self._pem = certificate.private_key + certificate.certificate
        self._floor = Floor(rig, threads=rig.services.settings.sweep_concurrency)
        self.late: list[Swept] = []
        self.prompt: list[Swept] = []
        self.wide: list[Swept] = []
        self.certificate: list[Swept] = []
        self.with_task: list[Swept] = []
        self.floor: list[Pass] = []
        self.prompt_floor: list[Pass] = []

    def measure_round(self, number: int, progress: Progress) -> None:
        """Runs each pass once. Passes that are compared with each other follow each other, and take turns at being the
        first: a machine that becomes slower, or faster, favours neither."""
        rig, name = self._rig, f"round {number} of {self._size.rounds}"
        for latency, swept, floors in ((LATENCY, self.late, self.floor), (0.0, self.prompt, self.prompt_floor)):
            for ours in (True, False) if number % 2 else (False, True):
                who = f"{self._size.people} people" if ours else "the floor"
                progress.show(f"{name}: {who} at {latency * 1000:.0f} ms")
                if ours:
                    swept.append(sweep_once(rig, rig.services, latency=latency))
                else:
                    rig.far_end.reset(latency=latency)
                    floors.append(self._floor.redeem(self._caches))
        progress.show(f"{name}: {_WIDE} in flight")
        with rig.other_services(SWEEP_CONCURRENCY=str(_WIDE)) as services:
            self.wide.append(sweep_once(rig, services, latency=LATENCY))
        progress.show(f"{name}: with a certificate")
        with rig.other_services(CLIENT_SECRET="", CLIENT_CERTIFICATE=self._pem) as services:
            self.certificate.append(sweep_once(rig, services, latency=LATENCY))
        progress.show(f"{name}: with the sample task")
        self.with_task.append(sweep_once(rig, rig.services, latency=LATENCY, tasks=TASKS))
        progress.say(f"{name}: {self.late[-1].rate:.0f} people/s, {self.late[-1].cpu_ms:.2f} ms CPU per person")

    def figures(self, base: Pass) -> list[Figure]:
        """Medians over the rounds; ratios are medians of each round's own ratio."""
        late, floor, size = self.late, self.floor, self._size
        rates = [each.rate for each in late]
        rate_ratios = [ours.rate / theirs.rate for ours, theirs in zip(late, floor, strict=True)]
        cpu_ratios = [ours.cpu_ms / theirs.cpu_ms for ours, theirs in zip(late, floor, strict=True)]
        prompt_ratio = median(o.cpu_ms / t.cpu_ms for o, t in zip(self.prompt, self.prompt_floor, strict=True))
        in_flight = self._rig.services.settings.sweep_concurrency
        calls = median(each.storage_calls for each in late)
        every = [*late, *self.prompt, *self.wide, *self.certificate, *self.with_task]
        rate, spread = median(rates), f"{min(rates):.0f} to {max(rates):.0f} in {len(rates)} rounds"
        return [
            Figure("sweep.people", size.people, "", note="due, over 16 slots"),
            Figure("sweep.rate", rate, "people/s", note=f"at 100 ms token latency, {spread}"),
            Figure("sweep.baseline_rate", base.rate, "people/s", note=f"{base.people} people in {base.seconds:.0f} s"),
            Figure("sweep.speedup", rate / base.rate, "x", note="measures the machine too"),
            Figure("sweep.rate_no_latency", median(each.rate for each in self.prompt), "people/s", note="at 0 ms"),
            Figure("sweep.floor_rate", median(each.rate for each in floor), "people/s", note="the floor at 100 ms"),
            Figure(
                "sweep.floor_rate_no_latency", median(each.rate for each in self.prompt_floor), "people/s", note="0 ms"
            ),
            Figure("sweep.rate_ratio", median(rate_ratios), "x", ">= 1.0", note=_spread(rate_ratios)),
            Figure(
                "sweep.inflight_ratio", rate / (in_flight / LATENCY), "x", note=f"of {in_flight} in flight / 100 ms"
            ),
            Figure("sweep.rate_256", median(each.rate for each in self.wide), "people/s", note="256 in flight, 100 ms"),
            Figure("sweep.cpu_ms", median(each.cpu_ms for each in late), "ms/person", note="at 100 ms"),
            Figure("sweep.floor_cpu_ms", median(each.cpu_ms for each in floor), "ms/person", note="MSAL + requests"),
            Figure("sweep.cpu_ms_no_latency", median(each.cpu_ms for each in self.prompt), "ms/person", note="at 0 ms"),
            Figure("sweep.cpu_ms_256", median(each.cpu_ms for each in self.wide), "ms/person"),
            Figure("sweep.baseline_cpu_ms", base.cpu_ms, "ms/person"),
            Figure("sweep.cpu_ratio", median(cpu_ratios), "x", "<= 1.0", note=_spread(cpu_ratios)),
            Figure("sweep.cpu_ratio_no_latency", prompt_ratio, "x"),
            Figure("sweep.cpu_ms_certificate", median(each.cpu_ms for each in self.certificate), "ms/person"),
            Figure("sweep.rate_task", median(each.rate for each in self.with_task), "people/s", note="sample task on"),
            Figure("sweep.cpu_ms_task", median(each.cpu_ms for each in self.with_task), "ms/person"),
            Figure("sweep.storage_calls", calls, "calls", note="claims, pages, transactions, hints"),
            Figure("sweep.storage_calls_per_person", calls / size.people, "calls", "<= 0.08"),
            Figure("sweep.token_calls", median(each.token_calls for each in late), "calls"),
            Figure("sweep.graph_calls_task", median(each.graph_calls for each in self.with_task), "calls"),
            Figure("sweep.double_redemptions", max(each.double_redemptions for each in every), "", "= 0"),
        ]


def _spread(ratios: Sequence[float]) -> str:
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


def sweep_once(rig: Rig, services: Services, *, latency: float, tasks: Sequence[AnyTask] = ()) -> Swept:
    """Makes everybody due and runs one sweep. Raises RuntimeError when a person got no fresh token."""
    rig.make_everybody_due()
    rig.far_end.reset(latency=latency)
    rig.calls.reset()
    began, cpu = time.monotonic(), time.process_time()
    record = Sweep(services, tasks=tasks).run(due_slots(services.store, services.now()))
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu
    if record is None or set(record.counts) != {"fresh"}:
        raise RuntimeError(f"not everybody got a fresh token: {record}")
    counts = rig.far_end.counts()
    return Swept(
        people=record.people,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        storage_calls=rig.calls.total,
        token_calls=counts.redeemed,
        graph_calls=counts.graph,
        double_redemptions=counts.double_redemptions,
    )
