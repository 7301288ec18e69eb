"""What is wrong with a workflow's file is said with its line; a file that is in order is read as it was meant."""

from pathlib import Path

import pytest

from assistant.contracts.workflows import InvalidWorkflow, WorkflowNotFound
from assistant.workflows.checks import LinkTargets
from assistant.workflows.definition import CallNode, MessageNode, PromptNode
from assistant.workflows.library import WorkflowLibrary, link_sources
from assistant.workflows.yaml_tree import read_yaml
from assistant.workflows.yaml_values import InvalidYaml, YamlScalar, plain_json

TARGETS = LinkTargets(tools=("message", "read_attachment", "list_attachments"), agents=("main", "writer"))
ROOT = Path(__file__).parents[3]
START = "inputs: {city: text, report: file}\n"
WRONG = [
    ("", 1, "the file is empty"),
    ("just words", 1, "begins with keys"),
    ("nodes: {a: {kind: template, text: x}}\nnodez: {}", 2, "no key 'nodez'; did you mean 'nodes'?"),
    ("name: x", 1, "needs 'nodes'"),
    ("nodes:\n  a: {kind: templat, text: x}", 2, "there is no kind 'templat'; the kinds are prompt, tool"),
    ("nodes:\n  a: {text: x}", 2, "it needs a 'kind'"),
    ("nodes:\n  a: template", 2, "must be an object with a kind"),
    ("nodes:\n  a: [template]", 2, "must be an object with a kind"),
    ("nodes:\n  a:\n    kind: template\n    txt: x", 4, "node 'a' has no key 'txt'; did you mean 'text'?"),
    ("nodes:\n  a: {kind: template}", 2, "node 'a' needs 'text'"),
    ("nodes:\n  a: {kind: tool}", 2, "node 'a' needs 'tool'"),
    ("nodes:\n  a: {kind: tool, tool: read_atachment}", 2, "there is no tool 'read_atachment'; did you mean 'read_attachment'?"),
    ("nodes:\n  a: {kind: prompt, prompt: x, agent: 'agent:riter'}", 2, "there is no agent 'riter'; did you mean 'writer'?"),
    ("nodes:\n  a: {kind: message, to: 'telegram:1'}", 2, "needs 'text' or 'media'"),
    ("nodes:\n  a: {kind: message, text: x, channel: telegram}", 2, "needs 'to' (telegram:123456789), or 'channel' and 'chat_id'"),
    ("nodes:\n  a: {kind: message, text: x, to: 'telegram:1', chat_id: 5}", 2, "'to' says both channel and chat"),
    ("nodes:\n  a: {kind: template, text: x, needs: [b]}", 2, "node 'a' needs 'b', and there is no such node"),
    ("nodes:\n  a: {kind: template, text: x, needs: 5}", 2, "'needs' must be a list of words"),
    ("nodes:\n  a: {kind: template, text: x, timeout: 0}", 2, "'timeout' must be a number of 1 to 3600"),
    ("nodes:\n  a:\n    kind: template\n    text: |\n      one\n      two {{ b.output }\n", 6, "has no '}}'"),
    ("nodes:\n  a: {kind: template, text: '{{ b.output }}'}", 2, "refers to b.output, and there is no node 'b'"),
    (
        "nodes:\n  a: {kind: template, text: x}\n  b: {kind: template, text: '{{ a.text }}'}",
        3,
        "what node 'a' gives is a.output, not a.text",
    ),
    (START + "nodes:\n  a: {kind: template, text: '{{ inputs.citty }}'}", 3, "no input 'citty'; did you mean 'city'?"),
    (START + "nodes:\n  a: {kind: template, text: '{{ inputs.city.name }}'}", 3, "there is nothing within it"),
    (START + "nodes:\n  a: {kind: template, text: '{{ inputs.report }}'}", 3, "'report' is a file; write inputs.report.text"),
    (START + "nodes:\n  a: {kind: prompt, prompt: x, files: inputs.city}", 3, "'files' takes inputs of type file"),
    (START + "nodes:\n  a: {kind: template, text: {{ inputs.city }} }", 3, "put {{ … }} in quotes"),
    ("nodes:\n  a:\n    kind: template\n    text: {{ b.output }} and more", 4, "a key must be a word; put {{ … }} in quotes"),
    ("nodes:\n  a: {kind: template, text: '{{ a.output }}'}", 2, "wait for each other in a circle: a → a"),
    (
        "nodes:\n  a: {kind: template, text: x, needs: c}\n  b: {kind: template, text: '{{ a.output }}'}\n"
        "  c: {kind: template, text: x, needs: [b]}",
        2,
        "in a circle: a → c → b → a",
    ),
    ("nodes:\n  inputs: {kind: template, text: x}", 2, "a node can't be called 'inputs'"),
    ("nodes:\n  a b: {kind: template, text: x}", 2, "'a b' is no name"),
    ("inputs:\n  n: {type: integer, default: five}\nnodes: {a: {kind: template, text: x}}", 2, "the default must be of its type, integer"),
    ("inputs:\n  n: {type: whole}\nnodes: {a: {kind: template, text: x}}", 2, "there is no type 'whole'"),
    ("inputs:\n  n: {required: maybe}\nnodes: {a: {kind: template, text: x}}", 2, "'required' must be true or false"),
    ("nodes: {a: {kind: template, text: x}}\noutputs:\n  all: '{{ b.output }}'", 3, "output 'all' refers to b.output"),
    ("nodes:\n  a: {kind: workflow, workflow: nothing}", 2, "there is no workflow 'nothing'"),
    ("nodes:\n  a: {kind: workflow, workflow: inner}", 2, "workflow 'inner' needs the input 'x', which is not among 'params'"),
    ("nodes:\n  a: {kind: workflow, workflow: inner, params: {x: 1, y: 2}}", 2, "workflow 'inner' has no input 'y'; it has x"),
    (
        "nodes:\n  a: {kind: workflow, workflow: inner, params: {x: 1}}\n  b: {kind: template, text: '{{ a.output.other }}'}",
        3,
        "workflow 'inner' has no output 'other' (a.output.other); it has said",
    ),
    (
        START + "nodes:\n  a: {kind: workflow, workflow: inner, params: {x: '{{ inputs.report }}'}}",
        3,
        "is a text; write inputs.report.text",
    ),
    ("nodes:\n  a: {kind: workflow, workflow: wrong}", 1, "these workflows call each other in a circle: wrong → wrong"),
    ("nodes:\n  a: {kind: workflow, workflow: deep1}", 1, "workflows are 5 deep at most"),
    ("a: 1\na: 2", 2, "duplicate key 'a' (first in line 1)"),
    ("a: &x 1\nb: *x", 1, "anchors (&) and aliases (*) are not supported"),
    ("a: 1\nb: !!python/object/apply:os.system [ls]", 2, "tags (!) are not supported"),
    ("nodes:\n  a: [1, 2", 2, "expected ',' or ']'"),
    ("a: 1\n---\nb: 2", 2, "a second document begins here"),
    ("\n? [a]\n: 1", 2, "a key must be a word"),
    ('a: "\\ud800"', 1, "half of a character"),
]
INNER = "inputs: {x: text}\nnodes: {a: {kind: template, text: '{{ inputs.x }}'}}\noutputs: {said: '{{ a.output }}'}"


