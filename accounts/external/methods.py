"""The providers one can sign in with, by name."""

from __future__ import annotations

from collections.abc import Mapping

from accounts.external import github, lark, oidc, wechat
from accounts.external.identity import Identity, Method, Proof
from accounts.refusals import BadField, MethodOff
from options import services as option_services

METHODS: Mapping[str, Method] = {
    method.name: method for method in (github.METHOD, lark.METHOD, oidc.METHOD, wechat.METHOD)
}
WITH_STATE = frozenset(METHODS) - {"wechat"}
MAX_CODE = 2048  # characters


def identify(method: Method, proof: Proof) -> Identity:
    """Who the provider says has got this code. Raises MethodOff, BadField, Unreachable, NoIdentity, WrongCode."""
    options = option_services.load()
    if not method.enabled(options):
        raise MethodOff(method.off)
    if not proof.code or len(proof.code) > MAX_CODE:
        raise BadField
    return method.identify(options, proof)
