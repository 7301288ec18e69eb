"""Word documents: whatever a reader of the pages would see is in the text, in its place."""

from io import BytesIO
from zipfile import ZipFile

import docx
import pytest

from assistant.contracts.errors import UnreadableFile
from tests.documents.making import ReadText, element, office, pack, paragraph, relations, word


async def test_headings_lists_and_tables_keep_their_structure(read: ReadText) -> None:
    document = docx.Document()
    document.add_heading("Annual report", 0)
    document.add_heading("Costs", 1)
    document.add_paragraph("Rent", style="List Bullet")
    document.add_paragraph("Paper", style="List Bullet")
    document.add_paragraph("First", style="List Number")
    document.add_paragraph("Second", style="List Number")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip((cell for row in table.rows for cell in row.cells), ("Item", "Price", "A|B", "two\nlines"), strict=True):
        cell.text = text
    target = BytesIO()
    document.save(target)

    result = await read("report.docx", target.getvalue())

    assert result.format == "docx"
    assert result.text == (
        "# Annual report\n\n# Costs\n\n- Rent\n- Paper\n1. First\n2. Second\n\n| Item | Price |\n| --- | --- |\n| A\\|B | two<br>lines |"
    )
    assert [section.label for section in result.sections] == ["Annual report", "Costs"]
    assert result.text[result.sections[1].start :].startswith("# Costs")


async def test_a_localised_heading_style_is_known_by_its_outline_level(read: ReadText) -> None:
    styles = element(
        "w:styles",
        '<w:style w:styleId="berschrift2"><w:name w:val="Überschrift 2"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>'
        '<w:style w:styleId="Own"><w:name w:val="Own"/><w:basedOn w:val="berschrift2"/></w:style>',
    )
    body = paragraph("Kosten", '<w:pStyle w:val="Own"/>') + paragraph("Text")
    result = await read("a.docx", word(body, [("rId1", "styles", "styles.xml")], {"styles.xml": styles}))
    assert result.text == "## Kosten\n\nText"