@pytest.mark.parametrize(("text", "line", "words"), WRONG, ids=[words[:40] for _, _, words in WRONG])
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, words: str, tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(INNER)
    for number in range(1, 8):
        (tmp_path / f"deep{number}.yaml").write_text(f"nodes: {{a: {{kind: workflow, workflow: deep{number + 1}}}}}")
    if "deep1" in text:
        (tmp_path / "deep8.yaml").write_text("nodes: {a: {kind: template, text: x}}")
    (tmp_path / "wrong.yaml").write_text("nodes: {a: {kind: workflow, workflow: wrong}}" if "workflow: wrong" in text else text)
    (tmp_path / "main.yaml").write_text(text)
    with pytest.raises(InvalidWorkflow) as refused:
        WorkflowLibrary(tmp_path, TARGETS).linked("main")
    said = refused.value.message
    assert words in said
    assert f", line {line}: " in next(each for each in said.split("\n") if words in each)
    assert str(tmp_path) not in said


def test_every_problem_of_a_file_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "main.yaml").write_text("nam: x\nnodes:\n  a: {kind: no}\n  b: {kind: template}\n")
    with pytest.raises(InvalidWorkflow) as refused:
        WorkflowLibrary(tmp_path, TARGETS).linked("main")
    assert [line.split(":")[0] for line in refused.value.message.split("\n")] == [
        "workflows/main.yaml, line 1", "workflows/main.yaml, line 3", "workflows/main.yaml, line 4",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "[" * 60_000,
        "{" * 60_000,
        "- " * 30_000,
        "a:\n" + "".join(f"{' ' * n}b:\n" for n in range(1, 300)),
        "a: &a [x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(20)),
        "? " * 30_000,
        "!!map {a: b}",
        "%YAML 9.9\n---\na: b",
        "a: b\x00",
        "\t\t: x",
        "'" * 60_001,
        "a: " + "9" * 60_000,
        "<<: {a: 1}\nnodes: x",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile_yaml_costs_nothing_and_is_refused(text: str) -> None:
    with pytest.raises(InvalidWorkflow):
        link_sources("main", {"main": text}, TARGETS)


def test_a_file_that_is_too_large_or_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_text("#" * 70_000)
    (tmp_path / "binary.yaml").write_bytes(b"name: x\n\xff\xfe")
    (tmp_path / "secret").write_text("key: 1")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "secret")
    library = WorkflowLibrary(tmp_path, TARGETS)
    with pytest.raises(InvalidWorkflow, match="larger than 64 KiB"):
        library.linked("large")
    with pytest.raises(InvalidWorkflow, match="line 2: the file is not UTF-8"):
        library.linked("binary")
    for name in ("link", "../secret", "none", "", "a/b", "x" * 100):
        with pytest.raises(WorkflowNotFound, match=f"^Workflow {name[:64]} not found$"):
            library.linked(name)
    assert [(info.id, len(info.problems)) for info in library.index()] == [("binary", 1), ("large", 1)]


