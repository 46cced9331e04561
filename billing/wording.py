"""The contract's words for an amount of quota, as they stand in log rows."""

from __future__ import annotations

from options.registry import Options


def quota_text(options: Options, quota: int) -> str:
    """`＄0.002000 额度` where amounts are shown in dollars, else `1000 点额度` (management contract, 2.2)."""
    if options["DisplayInCurrencyEnabled"]:
        return f"＄{quota / options['QuotaPerUnit']:.6f} 额度"
    return f"{quota} 点额度"
