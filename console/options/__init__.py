"""/setting/operation, /setting/system, /setting/other: every option, for root."""
