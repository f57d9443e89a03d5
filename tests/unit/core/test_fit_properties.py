"""What holds for every model and every placement of the fit calculation."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.fit import GIB, Model, Placement, estimate

SIZES = st.integers(1, 64)


@st.composite
def models(draw: st.DrawFn) -> Model:
    """Dense, windowed, mixed and latent ones, of any proportions."""
    layers = draw(st.integers(1, 128))
    latent = draw(st.sampled_from([0, 0, 512]))
    experts = draw(st.sampled_from([0, 0, 8, 64, 256]))
    windowed = draw(st.integers(0, layers))
    parameters = draw(st.integers(10**6, 10**12))
    return Model(
        weights=parameters * draw(st.integers(1, 4)),
        parameters=parameters,
        layers=layers,
        hidden=64 * draw(SIZES),
        intermediate=64 * draw(SIZES),
        kv_heads=0 if latent else draw(SIZES),
        head_size=0 if latent else draw(st.sampled_from([64, 128, 256])),
        vocabulary=draw(st.integers(1000, 300_000)),
        tied=draw(st.booleans()),
        context=draw(st.integers(1, 1_000_000)),
        window=draw(st.integers(1, 8192)) if windowed else 0,
        window_layers=windowed,
        experts=experts,
        expert_size=512 if experts else 0,
        experts_per_token=2 if experts else 0,
        latent=latent,
        rope=64 if latent else 0,
    )


PLACEMENTS = st.builds(
    Placement,
    device=st.integers(GIB, 300 * GIB),
    percent=st.integers(1, 100),
    tensor=st.sampled_from([1, 2, 4, 8]),
    pipeline=st.integers(1, 8),
    data=st.integers(1, 8),
    whole_experts=st.booleans(),
    context=st.integers(1, 1_000_000),
    sequences=st.integers(1, 1024),
    batch=st.integers(1, 16_384),
    eager=st.booleans(),
)


@given(models(), PLACEMENTS, st.integers(1, 10**12))
def test_more_weights_never_need_less(model: Model, placement: Placement, more: int) -> None:
    grown = replace(model, weights=model.weights + more)
    assert estimate(grown, placement).needed >= estimate(model, placement).needed


@given(models(), PLACEMENTS, st.integers(1, 100_000))
def test_a_longer_context_never_needs_less(model: Model, placement: Placement, more: int) -> None:
    longer = replace(placement, context=placement.context + more)
    assert estimate(model, longer).needed >= estimate(model, placement).needed


@given(models(), PLACEMENTS)
def test_sharing_among_more_devices_never_needs_more(model: Model, placement: Placement) -> None:
    alone = estimate(model, placement).needed
    shared = estimate(model, replace(placement, tensor=placement.tensor * 2)).needed
    # What devices need to talk to each other is the only thing that may be added, and once.
    assert shared <= alone + (GIB * 42 // 100 if placement.tensor == 1 else 0)
    assert estimate(model, replace(placement, data=placement.data + 1)).needed <= alone


@given(models(), PLACEMENTS)
def test_a_further_stage_never_needs_more(model: Model, placement: Placement) -> None:
    further = estimate(model, replace(placement, pipeline=placement.pipeline + 1))
    # A stage may hold layers of one kind alone, of which a block is kept back for each.
    assert further.needed <= estimate(model, placement).needed + further.reserve + GIB // 1024


@given(models(), PLACEMENTS)
def test_the_largest_context_is_the_largest_that_fits(model: Model, placement: Placement) -> None:
    largest = estimate(model, placement).largest
    if largest:
        assert estimate(model, replace(placement, context=largest)).fits
    if largest < model.context:
        assert not estimate(model, replace(placement, context=largest + 1)).fits


@given(models(), PLACEMENTS)
def test_a_model_fits_when_its_context_is_at_most_the_largest(model: Model, placement: Placement) -> None:
    found = estimate(model, placement)
    if placement.context <= model.context:
        assert found.fits == (placement.context <= found.largest)
        assert found.fits == (found.at_once >= 1)


@given(models(), PLACEMENTS)
def test_more_memory_never_fits_less_under_the_same_load(model: Model, placement: Placement) -> None:
    larger = replace(placement, device=placement.device * 2)
    assert estimate(model, larger).largest >= estimate(model, placement).largest
