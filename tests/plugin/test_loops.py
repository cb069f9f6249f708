"""Whoever runs the async tests: what works, and what is refused with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from tests.plugin.conftest import Project

WRITES: Final = """
    async def test_it(db_session):
        db_session.add(User(name="ann"))
        await db_session.commit()
        assert "ann" == await db_session.scalar(select(User.name))
"""
BACKEND: Final = """
    import pytest
    from models import Base

    @pytest.fixture(scope="session")
    def asyncdb_metadata():
        return Base.metadata

    @pytest.fixture{arguments}
    def anyio_backend():
        return {value}
"""


def test_an_async_test_that_nobody_runs_says_what_to_install(project: Project) -> None:
    """In place of pytest's message for any async test."""
    (project.path / "pytest.ini").write_text("[pytest]\n")
    project.test(WRITES)

    result = project.run(plugins=("asyncdb",))

    assert pytest.ExitCode.TESTS_FAILED == result.ret
    result.stdout.fnmatch_lines(
        ["*test_it is async, and no plugin ran it*", "*pip install pytest-asyncio*"]
    )


def test_an_async_test_that_is_not_marked_says_so(project: Project) -> None:
    """pytest-asyncio is there, in strict mode, and the test has no mark."""
    (project.path / "pytest.ini").write_text("[pytest]\nasyncio_mode = strict\n")
    project.test(WRITES)

    result = project.run()

    assert pytest.ExitCode.TESTS_FAILED == result.ret
    result.stdout.fnmatch_lines("*pytest-asyncio: the test is not marked for it*")


def test_a_skip_inside_of_an_async_test_stays_a_skip(project: Project) -> None:
    """Only pytest's own refusal of async functions is replaced."""
    project.test(
        """
        async def test_it(db_session):
            pytest.skip("async def is fine")
        """
    )

    result = project.run()

    result.assert_outcomes(skipped=1)


def test_anyio_runs_tests_on_asyncio(project: Project) -> None:
    """AnyIO's plugin alone, with its backend fixture set to asyncio."""
    (project.path / "pytest.ini").write_text("[pytest]\n")
    project.write("conftest", BACKEND.format(arguments="", value="'asyncio'"))
    project.test("pytestmark = pytest.mark.anyio", WRITES)

    result = project.run(plugins=("asyncdb", "anyio"))

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ("(params=['asyncio', 'trio'])", "None"),
        (
            "(params=[('trio', {'restrict_keyboard_interrupt_to_checkpoints': True})])",
            "",
        ),
        ("(scope='session')", "'trio'"),
    ],
)
def test_trio_is_refused(project: Project, arguments: str, value: str) -> None:
    """SQLAlchemy does not run there; the message names the fixture to write."""
    (project.path / "pytest.ini").write_text("[pytest]\n")
    conftest = BACKEND.format(arguments=arguments, value=value)
    if "params" in arguments:
        conftest = conftest.replace("anyio_backend()", "anyio_backend(request)")
        conftest = conftest[: conftest.rindex("return")] + "return request.param\n"
    project.write("conftest", conftest)
    project.test("pytestmark = pytest.mark.anyio", WRITES)

    result = project.run(plugins=("asyncdb", "anyio"))

    assert 1 == result.parseoutcomes()["errors"]
    result.stdout.fnmatch_lines(
        ["*runs on trio, and SQLAlchemy runs on asyncio only*", "*def anyio_backend()*"]
    )


def test_two_plugins_that_claim_one_test_are_told_apart(project: Project) -> None:
    """pytest-asyncio in auto mode and a mark of AnyIO's: an error says who and how."""
    project.write("conftest", BACKEND.format(arguments="", value="'asyncio'"))
    project.test("pytestmark = pytest.mark.anyio", WRITES)

    result = project.run(plugins=("asyncdb", "asyncio", "anyio"))

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "*two plugins claim its event loop, pytest-asyncio and AnyIO*",
            "*what helps:*",
        ]
    )


@pytest.mark.parametrize("scope", ["class", "module", "session"])
@pytest.mark.parametrize("name", ["db_session", "db_engine", "db_run"])
def test_a_wider_fixture_that_asks_for_a_test_s_is_refused_with_a_hint(
    project: Project, scope: str, name: str
) -> None:
    """Pytest's ScopeMismatch, and the way to rows for all tests."""
    project.test(
        f"""
        @pytest.fixture(scope="{scope}")
        def wide({name}):
            pass

        def test_it(wide):
            pass
        """
    )

    result = project.run()

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ScopeMismatch*", "*asyncdb_seed*"])


@pytest.mark.parametrize("scope", ["function", "module", "session"])
def test_every_loop_scope_of_pytest_asyncio_will_do(
    project: Project, scope: str
) -> None:
    """Fixtures are ordinary ones, so that no loop of theirs can be the wrong one."""
    project.ini(asyncio_default_test_loop_scope=scope)
    project.test(WRITES, WRITES.replace("test_it", "test_again"))

    result = project.run("--asyncdb=postgresql")

    result.assert_outcomes(passed=2)
