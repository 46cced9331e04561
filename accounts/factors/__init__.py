"""A second proof of who somebody is: codes of an authenticator app (TOTP), passkeys, and recovery codes instead.

Tables and arithmetic are those of django-allauth's `allauth.mfa`; secrets are encrypted by our vault (`adapter`). Its
pages and flows are not used: `checking` says whether a code is right, `pending` remembers who has given a password and
owes the second step, `passkeys` speaks WebAuthn, `policy` says who must have a factor, and `services` sets them up.
Recovery codes alone are no factor: they go with the last one.
"""
