"""No refreshed token waits longer than a quarter of a second for its batch."""

from timer_worker.batch import Batch


def test_a_batch_is_due_a_quarter_second_after_its_first_item() -> None:
    """The time counts from the first item, not from the last."""
    time = [10.0]
    batch: Batch[str] = Batch(clock=lambda: time[0])
    seen = [batch.seconds_left]
    batch.add("a")
    seen.append(batch.seconds_left)
    time[0] += 0.125
    batch.add("b")
    seen.append(batch.seconds_left)
    time[0] += 0.125
    seen.append(batch.seconds_left)
    assert batch.take() == ["a", "b"]
    assert [*seen, batch.seconds_left] == [None, 0.25, 0.125, 0, None]


def test_a_batch_without_patience_is_due_as_soon_as_it_holds_something() -> None:
    """Strict rotation: a redeemed token waits for nobody."""
    batch: Batch[str] = Batch(longest=0.0, clock=lambda: 10.0)
    seen = [batch.seconds_left]
    batch.add("a")
    assert [*seen, batch.seconds_left, batch.is_full] == [None, 0.0, False]


def test_a_full_batch_is_due_at_once() -> None:
    """A transaction takes a hundred rows."""
    batch: Batch[int] = Batch(clock=lambda: 0.0)
    for number in range(100):
        batch.add(number)
    assert batch.seconds_left == 0
    assert len(batch) == 100