async def test_numbers_of_several_levels_and_forms_are_written_out(read: ReadText) -> None:
    numbering = element(
        "w:numbering",
        '<w:abstractNum w:abstractNumId="0">'
        '<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>'
        '<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="%1.%2)"/></w:lvl>'
        '</w:abstractNum><w:num w:numId="5"><w:abstractNumId w:val="0"/></w:num>',
    )

    def item(text: str, level: int) -> str:
        return paragraph(text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="5"/></w:numPr>')

    body = item("One", 0) + item("Sub", 1) + item("Sub two", 1) + item("Two", 0) + item("Again", 1)
    result = await read("a.docx", word(body, [("rId1", "numbering", "numbering.xml")], {"numbering.xml": numbering}))
    assert result.text == "1. One\n  1.a) Sub\n  1.b) Sub two\n2. Two\n  2.a) Again"


async def test_insertions_stay_and_deletions_go(read: ReadText) -> None:
    body = (
        "<w:p><w:r><w:t>Pay </w:t></w:r><w:del><w:r><w:delText>five</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>seven</w:t></w:r></w:ins><w:moveFrom><w:r><w:t> moved</w:t></w:r></w:moveFrom></w:p>"
    )
    assert (await read("a.docx", word(body))).text == "Pay seven"


async def test_a_text_box_is_read_once(read: ReadText) -> None:
    box = f"<w:txbxContent>{paragraph('Inside the box')}</w:txbxContent>"
    body = (
        "<w:p><w:r><w:t>Before</w:t></w:r><w:r><mc:AlternateContent>"
        f'<mc:Choice Requires="wps"><w:drawing><wp:inline><wp:docPr id="1" name="x" descr="A red fox"/><a:graphic><a:graphicData>'
        f"<wps:wsp><wps:txbx>{box}</wps:txbx></wps:wsp></a:graphicData></a:graphic></wp:inline></w:drawing></mc:Choice>"
        f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r></w:p>"
    )
    assert (await read("a.docx", word(body))).text == "Before[Picture: A red fox]\n\nInside the box"


async def test_an_old_text_box_is_read_too(read: ReadText) -> None:
    body = f"<w:p><w:r><w:pict><v:textbox><w:txbxContent>{paragraph('VML')}</w:txbxContent></v:textbox></w:pict></w:r></w:p>"
    assert (await read("a.docx", word(body))).text == "VML"


async def test_the_words_of_a_drawing_from_another_program_are_read(read: ReadText) -> None:
    lines = "".join(f"<a:p><a:r><a:t>{words}</a:t></a:r></a:p>" for words in ("Young", "ecologists"))
    shape = f"<a:sp><a:txSp><a:txBody><a:bodyPr/>{lines}</a:txBody></a:txSp></a:sp>"
    canvas = f"<lc:lockedCanvas xmlns:lc='http://schemas.openxmlformats.org/drawingml/2006/lockedCanvas'><a:grpSp>{shape}</a:grpSp></lc:lockedCanvas>"
    body = f"<w:p><w:r><w:t>School</w:t></w:r><w:r><w:drawing><a:graphic><a:graphicData>{canvas}</a:graphicData></a:graphic></w:drawing></w:r></w:p>"
    assert (await read("a.docx", word(body))).text == "School\n\nYoung\necologists"


async def test_headers_footers_notes_and_comments_are_read(read: ReadText) -> None:
    body = (
        '<w:p><w:commentRangeStart w:id="7"/><w:r><w:t>The sum</w:t></w:r><w:commentRangeEnd w:id="7"/><w:r><w:commentReference w:id="7"/></w:r>'
        '<w:r><w:t> is due</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:endnoteReference w:id="3"/></w:r></w:p>'
    )
    kinds = ("header", "footer", "footnotes", "endnotes", "comments")
    parts = {
        "header.xml": element("w:hdr", paragraph("Confidential")),
        "footer.xml": element("w:ftr", paragraph("Page 1")),
        "footnotes.xml": element(
            "w:footnotes",
            f'<w:footnote w:type="separator" w:id="0">{paragraph("x")}</w:footnote><w:footnote w:id="2">{paragraph("In May")}</w:footnote>',
        ),
        "endnotes.xml": element("w:endnotes", f'<w:endnote w:id="3">{paragraph("See there")}</w:endnote>'),
        "comments.xml": element("w:comments", f'<w:comment w:id="7" w:author="Ann">{paragraph("Too much?")}</w:comment>'),
    }
    links = [(f"rId{number}", kind, f"{kind}.xml") for number, kind in enumerate(kinds, start=1)]
    assert (await read("a.docx", word(body, links, parts))).text == (
        "Header: Confidential\n\nThe sum is due[^1][^e1]\n\nFooter: Page 1\n\n[^1]: In May\n\n[^e1]: See there\n\n"
        "- Comment by Ann on “The sum”: Too much?"
    )


async def test_content_controls_and_links_are_read_in_place(read: ReadText) -> None:
    body = (
        f"<w:sdt><w:sdtPr><w:alias w:val='x'/></w:sdtPr><w:sdtContent>{paragraph('In a control')}</w:sdtContent></w:sdt>"
        '<w:p><w:hyperlink r:id="rId9"><w:r><w:t>our page</w:t></w:r></w:hyperlink>'
        "<w:sdt><w:sdtContent><w:r><w:t> and</w:t></w:r></w:sdtContent></w:sdt>"
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> HYPERLINK "https://b.example/" </w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>that one</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>'
    )
    result = await read("a.docx", word(body, [("rId9", "hyperlink", "https://a.example/")]))
    assert result.text == "In a control\n\n[our page](https://a.example/) and[that one](https://b.example/)"


async def test_merged_cells_and_nested_tables_stay_rows(read: ReadText) -> None:
    def cell(text: str, properties: str = "") -> str:
        return f"<w:tc><w:tcPr>{properties}</w:tcPr>{text if text.startswith('<w:tbl') else paragraph(text)}</w:tc>"

    wide, tall = "<w:gridSpan w:val='2'/>", "<w:vMerge w:val='restart'/>"
    inner = f"<w:tbl><w:tr>{cell('x')}{cell('y')}</w:tr><w:tr>{cell('1')}{cell('2')}</w:tr></w:tbl>"
    body = (
        f"<w:tbl><w:tr>{cell('Wide', wide)}{cell('C')}</w:tr>"
        f"<w:tr>{cell('Tall', tall)}{cell(inner)}{cell('c')}</w:tr>"
        f"<w:sdt><w:sdtContent><w:tr>{cell('Tall again', '<w:vMerge/>')}{cell('b')}{cell('d')}</w:tr></w:sdtContent></w:sdt></w:tbl>"
    )
    assert (await read("a.docx", word(body))).text == ("| Wide |  | C |\n| --- | --- | --- |\n| Tall | x; y<br>1; 2 | c |\n|  | b | d |")


async def test_equations_and_charts_and_diagrams_are_words(read: ReadText) -> None:
    body = (
        "<w:p><m:oMath><m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:r><m:t>b</m:t></m:r></m:den></m:f></m:oMath></w:p>"
        '<w:p><w:r><w:drawing><a:graphic><a:graphicData><c:chart r:id="rId1"/></a:graphicData></a:graphic></w:drawing></w:r></w:p>'
        '<w:p><w:r><w:drawing><a:graphic><a:graphicData><dgm:relIds r:dm="rId2"/></a:graphicData></a:graphic></w:drawing></w:r></w:p>'
    )
    series = (
        "<c:ser><c:tx><c:strRef><c:strCache><c:pt idx='0'><c:v>Sales</c:v></c:pt></c:strCache></c:strRef></c:tx>"
        "<c:cat><c:strRef><c:strCache><c:pt idx='0'><c:v>May</c:v></c:pt></c:strCache></c:strRef></c:cat>"
        "<c:val><c:numRef><c:numCache><c:pt idx='0'><c:v>12.5</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser>"
    )
    diagram = element("dgm:dataModel", "<dgm:ptLst><dgm:pt><dgm:t><a:p><a:r><a:t>Plan</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:ptLst>")
    parts = {"charts/c.xml": element("c:chartSpace", series), "diagrams/d.xml": diagram}
    links = [("rId1", "chart", "charts/c.xml"), ("rId2", "diagramData", "diagrams/d.xml")]
    assert (await read("a.docx", word(body, links, parts))).text == (
        "$\\frac{a}{b}$\n\nChart:\n\n|  | Sales |\n| --- | --- |\n| May | 12.5 |\n\n- Plan"
    )


async def test_the_name_of_the_main_part_is_looked_up(read: ReadText) -> None:
    document = element("w:document", f"<w:body>{paragraph('Elsewhere')}</w:body>")
    data = office({"_rels/.rels": relations([("a", "officeDocument", "/word/document2.xml")]), "word/document2.xml": document})
    assert (await read("a.docx", data)).text == "Elsewhere"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"vnd.openxmlformats-officedocument.wordprocessingml.document.main", b"vnd.ms-word.document.macroEnabled.main"),
        (b"wordprocessingml.document.main", b"wordprocessingml.template.main"),
        (
            b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/",
            b"http://purl.oclc.org/ooxml/officeDocument/relationships/",
        ),
    ],
    ids=["macros", "template", "strict"],
)
async def test_documents_of_other_kinds_are_read(read: ReadText, old: bytes, new: bytes) -> None:
    data = word(paragraph("x"))
    with ZipFile(BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert any(old in part for part in parts.values())
    assert (await read("a.docx", pack({name: part.replace(old, new) for name, part in parts.items()}))).text == "x"


@pytest.mark.parametrize("kind", ["header", "styles", "numbering", "comments", "footnotes", "theme", "customXml"])
async def test_a_document_without_one_of_its_parts_is_read(read: ReadText, kind: str) -> None:
    assert (await read("a.docx", word(paragraph("x"), [("rId1", kind, f"{kind}1.xml")]))).text == "x"


@pytest.mark.parametrize(
    "link",
    [
        ("rId1", "image", "NULL"),
        ("rId1", "image", "media/gone.png"),
        ("rId1", "styles", "styles.xml"),
        ("rId1", "numbering", "../numbering.xml"),
        ("rId1", "header", "/word/header9.xml"),
        ("rId1", "comments", "#"),
        ("rId1", "footnotes", "..\\..\\..\\etc\\passwd"),
    ],
)
async def test_the_rest_of_a_document_is_read_where_a_part_is_missing(read: ReadText, link: tuple[str, str, str]) -> None:
    assert (await read("a.docx", word(paragraph("x"), [link]))).text == "x"


async def test_a_document_without_its_main_part_is_refused(read: ReadText) -> None:
    with pytest.raises(UnreadableFile, match=r"^a\.docx can't be read as a Word document: it is damaged"):
        await read("a.docx", office({"_rels/.rels": relations([("a", "officeDocument", "word/gone.xml")]), "word/styles.xml": "<a/>"}))


def _field(data: str, kind: str, shown: str = "") -> str:
    char = "<w:r><w:fldChar w:fldCharType='{}'/></w:r>"
    begin = f"<w:r><w:fldChar w:fldCharType='begin'><w:ffData><w:name w:val='f'/>{data}</w:ffData></w:fldChar></w:r>"
    result = f"<w:r><w:t>{shown}</w:t></w:r>" if shown else ""
    code = f"<w:r><w:instrText>{kind}</w:instrText></w:r>"
    return f"<w:p><w:r><w:t>F:</w:t></w:r>{begin}{code}{char.format('separate')}{result}{char.format('end')}</w:p>"


def _list(*properties: str) -> str:
    entries = "".join(f"<w:listEntry w:val='{name}'/>" for name in ("red", "green", "blue"))
    return f"<w:ddList>{''.join(properties)}{entries}</w:ddList>"


@pytest.mark.parametrize(
    ("data", "kind", "shown", "words"),
    [
        ("<w:checkBox><w:default w:val='0'/><w:checked/></w:checkBox>", "FORMCHECKBOX", "", "F:[x]"),
        ("<w:checkBox><w:checked w:val='1'/></w:checkBox>", "FORMCHECKBOX", "", "F:[x]"),
        ("<w:checkBox><w:default w:val='1'/></w:checkBox>", "FORMCHECKBOX", "", "F:[x]"),
        ("<w:checkBox><w:default w:val='1'/><w:checked w:val='0'/></w:checkBox>", "FORMCHECKBOX", "", "F:[ ]"),
        ("<w:checkBox><w:sizeAuto/></w:checkBox>", "FORMCHECKBOX", "", "F:[ ]"),
        (_list("<w:result w:val='2'/>"), "FORMDROPDOWN", "", "F:blue"),
        (_list("<w:default w:val='1'/>"), "FORMDROPDOWN", "", "F:green"),
        (_list(), "FORMDROPDOWN", "", "F:red"),
        (_list("<w:result w:val='9'/>"), "FORMDROPDOWN", "", "F:"),
        (_list("<w:result w:val='x'/>"), "FORMDROPDOWN", "", "F:"),
        (_list("<w:result w:val='2'/>"), "FORMDROPDOWN", "blue", "F:blue"),
        ("<w:textInput><w:default w:val='Bonn'/></w:textInput>", "FORMTEXT", "Cologne", "F:Cologne"),
    ],
)
async def test_what_is_filled_into_a_form_is_read(read: ReadText, data: str, kind: str, shown: str, words: str) -> None:
    assert (await read("a.docx", word(_field(data, kind, shown)))).text == words


@pytest.mark.parametrize(
    ("properties", "shown", "words"),
    [
        ("<w:checkbox><w:checked w:val='1'/></w:checkbox>", "☒", "C:☒"),
        ("<w:checkbox><w:checked w:val='1'/></w:checkbox>", "", "C:[x]"),
        ("<w:checkbox><w:checked w:val='0'/></w:checkbox>", "", "C:[ ]"),
        ("<w:checkbox/>", "", "C:[ ]"),
        ("<w:checkbox><w:checked w:val='true'/></w:checkbox>", "\uf052", "C:[x]"),
        ("<w:date w:fullDate='2026-11-28T00:00:00Z'/>", "28 November", "C:28 November"),
        ("<w:date w:fullDate='2026-11-28T00:00:00Z'/>", "", "C:2026-11-28"),
        ("<w:dropDownList w:lastValue='2'><w:listItem w:displayText='Two' w:value='2'/></w:dropDownList>", "Two", "C:Two"),
        ("<w:dropDownList w:lastValue='2'><w:listItem w:displayText='Two' w:value='2'/></w:dropDownList>", "", "C:Two"),
        ("<w:comboBox w:lastValue='own words'/>", "", "C:own words"),
        ("<w:text/>", "typed", "C:typed"),
        ("<w:text/>", "", "C:"),
    ],
)
async def test_content_controls_are_read(read: ReadText, properties: str, shown: str, words: str) -> None:
    content = f"<w:sdtContent><w:r><w:t>{shown}</w:t></w:r></w:sdtContent>"
    inline = f"<w:p><w:r><w:t>C:</w:t></w:r><w:sdt><w:sdtPr>{properties}</w:sdtPr>{content}</w:sdt></w:p>"
    assert (await read("a.docx", word(inline))).text == words


async def test_a_control_around_an_empty_paragraph_is_read(read: ReadText) -> None:
    control = "<w:sdt><w:sdtPr><w:checkbox><w:checked/></w:checkbox></w:sdtPr><w:sdtContent><w:p/></w:sdtContent></w:sdt>"
    assert (await read("a.docx", word(control + paragraph("after")))).text == "[x]\n\nafter"
