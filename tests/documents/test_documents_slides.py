"""Presentations: every slide with all that is on it and behind it."""

# pyright: reportOptionalMemberAccess=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (python-pptx declares the bases of its shapes rather than what it returns.)

from io import BytesIO
from zipfile import ZipFile

import pptx
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.oxml import parse_xml
from pptx.presentation import Presentation
from pptx.util import Inches

from tests.documents.making import ReadText, element, office, pack, relations


def _save(show: Presentation) -> bytes:
    target = BytesIO()
    show.save(target)
    return target.getvalue()


async def test_titles_lists_tables_and_notes_are_read(read: ReadText) -> None:
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    slide.shapes.title.text = "Plan"
    slide.placeholders[1].text_frame.text = "First"
    deeper = slide.placeholders[1].text_frame.add_paragraph()
    deeper.text, deeper.level = "Deeper", 1
    table = slide.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(2), Inches(1)).table
    for index, text in enumerate(("a", "b", "1", "2")):
        table.cell(index // 2, index % 2).text = text
    slide.notes_slide.notes_text_frame.text = "Say hello"
    show.slides.add_slide(show.slide_layouts[6])

    result = await read("a.pptx", _save(show))

    assert result.text == (
        "## Slide 1: Plan\n\n- First\n  - Deeper\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n### Notes\n\nSay hello\n\n## Slide 2"
    )
    assert [section.label for section in result.sections] == ["slide 1", "slide 2"]
    assert result.facts == ("2 slides",)


async def test_groups_within_groups_and_links_are_read(read: ReadText) -> None:
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    inner = slide.shapes.add_group_shape().shapes.add_group_shape()
    box = inner.shapes.add_textbox(0, 0, Inches(1), Inches(1))
    box.text_frame.text = "Deep inside"
    run = slide.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.paragraphs[0].add_run()
    run.text, run.hyperlink.address = "our page", "https://a.example/"
    text = (await read("a.pptx", _save(show))).text
    assert "Deep inside" in text
    assert "[our page](https://a.example/)" in text


async def test_a_chart_is_a_table_of_its_values(read: ReadText) -> None:
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    data = CategoryChartData()
    data.categories = ["East", "West"]
    data.add_series("2025", (1.5, 2))
    data.add_series("2026", (3, 4.25))
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, Inches(3), Inches(3), data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Sales"
    text = (await read("a.pptx", _save(show))).text
    assert "Chart: Sales" in text
    assert "|  | 2025 | 2026 |\n| --- | --- | --- |\n| East | 1.5 | 3 |\n| West | 2 | 4.25 |" in text


async def test_diagrams_pictures_comments_and_hidden_slides_are_read(read: ReadText) -> None:
    slide = (
        '<p:cSld><p:spTree><p:graphicFrame><a:graphic><a:graphicData><dgm:relIds r:dm="rId1"/></a:graphicData></a:graphic></p:graphicFrame>'
        '<p:pic><p:nvPicPr><p:cNvPr id="2" name="x" descr="A map"/></p:nvPicPr></p:pic></p:spTree></p:cSld>'
    )
    point = "<dgm:ptLst><dgm:pt><dgm:t><a:p><a:r><a:t>Step one</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:ptLst>"
    data = office(
        {
            "_rels/.rels": relations([("rId1", "officeDocument", "ppt/presentation.xml")]),
            "ppt/presentation.xml": element("p:presentation", '<p:sldIdLst><p:sldId id="256" r:id="rId7"/></p:sldIdLst>'),
            "ppt/_rels/presentation.xml.rels": relations([("rId7", "slide", "slides/slide9.xml")]),
            "ppt/slides/slide9.xml": element("p:sld", slide, 'show="0"'),
            "ppt/slides/_rels/slide9.xml.rels": relations(
                [("rId1", "diagramData", "../diagrams/d.xml"), ("rId2", "comments", "../comments/c.xml")]
            ),
            "ppt/diagrams/d.xml": element("dgm:dataModel", point),
            "ppt/comments/c.xml": element("p:cmLst", "<p:cm><p:text>Too long</p:text></p:cm>"),
        }
    )
    assert (await read("a.pptx", data)).text == "## Slide 1 (hidden)\n\n- Step one\n\n[Picture: A map]\n\n- Comment: Too long"


async def test_a_slide_show_is_read_like_a_presentation(read: ReadText) -> None:
    show = pptx.Presentation()
    show.slides.add_slide(show.slide_layouts[5]).shapes.title.text = "Hello"
    with ZipFile(BytesIO(_save(show))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    types = parts["[Content_Types].xml"].replace(b"presentation.main+xml", b"slideshow.main+xml")
    assert types != parts["[Content_Types].xml"]
    assert (await read("a.ppsx", pack({**parts, "[Content_Types].xml": types}))).text == "## Slide 1: Hello"


async def test_of_alternatives_the_first_is_read(read: ReadText) -> None:
    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[6])
    boxes = [slide.shapes.add_textbox(0, 0, Inches(1), Inches(1)) for _ in range(3)]
    for box, text in zip(boxes, ("Chosen", "Repeated", "After"), strict=True):
        box.text_frame.text = text
    space = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    both = parse_xml(f'<mc:AlternateContent xmlns:mc="{space}"><mc:Choice Requires="x"/><mc:Fallback/></mc:AlternateContent>')
    boxes[0].element.addprevious(both)
    both[0].append(boxes[0].element)
    both[1].append(boxes[1].element)
    assert (await read("a.pptx", _save(show))).text == "## Slide 1\n\nChosen\n\nAfter"
