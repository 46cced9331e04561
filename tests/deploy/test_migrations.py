"""The schema only grows, so that a node of the version before goes on running beside one of this version."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.conf import settings
from django.db.migrations import Migration
from django.db.migrations import operations as o
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Field
from django.db.models.fields import NOT_PROVIDED

TAKE_AWAY = (o.RemoveField, o.DeleteModel, o.RenameField, o.RenameModel, o.AlterModelTable, o.AlterOrderWithRespectTo)


def ours() -> Iterator[tuple[Migration, ProjectState, ProjectState]]:
    """Every migration of this repository but an app's first, with the schema before and after it."""
    loader = MigrationLoader(None)
    state = ProjectState(real_apps={config.label for config in apps.get_app_configs() if not config.models_module})
    done: set[tuple[str, str]] = set()
    for leaf in loader.graph.leaf_nodes():
        for key in loader.graph.forwards_plan(leaf):
            if key in done:
                continue
            done.add(key)
            migration = loader.graph.nodes[key]
            before = state.clone()
            migration.mutate_state(state, preserve=False)
            inside = apps.get_app_config(key[0]).path.startswith(str(settings.BASE_DIR)) and ".venv" not in (
                apps.get_app_config(key[0]).path
            )
            if inside and not migration.initial and not key[1].startswith("0001_"):
                yield migration, before, state.clone()


def fills_itself(field: Field[object, object]) -> bool:
    """Whether a row that old code inserts without the column is valid."""
    return field.null or field.db_default is not NOT_PROVIDED or field.many_to_many or field.primary_key


def refused(app: str, operation: Operation, before: ProjectState) -> str:
    """Why old code could not live with it, or ""."""
    if isinstance(operation, TAKE_AWAY):
        return "takes away what old code uses"
    if isinstance(operation, o.RunSQL):
        return "SQL by hand, which this test cannot judge"
    if isinstance(operation, o.AddField) and not fills_itself(operation.field):
        return "a column that old code does not fill in, and the database does not either"
    if isinstance(operation, o.AlterField):
        old = before.models[app, operation.model_name_lower].fields[operation.name]
        if old.null and not fills_itself(operation.field):
            return "a column that old code may leave empty"
        if (old.max_length or 0) > (operation.field.max_length or old.max_length or 0):
            return "a column that is too short for what old code writes"
    return ""


def test_no_migration_takes_away_what_the_version_before_uses() -> None:
    found = {
        f"{migration.app_label}.{migration.name}: {operation.describe()}": reason
        for migration, before, _ in ours()
        for operation in migration.operations
        if (reason := refused(migration.app_label, operation, before))
    }
    assert found == {}


def test_every_app_with_a_history_was_looked_at() -> None:
    looked = {migration.app_label for migration, _, _ in ours()}
    assert looked >= {"accounts", "billing", "channels_app", "options"}
