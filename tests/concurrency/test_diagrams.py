"""A schedule as a picture: for a terminal, and as an SVG file."""

from __future__ import annotations

import textwrap
from xml.etree import ElementTree as ET

import pytest

from pytest_asyncdb.concurrency._diagram import diagram
from pytest_asyncdb.concurrency._shorten import filled, shortened
from pytest_asyncdb.concurrency._svg import svg
from tests.concurrency.traces import trace

LOST = trace(
    "a: SELECT v FROM account WHERE id = 1",
    "b: SELECT x FROM settings",
    "b: SELECT v FROM account WHERE id = 1",
    "a: UPDATE account SET v = 2 WHERE id = 1 -- 1 row",
    "b: UPDATE account SET v = 3 WHERE id = 1 -- waits for a -- 1 row",
    "a: COMMIT",
    "b: COMMIT",
    endings={"a": "None", "b": "7"},
    schedule="ABBABAB",
)


def test_a_lane_for_each_actor_and_what_came_of_it() -> None:
    """Steps in order, who waits for whom, the name, and the line to paste."""
    expected = """\
        lost update: b wrote account from what it had read before a wrote it
             a                                        b
          1  SELECT v FROM account WHERE id = 1
          2                                           SELECT x FROM settings
          3*                                          SELECT v FROM account WHERE id = 1
          4* UPDATE account SET v = 2 WHERE id = 1
              -- 1 row
          5*                                          UPDATE account SET v = 3 WHERE id = 1
                                                       -- waits for a  -- 1 row
          6  COMMIT  -- b can go on
          7                                           COMMIT
        a ended: None
        b ended: 7
        not needed for it: 2
        what helps: lock the row when it is read (with_for_update()), compute in SQL (SET n = n
          + 1), or count versions (version_id_col)
        replay: await db_concurrency.replay("ABBABAB", a=a, b=b)"""  # noqa: E501

    assert textwrap.dedent(expected) == diagram(LOST)


@pytest.mark.parametrize("width", [60, 88, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """However long the statements are."""
    lines = [f"{actor}: SELECT {'v, ' * 60} FROM t" for actor in "abc"]

    assert all(
        len(line) <= width for line in diagram(trace(*lines), width=width).split("\n")
    )


def test_many_actors_stand_in_one_lane() -> None:
    """With their names in front, where there is no room side by side."""
    lines = [f"worker{number}: COMMIT" for number in range(6)]
    shown = diagram(trace(*lines)).splitlines()

    assert "  1  worker0  COMMIT" == shown[0]
    assert 6 == len(shown)


def test_a_schedule_without_steps_has_a_picture() -> None:
    """An actor that sends nothing is no error."""
    assert "" == diagram(trace())
    assert svg(trace()).startswith("<svg")


def test_a_schedule_is_an_svg_file() -> None:
    """With the same text; it is XML, whatever the statements hold."""
    nasty = trace("a: SELECT '<&>' FROM account", endings={"a": "<None>"})
    root = ET.fromstring(svg(nasty))  # noqa: S314 - what we have just written
    said = "\n".join(each.text or "" for each in root.iter() if each.text)

    assert "SELECT '<&>' FROM account" in said
    assert "a ended: <None>" in said


def test_what_makes_the_anomaly_is_marked_in_the_file() -> None:
    """And what waits is drawn otherwise."""
    drawn = svg(LOST)

    assert 3 == drawn.count('class="step marked')
    assert 1 == drawn.count('marked blocked"')
    assert "waits for a; 1 row" in drawn


# ------------------------------------------------------------------------- statements
@pytest.mark.parametrize(
    ("sql", "parameters", "expected"),
    [
        (
            "WHERE id = $1::INTEGER AND n = $2::VARCHAR(20)",
            (1, "x"),
            "id = 1 AND n = 'x'",
        ),
        (
            "WHERE id = $2::INTEGER AND n = $1::TIMESTAMP WITH TIME ZONE",
            (1, 2),
            "id = 2 AND n = 1",
        ),
        ("WHERE id = $1::INTEGER[] ORDER BY n", ([1, 2],), "id = [1, 2] ORDER BY n"),
        ("WHERE id = %(id_1)s::INTEGER", {"id_1": 7}, "id = 7"),
        ("WHERE id = %s AND n = %s", (1, None), "id = 1 AND n = None"),
        ("WHERE id = ? AND n = '?'", (1,), "id = 1 AND n = '?'"),
        ("WHERE id = ?", None, "id = ?"),
        ("WHERE id = $3", (1,), "id = $3"),
        ("WHERE id = ?", [(1,), (2,)], "id = 1 (2 rows)"),
    ],
)
def test_parameters_stand_where_they_belong(
    sql: str, parameters: object, expected: str
) -> None:
    """Of every driver's style; what is not given stays a mark."""
    assert f"WHERE {expected}" == filled(sql, parameters)


def test_columns_and_the_only_table_s_name_are_left_out() -> None:
    """What the ORM writes in full is read by people."""
    sql = """
        SELECT products.id, products.name, products.quantity
        FROM products WHERE products.id = $1::INTEGER
    """
    assert "SELECT … FROM products WHERE id = 1" == shortened(sql, (1,))
    joined = "SELECT a.x FROM a JOIN b ON a.id = b.id"
    assert joined == shortened(joined)
