"""Presentations: every slide with all that is on it and behind it."""

# pyright: reportOptionalMemberAccess=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# (python-pptx declares the bases of its shapes rather than what it returns.)

from collections.abc import Mapping, Sequence
from io import BytesIO
from zipfile import ZipFile

import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
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


SHAPE = "<p:sp><p:nvSpPr><p:cNvPr id='9' name='a'/><p:nvPr/></p:nvSpPr><p:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></p:txBody></p:sp>"


def _show(*slides: str, links: Sequence[tuple[str, str, str]] = (), parts: Mapping[str, str] | None = None) -> bytes:
    """A presentation from the XML of its slides' shapes; `links` are the first slide's."""
    ids = "".join(f'<p:sldId id="{255 + number}" r:id="rId{number}"/>' for number in range(1, len(slides) + 1))
    return office(
        {
            "_rels/.rels": relations([("rId1", "officeDocument", "ppt/presentation.xml")]),
            "ppt/presentation.xml": element("p:presentation", f"<p:sldIdLst>{ids}</p:sldIdLst>"),
            "ppt/_rels/presentation.xml.rels": relations(
                [
                    *((f"rId{number}", "slide", f"slides/slide{number}.xml") for number in range(1, len(slides) + 1)),
                    ("rId90", "commentAuthors", "commentAuthors.xml"),
                    ("rId91", "authors", "authors.xml"),
                ]
            ),
            **{
                f"ppt/slides/slide{number}.xml": element("p:sld", f"<p:cSld><p:spTree>{shapes}</p:spTree></p:cSld>")
                for number, shapes in enumerate(slides, start=1)
            },
            "ppt/slides/_rels/slide1.xml.rels": relations(links),
            **(parts or {}),
        }
    )


@pytest.mark.parametrize(
    ("needed", "read_is"),
    [
        ("a14", "Chosen"),
        ("wps", "Chosen"),
        ("v", "Chosen"),
        ("a", "Chosen"),
        ("w14 wps", "Chosen"),
        ("cx", "Chosen"),
        ("p14", "Instead"),
        ("aink", "Instead"),
        ("am3d", "Instead"),
        ("pslz", "Instead"),
        ("a14 p14", "Instead"),
        ("undeclared", "Instead"),
        ("", "Instead"),
    ],
)
async def test_of_alternatives_the_first_that_is_understood_is_read(read: ReadText, needed: str, read_is: str) -> None:
    spaces = {
        "a14": "http://schemas.microsoft.com/office/drawing/2010/main",
        "w14": "http://schemas.microsoft.com/office/word/2010/wordml",
        "cx": "http://schemas.microsoft.com/office/drawing/2014/chartex",
        "p14": "http://schemas.microsoft.com/office/powerpoint/2010/main",
        "aink": "http://schemas.microsoft.com/office/drawing/2016/ink",
        "am3d": "http://schemas.microsoft.com/office/drawing/2017/model3d",
        "pslz": "http://schemas.microsoft.com/office/powerpoint/2016/slidezoom",
    }
    declared = " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in spaces.items())
    shapes = (
        f'<mc:AlternateContent {declared}><mc:Choice Requires="p14">{SHAPE.format("Never")}</mc:Choice>'
        f'<mc:Choice Requires="{needed}">{SHAPE.format("Chosen")}</mc:Choice><mc:Fallback>{SHAPE.format("Instead")}</mc:Fallback>'
        f"</mc:AlternateContent>{SHAPE.format('After')}"
    )
    assert (await read("a.pptx", _show(shapes))).text == f"## Slide 1\n\n{read_is}\n\nAfter"


