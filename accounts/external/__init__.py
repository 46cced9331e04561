"""Signing in with an account elsewhere: GitHub, Lark, OpenID Connect, WeChat (management contract, section 7).

`states` remembers who was sent out, `methods` lists the providers, each provider's module learns an `Identity` from a
code, and `linking` finds or makes the account it belongs to. The HTTP side is in `accounts.api_external`.

Of the packages: django-allauth's client follows redirects with the client's secret, bounds neither size nor the whole
time of an answer, and keeps identities in tables of its own, where ours are the contract's columns of `users`; its
Feishu speaks an older protocol than the contract's. So its PKCE is used here and PyJWT, which it also uses, reads ID
tokens. WeChat Server is a backend class of social-auth, asked without its pipeline.
"""
