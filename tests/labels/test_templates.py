"""Template files: read, versioned, chosen by geometry, and wrong ones explained by line."""

import io
from pathlib import Path

import pytest
from PIL import Image

from drivers.port import Colour
from edge.labels.elements import Price, Text
from edge.labels.render import render
from edge.labels.template import NoTemplate, TemplateError, load_template, load_templates
from tests.labels.shelf import item, label, pixels

SHIPPED = Path(__file__).parents[2] / "config/templates"

GOOD = """\
layouts:
  - width: 296
    height: 128
    elements:
      - {kind: text, text: "{name}", box: [8, 4, 200, 40], size: 20}
      - kind: price
        box: [120, 70, 170, 54]
        size: 70
        size_min: 26
"""


def written(folder: Path, text: str, name: str = "shelf.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_template_serves_both_sizes() -> None:
    templates = load_templates([SHIPPED])

    assert "regular" in templates.names
    for width, height in ((296, 128), (400, 300)):
        layout = templates.select("regular", label(width, height)).layout
        assert (layout.width, layout.height) == (width, height)


def test_a_label_of_another_size_gets_the_nearest_layout_and_an_unknown_name_is_told_what_there_is() -> None:
    templates = load_templates([SHIPPED])

    scaled = templates.select("regular", label(250, 122)).layout
    assert (scaled.width, scaled.height) == (250, 122)
    assert templates.select("regular", label(250, 122)) is templates.select("regular", label(250, 122))
    with pytest.raises(NoTemplate, match=r"no template 'promo'; known are clearance, multi-buy, .*regular"):
        templates.select("promo", label())


@pytest.mark.parametrize(("wrong", "says"), [
    ("[8, 4, 200, 40]", "overlaps that of element"), ("[8, 4, 200, 12]", "letters of 20 pixels need a height of")])
def test_boxes_that_overlap_and_boxes_too_low_for_their_letters_are_told_by_line(tmp_path, wrong, says) -> None:
    text = GOOD.replace("[8, 4, 200, 40]", wrong, 1)
    if "overlaps" in says:
        text = text.replace("[120, 70, 170, 54]", "[120, 43, 170, 54]")

    with pytest.raises(TemplateError, match=says):
        load_template(written(tmp_path, text))


def test_what_is_never_drawn_together_may_share_its_place(tmp_path) -> None:
    text = GOOD.replace("size: 20}", "size: 20, when: ean}") + (
        '      - {kind: text, text: "{sku}", box: [8, 4, 200, 40], size: 20, unless: ean}\n')

    (template,) = load_template(written(tmp_path, text))

    assert len(template.layout.elements) == 3


def test_an_image_is_part_of_the_template_and_one_that_is_none_is_told(tmp_path) -> None:
    square = io.BytesIO()
    Image.new("L", (10, 10), 0).save(square, "PNG")
    (tmp_path / "logo.png").write_bytes(square.getvalue())
    text = GOOD + "      - {kind: image, file: logo.png, box: [230, 4, 40, 20], colour: red}\n"

    (template,) = load_template(written(tmp_path, text))
    drawn = pixels(render(template, item(), label()))
    assert (drawn[4:24, 240:260] == Colour.RED).all()
    assert not (drawn[4:24, 230:240]).any()

    Image.new("L", (10, 10), 255).save(tmp_path / "logo.png", "PNG")
    (other,) = load_template(written(tmp_path, text))
    assert other.version != template.version
    (tmp_path / "logo.png").write_bytes(b"no image")
    with pytest.raises(TemplateError, match=r"logo\.png is no PNG image"):
        load_template(written(tmp_path, text))
    (tmp_path / "logo.png").unlink()
    with pytest.raises(TemplateError, match=r"logo\.png is no PNG image"):
        load_template(written(tmp_path, text))


def test_elements_are_read_as_written(tmp_path: Path) -> None:
    (template,) = load_template(written(tmp_path, GOOD))

    text, price = template.layout.elements
    assert text == Text(box=(8, 4, 200, 40), text="{name}", size=20)
    assert price == Price(box=(120, 70, 170, 54), size=70, size_min=26)
    assert template.name == "shelf"


def test_a_version_changes_with_the_meaning_and_only_with_it(tmp_path: Path) -> None:
    (first,) = load_template(written(tmp_path, GOOD))
    same = GOOD.replace("size: 20}", "size: 20, colour: black, lines: 1} # default written out")
    (again,) = load_template(written(tmp_path, "# a comment\n" + same))
    (moved,) = load_template(written(tmp_path, GOOD.replace("[8, 4,", "[9, 4,")))
    (renamed,) = load_template(written(tmp_path, GOOD, "other.yaml"))

    assert again.version == first.version
    assert len({first.version, moved.version, renamed.version}) == 3


def test_the_operators_file_wins_by_name(tmp_path: Path) -> None:
    shipped, ours = tmp_path / "shipped", tmp_path / "etc"
    shipped.mkdir()
    ours.mkdir()
    written(shipped, GOOD)
    written(shipped, GOOD, "kept.yaml")
    written(ours, GOOD.replace("size: 20", "size: 24"))

    templates = load_templates([shipped, ours, tmp_path / "absent"])

    assert templates.names == ["kept", "shelf"]
    assert templates.select("shelf", label()).layout.elements[0].size == 24
    assert templates.select("kept", label()).layout.elements[0].size == 20


@pytest.mark.parametrize(("good", "wrong", "line", "says"), [
    ("size: 70", "sise: 70", 8, r"unknown field `sise`; allowed: kind, box, colour, when, unless, size, size_min"),
    ("kind: price", "kind: prize", 6, r"prize.*allowed: text, price, unit_price, was, ean, qr, image, box"),
    ("      - kind: price\n        box", "      - box", 6, r"missing required field `kind`; allowed: kind: text"),
    ("        size_min: 26\n", "", 6, r"missing required field `size_min`"),
    ("size: 20}", "size: 20, colour: green}", 5, r"'green'; allowed: black, red, yellow, white"),
    ("size: 20}", "size: 20, when: promotion}", 5, r"'promotion'; allowed: package, unit_price, ean, link"),
    ("size: 20}", "size: big}", 5, r"Expected `int`, got `str`"),
    ("size: 20}", "size: 3}", 5, r"Expected `int` >= 6"),
    ("[8, 4, 200, 40]", "[8, 4, 200]", 5, r"length 4"),
    ("[8, 4, 200, 40]", "[8, -4, 200, 40]", 5, r"Expected `int` >= 0"),
    ("[120, 70, 170, 54]", "[130, 70, 170, 54]", 7, r"must lie within the picture of 296×128"),
    ("[8, 4, 200, 40]", "[8, 4, 0, 40]", 5, r"not be empty"),
    ('"{name}"', '"{nome}"', 5, r"\{nome\} is not a field of a text; allowed: \{name\}, \{sku\}"),
    ('"{name}"', '"{name!r}"', 5, r"not a field"),
    ('"{name}"', '"{name.__class__}"', 5, r"not a field"),
    ('"{name}"', '"{name"', 5, r"write \{\{ and \}\}"),
    ("size_min: 26", "size_min: 80", 9, r"at most the size of 70"),
    ("width: 296", "width: 296\n    width: 400", 3, r"`width` is there twice"),
    ("    elements:", "   elements:", 4, r"is not YAML"),
    ("layouts:", "layout:", 1, r"unknown field `layout`; allowed: layouts"),
])
def test_a_wrong_file_is_told_by_line_and_with_what_is_allowed(tmp_path, good, wrong, line, says) -> None:
    path = written(tmp_path, GOOD.replace(good, wrong, 1))

    with pytest.raises(TemplateError, match=says) as told:
        load_templates([tmp_path])

    assert told.value.line == line
    assert str(told.value).startswith(f"{path}:{line}: ")


def test_an_ean_box_too_narrow_for_thirteen_digits_is_told(tmp_path: Path) -> None:
    narrow = GOOD + "      - {kind: ean, box: [0, 90, 112, 30]}\n"

    with pytest.raises(TemplateError, match=r":10: an EAN-13 needs a width of at least 113 pixels"):
        load_template(written(tmp_path, narrow))


def test_the_same_geometry_twice_is_told(tmp_path: Path) -> None:
    twice = GOOD + GOOD.split("\n", 1)[1]

    with pytest.raises(TemplateError, match=r":10: there already is a layout for 296×128"):
        load_template(written(tmp_path, twice))


@pytest.mark.parametrize("text", ["", "# nothing\n", "layouts: []\n", "- 1\n", "just words\n", "layouts: [&a [*a]]\n"])
def test_a_file_without_layouts_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(TemplateError):
        load_template(written(tmp_path, text))


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "shelf.yaml"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(TemplateError, match="cannot be read"):
        load_template(path)
