"""Which engines are left out, for how long, and what brings them back."""

from math import inf

from pointsman_router.engines import health
from pointsman_router.engines.endpoints import Endpoint
from pointsman_router.engines.engine import Engine
from pointsman_router.settings import Ejection

RULES = Ejection(failures=3, seconds=10.0, max_seconds=35.0, max_percent=50)


def engines(count: int) -> list[Engine]:
    return [Engine(Endpoint(f"10.0.0.{n}", f"pod-{n}", True), 8000, 0) for n in range(count)]


def fail(engine: Engine, peers: list[Engine], times: int = 3, now: float = 100.0) -> list[bool]:
    return [health.failed(engine, peers, now, RULES) for _ in range(times)]


def test_failures_in_a_row_eject_and_an_answer_starts_the_row_anew() -> None:
    one, *others = engines(3)
    peers = [one, *others]
    assert fail(one, peers, 2) == [False, False]
    health.succeeded(one)
    assert fail(one, peers, 3) == [False, False, True]
    assert (one.ejected, one.aside_until) == (True, 110.0)


def test_one_request_decides_and_all_others_pass_by_until_it_has() -> None:
    one, *others = engines(2)
    fail(one, [one, *others])
    assert not health.taken(one, 105.0), "taken as a last resort before its time is no probe"
    assert health.taken(one, 110.0)
    assert one.aside_until == inf
    assert not health.taken(one, 111.0)


def test_a_probe_that_fails_leaves_it_out_for_twice_as_long_up_to_the_bound() -> None:
    one, other = engines(2)
    now, waits = 100.0, []
    fail(one, [one, other], now=now)
    for _ in range(4):
        waits.append(one.aside_until - now)
        now = one.aside_until
        assert health.taken(one, now)
        assert health.failed(one, [one, other], now, RULES)
    assert waits == [10.0, 20.0, 35.0, 35.0]


def test_a_probe_that_begins_well_brings_it_back_with_one_failure_of_grace() -> None:
    one, other = engines(2)
    peers = [one, other]
    fail(one, peers)
    health.taken(one, 110.0)
    health.began_well(one, 110.0, RULES)
    assert (one.ejected, one.aside_until) == (False, 0.0)
    assert fail(one, peers, 1, now=111.0) == [True], "an answer that broke after it had begun"
    assert one.aside_until == 131.0
    health.taken(one, 131.0)
    health.began_well(one, 131.0, RULES)
    health.succeeded(one)
    assert fail(one, peers, 2, now=140.0) == [False, False], "whole again, with a clean slate"


def test_an_older_requests_answer_says_nothing_of_it_now() -> None:
    one, other = engines(2)
    fail(one, [one, other])
    health.began_well(one, 99.0, RULES)
    health.succeeded(one)
    assert one.ejected
    assert not health.failed(one, [one, other], 101.0, RULES), "nor does its failure lengthen the time"
    assert one.aside_until == 110.0


def test_a_probe_that_ends_without_a_verdict_lets_the_next_one_decide() -> None:
    one, other = engines(2)
    fail(one, [one, other])
    health.taken(one, 110.0)
    health.undecided(one, 112.0)
    assert one.aside_until == 112.0
    assert health.taken(one, 112.0)


def test_never_all_and_never_more_than_the_bound() -> None:
    for count, out in ((1, 0), (2, 1), (3, 1), (4, 2), (5, 2)):
        peers = engines(count)
        assert sum(fail(engine, peers)[-1] for engine in peers) == out


def test_whoever_takes_no_requests_isnt_ejected() -> None:
    gone, *peers = engines(4)
    assert fail(gone, peers, 9) == [False] * 9


def test_a_rest_grows_with_failures_and_ends_with_a_connection() -> None:
    one, other = engines(2)
    rests = []
    for _ in range(2):
        health.failed(one, [one, other], 100.0, RULES)
        health.rest(one, 100.0)
        rests.append(one.aside_until - 100.0)
    assert rests == [0.5, 1.0]
    health.reached(one)
    assert one.aside_until == 0.0


def test_a_connection_alone_doesnt_end_an_ejection() -> None:
    one, other = engines(2)
    fail(one, [one, other])
    health.reached(one)
    health.rest(one, 100.0)
    assert one.aside_until == 110.0


def test_an_engine_that_becomes_ready_again_is_judged_anew_and_starts_slowly() -> None:
    one, other = engines(2)
    one.turn(True, 50.0, 0.0)
    fail(one, [one, other])
    one.turn(False, 101.0, 10.0)
    assert one.pool.closed
    one.turn(True, 102.0, 10.0)
    assert (one.ejected, one.failures, one.aside_until, one.full_at) == (False, 0, 0.0, 112.0)
    one.turn(True, 108.0, 10.0)
    assert one.full_at == 112.0, "it's new once"


def test_what_an_engine_doesnt_do_is_no_failure_of_it() -> None:
    assert [status for status in (400, 429, 500, 501, 502, 503, 505, 599) if health.is_failure(status)] == [
        500,
        502,
        503,
        599,
    ]
