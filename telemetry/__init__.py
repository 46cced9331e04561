"""Seeing what the gateway does: figures for Prometheus, probes, traces, reports of errors.

board      memory that all workers of a node share; each has a slot of its own in it
families   every figure that is kept there, and where
calls      what the relay notes of a call; ledger: what the books note of a batch
page       the figures of all workers as text (/metrics); readiness: /readyz; front: who may read them
tracing    OpenTelemetry, sentry: reports of exceptions; neither is imported unless it is configured

`board`, `families`, `calls` and `ledger` stand at the bottom: they import nothing of ours.
"""
