"""The runner: what Alembic's commands do, and what is refused before they are run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from pytest_asyncdb.errors import AlembicConfigRefused, HistoryRefused, MigrationError
from pytest_asyncdb.migrations import snapshot
from pytest_asyncdb.migrations._config import fingerprint, load
from pytest_asyncdb.migrations._history import read_history
from pytest_asyncdb.migrations._offline import statements

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tests.migrations.conftest import Project

TABLE: Final = "CREATE TABLE one (id INTEGER PRIMARY KEY)"


async def test_it_steps_as_alembic_does(project: Project) -> None:
    """By identifier, by steps, and to head and base."""
    project.revision("a1", TABLE, "DROP TABLE one")
    project.revision("a2", "CREATE TABLE two (id INTEGER)", "DROP TABLE two")
    runner = project.runner()
    await runner.upgrade("a1")
    first = await runner.snapshot()
    await runner.upgrade("+1")
    second = await runner.snapshot()

    assert ("a1", "a2") == runner.revisions
    assert ("a2",) == runner.heads
    assert "a2" == await runner.current()
    assert first != second
    assert 1 == len([each for each in first.diff(second) if each.counts])
    await runner.downgrade("-1")
    assert first == await runner.snapshot()
    await runner.stamp("a2")
    assert "a2" == await runner.current()
    await runner.stamp("a1")
    await runner.downgrade("base")
    assert None is await runner.current()


async def test_branches_have_several_heads(project: Project) -> None:
    """Until they are merged."""
    project.revision("a1", TABLE, "DROP TABLE one")
    project.revision("b1", after="a1")
    project.revision("c1", after="a1")
    runner = project.runner()
    with pytest.raises(HistoryRefused, match="Multiple head revisions"):
        await runner.upgrade("head")
    await runner.upgrade("heads")

    assert {"b1", "c1"} == set(await runner.current_heads())
    with pytest.raises(HistoryRefused, match="the database is at several revisions"):
        await runner.current()
    assert ["there are 2 heads: ", "merge them: "] == [
        each.partition("heads: ")[0] + "heads: " if "there" in each else each[:12]
        for each in runner.wrong_heads()
    ]
    assert [] == project.runner(heads=["b1", "c1"]).wrong_heads()
    assert ["c1 is a head that asyncdb_migration_heads does not name"] == (
        project.runner(heads=["b1"]).wrong_heads()
    )


async def test_a_revision_that_there_is_not_is_refused_at_once(
    project: Project,
) -> None:
    """With those of a similar name."""
    project.revision("abcd1234", TABLE, "DROP TABLE one")
    runner = project.runner()
    with pytest.raises(HistoryRefused, match="did you mean 'abcd1234'") as caught:
        await runner.upgrade("abdc1234")

    assert "there is no revision 'abdc1234'" == caught.value.cause
    await runner.upgrade("abcd")
    assert "abcd1234" == await runner.current()


async def test_sql_is_rendered_offline_and_leads_to_the_same(project: Project) -> None:
    """And nothing of it is run by rendering."""
    project.revision("a1", TABLE, "DROP TABLE one")
    runner = project.runner()

    assert "CREATE TABLE one" in await runner.sql()
    assert None is await runner.current()


def test_a_migration_that_reads_is_told_what_it_may_ask_offline(
    pg_project: Project,
) -> None:
    """Nothing is executed then, so there is no result."""
    pg_project.revision("a1", "op.get_bind().execute(sa.text('SELECT 1')).one()")
    raised, help_ = pg_project.runner().compare_offline()

    assert "'NoneType' object has no attribute 'one'" in raised
    assert "may ask context.is_offline_mode()" in help_


def test_offline_sql_that_does_less_is_found(project: Project) -> None:
    """A migration that looks whether it is offline."""
    up = f"if not op.get_context().as_sql:\n    op.execute({TABLE!r})"
    project.revision("a1", up, "DROP TABLE one")
    (text,) = project.runner().compare_offline()

    assert "offline SQL leads to another schema" in text
    assert "the SQL lacks: CREATE TABLE" in text


def test_statements_are_taken_apart_as_alembic_puts_them() -> None:
    """A comment is none."""
    sql = "BEGIN;\n\n-- Running upgrade\n\nCREATE f AS $$ a; b; $$;\n\nCOMMIT;\n\n"

    assert ["BEGIN", "CREATE f AS $$ a; b; $$", "COMMIT"] == statements(sql)


# ------------------------------------------------------------------- the configuration
def test_a_file_that_there_is_not_is_refused(tmp_path: Path) -> None:
    """With one of a similar name, or with how to make one."""
    with pytest.raises(AlembicConfigRefused, match="alembic init"):
        load("alembic.ini", tmp_path)
    (tmp_path / "alembic.ini").write_text("[alembic]\n")
    with pytest.raises(AlembicConfigRefused, match=r"did you mean alembic\.ini\?"):
        load("alembik.ini", tmp_path)


def test_what_is_no_configuration_is_refused(tmp_path: Path) -> None:
    """By what it lacks."""
    (tmp_path / "alembic.ini").write_text("[alembic]\nx = y\n")
    (tmp_path / "broken.ini").write_text("x = y\n")
    (tmp_path / "pyproject.toml").write_text("[tool.other]\n")

    with pytest.raises(AlembicConfigRefused, match="says no script_location"):
        load("alembic.ini", tmp_path)
    with pytest.raises(AlembicConfigRefused, match=r"has no section \[tenants\]"):
        load("alembic.ini:tenants", tmp_path)
    with pytest.raises(AlembicConfigRefused, match="Alembic cannot read"):
        load("broken.ini", tmp_path)
    with pytest.raises(AlembicConfigRefused, match=r"has no section \[tool\.alembic\]"):
        load("pyproject.toml", tmp_path)
    with pytest.raises(AlembicConfigRefused, match="is 3: no configuration of Alembic"):
        load(3, tmp_path)


def test_relative_paths_are_from_the_file(project: Project) -> None:
    """Wherever the run has been started."""
    config = load("alembic.ini", project.path)

    assert str(project.path / "migrations") == config.get_main_option("script_location")
    assert Path.cwd() != project.path


def test_the_fingerprint_is_of_all_files(project: Project) -> None:
    """Of env.py too."""
    project.revision("a1", TABLE, "DROP TABLE one")
    config = load("alembic.ini", project.path)
    first = fingerprint(config)
    again = fingerprint(load("alembic.ini", project.path))
    project.env("pass")

    assert first == again
    assert first != fingerprint(config)


# ------------------------------------------------------------------------ the history
def problems(project: Project) -> tuple[str, ...]:
    """What is wrong with the files."""
    return read_history(load("alembic.ini", project.path), ["x9"]).problems


def test_what_is_wrong_with_the_files_is_told(pg_project: Project) -> None:
    """Empty revisions, and declarations of what there is not; a merge may be empty."""
    pg_project.revision("a1")
    pg_project.revision("b1", TABLE, "DROP TABLE one", after="a1")
    pg_project.revision("c1", "SELECT 1", "SELECT 1", after="a1")
    pg_project.revision("d1", after=("b1", "c1"))

    assert (
        "asyncdb_migration_irreversible names x9, which there is not",
        "a1 (a1 it.) is empty: upgrade() and downgrade() do nothing",
    ) == problems(pg_project)


def test_a_duplicate_is_told(pg_project: Project) -> None:
    """Alembic itself only warns."""
    pg_project.revision("a1", TABLE, "DROP TABLE one")
    versions = pg_project.path / "migrations" / "versions"
    (versions / "copy.py").write_text((versions / "a1.py").read_text())

    assert any("a1 is present more than once" in each for each in problems(pg_project))


BROKEN: Final = {
    "cycle": {"a1": "b1", "b1": "a1"},
    "missing parent": {"a1": "zz"},
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_history_that_is_none_is_refused(pg_project: Project, kind: str) -> None:
    """With the revisions that make it so."""
    for name, after in BROKEN[kind].items():
        pg_project.revision(name, TABLE, "DROP TABLE one", after=after)
    with pytest.raises(HistoryRefused, match=r"a1|zz"):
        problems(pg_project)


def test_a_file_that_raises_is_named(pg_project: Project) -> None:
    """With its line."""
    pg_project.revision("a1", TABLE, "DROP TABLE one", head="1 / 0")
    with pytest.raises(HistoryRefused, match=r"a1\.py, line 5: ZeroDivisionError"):
        problems(pg_project)


def test_a_catalog_that_nobody_can_read_is_refused() -> None:
    """With the products that can be."""

    class Strange:
        class dialect:  # noqa: N801 - as SQLAlchemy calls it
            name = "oracle"

    strange: Connection = Strange()  # type: ignore[assignment]
    with pytest.raises(MigrationError, match="schema of a oracle database cannot"):
        snapshot(strange)