@pytest.mark.parametrize(
    "odd",
    [
        '<p:contentPart r:id="rId7"/>',
        '<p14:contentPart xmlns:p14="http://schemas.microsoft.com/office/powerpoint/2010/main"/>',
        "<p:sp/>",
        "<p:pic/>",
        "<p:graphicFrame/>",
        "<p:cxnSp><p:nvCxnSpPr/></p:cxnSp>",
        "<p:unheardOf><p:txBody/></p:unheardOf>",
        "<p:graphicFrame><a:graphic><a:graphicData><c:chart r:id='gone'/></a:graphicData></a:graphic></p:graphicFrame>",
        "<p:graphicFrame><a:graphic><a:graphicData><dgm:relIds/></a:graphicData></a:graphic></p:graphicFrame>",
        "<p:grpSp><p:nvGrpSpPr/></p:grpSp>",
        "<p:sp><p:nvSpPr><p:nvPr><p:ph type='nonsense' idx='x'/></p:nvPr></p:nvSpPr></p:sp>",
        "<!-- a comment --><?target data?>",
    ],
)
async def test_a_shape_of_an_unknown_kind_is_skipped(read: ReadText, odd: str) -> None:
    assert (await read("a.pptx", _show(odd + SHAPE.format("After")))).text == "## Slide 1\n\nAfter"


async def test_a_damaged_or_missing_slide_does_not_refuse_the_others(read: ReadText) -> None:
    data = _show(SHAPE.format("One"), SHAPE.format("Two"), SHAPE.format("Three"), SHAPE.format("Four"))
    with ZipFile(BytesIO(data)) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    parts["ppt/slides/slide2.xml"] = b"<p:sld"
    del parts["ppt/slides/slide3.xml"]
    assert (await read("a.pptx", pack(parts))).text == (
        "## Slide 1\n\nOne\n\n## Slide 2\n\n(This slide is damaged.)\n\n## Slide 3\n\n(This slide is damaged.)\n\n## Slide 4\n\nFour"
    )


@pytest.mark.parametrize(
    "kind",
    [
        "vnd.openxmlformats-officedocument.presentationml.slideshow.main",
        "vnd.openxmlformats-officedocument.presentationml.template.main",
        "vnd.ms-powerpoint.presentation.macroEnabled.main",
        "vnd.ms-powerpoint.slideshow.macroEnabled.main",
        "vnd.ms-powerpoint.template.macroEnabled.main",
        "vnd.ms-powerpoint.addin.macroEnabled.main",
        "octet-stream",
    ],
)
async def test_templates_shows_and_files_with_macros_are_read(read: ReadText, kind: str) -> None:
    data = _show(SHAPE.format("Hello"))
    with ZipFile(BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    old = b"vnd.openxmlformats-officedocument.presentationml.presentation.main"
    types = parts["[Content_Types].xml"].replace(old, kind.encode())
    assert types != parts["[Content_Types].xml"]
    assert (await read("a.ppsm", pack({**parts, "[Content_Types].xml": types}))).text == "## Slide 1\n\nHello"


async def test_authors_and_answers_of_comments_are_read(read: ReadText) -> None:
    old = element("p:cmLst", '<p:cm authorId="0"><p:text>Too long</p:text></p:cm><p:cm authorId="9"><p:text>By nobody</p:text></p:cm>')
    body = "<p:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></p:txBody>"
    new = element(
        "p:cmLst",
        f'<p:cm authorId="{{B}}"><p:replyLst><p:reply authorId="{{C}}">{body.format("Done")}</p:reply></p:replyLst>{body.format("Why?")}</p:cm>',
    )
    links = [("rId2", "comments", "../comments/c.xml"), ("rId3", "comments", "../comments/d.xml")]
    parts = {
        "ppt/comments/c.xml": old,
        "ppt/comments/d.xml": new,
        "ppt/commentAuthors.xml": element("p:cmAuthorLst", '<p:cmAuthor id="0" name="Ann Lee" initials="AL"/>'),
        "ppt/authors.xml": element("p:authorLst", '<p:author id="{B}" name="Bo"/><p:author id="{C}" name="Cy"/>'),
    }
    assert (await read("a.pptx", _show("", links=links, parts=parts))).text == (
        "## Slide 1\n\n- Comment by Ann Lee: Too long\n- Comment: By nobody\n- Comment by Bo: Why?\n  - Comment by Cy: Done"
    )