def test_a_wide_tree_of_calls_is_counted_and_not_walked(tmp_path: Path) -> None:
    for level in range(4):
        calls = ", ".join([f"n{number}: {{kind: workflow, workflow: w{level + 1}}}" for number in range(60)])
        (tmp_path / f"w{level}.yaml").write_text(f"nodes: {{{calls}}}")
    (tmp_path / "w4.yaml").write_text("nodes: {a: {kind: template, text: x}}")
    with pytest.raises(InvalidWorkflow, match="nodes, and 256 are the most"):
        WorkflowLibrary(tmp_path, TARGETS).linked("w0")


def test_plain_words_mean_what_they_look_like() -> None:
    tree, lines = read_yaml("a: yes\nb: 2026-01-31\nc: 007\nd: '5'\ne: null\nf: true\ng: 1.5\nh: |\n  text\ni: 0x1F\nj: 1_000\nk: [~, on]")
    assert plain_json(tree) == {
        "a": "yes", "b": "2026-01-31", "c": 7, "d": "5", "e": None, "f": True, "g": 1.5, "h": "text\n", "i": "0x1F", "j": "1_000",
        "k": [None, "on"],
    }  # fmt: skip
    assert [lines[key,] for key in "abh"] == [1, 2, 8]
    assert isinstance(tree, dict)
    assert isinstance(tree["h"], YamlScalar)
    assert tree["h"].line == 9
    with pytest.raises(InvalidYaml, match="nested more than 16"):
        read_yaml("[" * 17 + "]" * 17)


def test_the_examples_are_in_order() -> None:
    library = WorkflowLibrary(ROOT / "workspace" / "workflows", TARGETS)
    found = library.index()
    assert [info.id for info in found] == ["compare-documents", "morning-briefing", "summarise-upload"]
    assert [info.problems for info in found] == [(), (), ()]


def test_a_reference_is_a_need_and_nodes_stand_behind_what_they_need() -> None:
    text = (
        "nodes:\n  c: {kind: message, to: 'telegram:1', text: '{{ b.output }} {{ a.output }}', needs: [d]}\n"
        "  b: {kind: prompt, prompt: '{{ a.output }}'}\n  a: {kind: template, text: x}\n  d: {kind: workflow, workflow: inner, params: {x: [1]}}\n"
    )
    checked = link_sources("main", {"main": text, "inner": INNER}, TARGETS)
    nodes = checked.definition.nodes
    assert list(nodes) == ["a", "d", "b", "c"]
    assert nodes["c"].needs == ("d", "b", "a")
    assert [type(node.work) for node in nodes.values()][1:] == [CallNode, PromptNode, MessageNode]
