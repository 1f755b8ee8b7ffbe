"""Templates on every size there is, for people to look at: single pictures, and all of a template on one sheet."""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from drivers.port import LabelDescription
from edge.labels.content import LabelContent
from edge.labels.fonts import font_path
from edge.labels.render import CannotDraw, preview_png, render
from edge.labels.template import Templates

SHEET_WIDTH = 1400
GAP = 14
CAPTION_HEIGHT = 18
GROUND, INK = (128, 128, 128), (255, 255, 255)


def contact_sheet_png(templates: Templates, name: str, content: LabelContent,
                      labels: Sequence[LabelDescription]) -> bytes:
    """PNG with the template on each of these labels, captioned with size and colours; one that cannot be drawn says
    why. Raises `NoTemplate`."""
    cells = [(caption(label), _picture(templates, name, content, label)) for label in labels]
    x = y = GAP
    row_height = 0
    places: list[tuple[int, int]] = []
    for _, image in cells:
        if x > GAP and x + image.width + GAP > SHEET_WIDTH:
            x, y, row_height = GAP, y + row_height + GAP, 0
        places.append((x, y))
        x += image.width + GAP
        row_height = max(row_height, image.height + CAPTION_HEIGHT)
    width = max([SHEET_WIDTH, *(image.width + 2 * GAP for _, image in cells)])
    sheet = Image.new("RGB", (width, y + row_height + GAP), GROUND)
    pen, letters = ImageDraw.Draw(sheet), ImageFont.truetype(font_path(), CAPTION_HEIGHT - 4)
    for (words, image), (left, top) in zip(cells, places, strict=True):
        pen.text((left, top), words, INK, letters)
        sheet.paste(image, (left, top + CAPTION_HEIGHT))
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def caption(label: LabelDescription) -> str:
    """`296×128 black red white`."""
    return f"{label.width}×{label.height} {' '.join(sorted(colour.name.lower() for colour in label.colours))}"


def _picture(templates: Templates, name: str, content: LabelContent, label: LabelDescription) -> Image.Image:
    try:
        picture = render(templates.select(name, label), content, label)
    except CannotDraw as problem:
        image = Image.new("RGB", (label.width, label.height), (255, 255, 255))
        ImageDraw.Draw(image).multiline_text((4, 4), str(problem).replace(": ", ":\n"), (200, 0, 0))
        return image
    return Image.open(io.BytesIO(preview_png(picture))).convert("RGB")
