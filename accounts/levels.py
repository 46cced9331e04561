"""Who may do what to whom: the table of the management contract, 1.5, as pure functions that refuse."""

from __future__ import annotations

from collections.abc import Callable

from accounts.models import Role, User
from accounts.refusals import NotPermitted, UnknownAction

LEVEL = "无权更新同权限等级或更高权限等级的用户信息"


def _below_or_root(by: User, target: User, text: str) -> None:
    if by.role < Role.ROOT and target.role >= by.role:
        raise NotPermitted(text)


def may_read(by: User, target: User) -> None:
    _below_or_root(by, target, "无权获取同级或更高等级用户的信息")


def may_update(by: User, target: User, role: int | None = None) -> None:
    """`role` is the one the target is to have, None where it stays."""
    _below_or_root(by, target, LEVEL)
    if role is not None and by.role < Role.ROOT and role >= by.role:
        raise NotPermitted("无权将其他用户权限等级提升到大于等于自己的权限等级")


def may_delete(by: User, target: User) -> None:
    if target.role >= by.role:
        raise NotPermitted("无权删除同权限等级或更高权限等级的用户")


def may_delete_self(user: User) -> None:
    if user.role >= Role.ROOT:
        raise NotPermitted("不能删除超级管理员账户")


def may_create(by: User, role: int) -> None:
    if role >= by.role:
        raise NotPermitted("无法创建权限大于等于自己的用户")


def _may_disable(by: User, target: User) -> None:
    if target.role >= Role.ROOT:
        raise NotPermitted("无法禁用超级管理员用户")


def _may_remove(by: User, target: User) -> None:
    if target.role >= Role.ROOT:
        raise NotPermitted("无法删除超级管理员用户")


def _may_promote(by: User, target: User) -> None:
    if by.role < Role.ROOT:
        raise NotPermitted("普通管理员用户无法提升其他用户为管理员")
    if target.role >= Role.ADMIN:
        raise NotPermitted("该用户已经是管理员")


def _may_demote(by: User, target: User) -> None:
    if target.role >= Role.ROOT:
        raise NotPermitted("无法降级超级管理员用户")
    if target.role <= Role.COMMON:
        raise NotPermitted("该用户已经是普通用户")


def _may_enable(by: User, target: User) -> None:
    return None


MANAGE: dict[str, Callable[[User, User], None]] = {
    "enable": _may_enable,
    "disable": _may_disable,
    "delete": _may_remove,
    "promote": _may_promote,
    "demote": _may_demote,
}


def may_manage(by: User, target: User, action: str) -> None:
    rule = MANAGE.get(action)
    if rule is None:
        raise UnknownAction
    _below_or_root(by, target, LEVEL)
    rule(by, target)


def allowed(by: User, target: User) -> set[str]:
    """Which actions of MANAGE `by` may take on `target`."""
    return {action for action in MANAGE if _permits(by, target, action)}


def _permits(by: User, target: User, action: str) -> bool:
    try:
        may_manage(by, target, action)
    except NotPermitted:
        return False
    return True


def may_change(by: User, target: User) -> bool:
    """Whether `by` may edit `target` at all."""
    return by.role >= Role.ROOT or target.role < by.role
