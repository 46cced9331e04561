"""Every dialect to every protocol, with the vendors' own SDKs as callers and upstreams that insist on their rules."""
