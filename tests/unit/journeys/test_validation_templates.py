"""Templates that render but are probably not meant so: a warning with the line, and with what to do."""

import pytest

from journeys.validation import Document, validate
from schemas.events import Json
from schemas.problems import sentence


def warnings(template: dict[str, Json], **settings: Json) -> list[str]:
    documents: list[Json] = [
        {"kind": "template", "id": "t", "content_template": "x", **template},
        {"kind": "settings", **settings},
    ]
    validated = validate([Document(file="t.yaml", value=value) for value in documents])
    assert validated.problems == ()
    return [sentence(warning).removeprefix("t.yaml: ") for warning in validated.warnings]


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        ("a\nHi {name, you", "{name on line 2 isn't closed, and is sent as it stands (right would be: {name})"),
        ("<p>{name</p>", "{name on line 1 isn't closed, and is sent as it stands (right would be: {name})"),
        ("Hi {name", "{name on line 1 isn't closed, and is sent as it stands (right would be: {name})"),
        ("Hi { name }", "'{ name }' on line 1 is sent as it stands (right would be: {name}, without blanks)"),
        ("Hi {{name}}", "{{name}} on line 1 is {name} between braces (right would be: {name}, or engine: liquid)"),
        (
            "Hi {{ name | upcase }}",
            "{{ name | upcase }} on line 1 is {name} between braces (right would be: {name}, or engine: liquid)",
        ),
        (
            "\n{% if name %}",
            "{% if name %} on line 2 is sent as it stands (right would be: engine: liquid, which knows such tags)",
        ),
        (
            "{dynamic_content_offr}",
            "{dynamic_content_offr} has no rule, and stays empty (right would be: a rule 'offr'; there is none)",
        ),
    ],
)
def test_what_looks_like_a_placeholder_and_is_none_is_told(content: str, warning: str) -> None:
    assert warnings({"content_template": content}) == [f"content_template: {warning}"]


@pytest.mark.parametrize(
    "content",
    [
        "Hi {name}, {größe} {a.b-c}",
        '<p style="color:red">{ color: red } a{color:red} b{ top : 0 }',
        "<style>p{color\n:red} @media x{p{top:0}}</style><script>if(a){b()} {c </script>",
        "<!-- {name --> {0} {} \\d{3} ${price}",
        "<style>{{x}}",
    ],
)
def test_styles_scripts_comments_and_plain_braces_are_left_alone(content: str) -> None:
    assert warnings({"content_template": content}) == []


def test_subjects_to_choose_from_are_looked_at_and_a_mistake_made_everywhere_is_told_often_enough() -> None:
    assert warnings({"a_b_test_variants": ["ok {name}", "{{name}}"]}) == [
        "a_b_test_variants[1]: {{name}} on line 1 is {name} between braces (right would be: {name}, or engine: liquid)"
    ]
    assert len(warnings({"content_template": "{{name}} " * 500})) == 20


def test_liquid_is_left_to_liquid() -> None:
    assert warnings({"engine": "liquid", "content_template": "{{ name }} {% if a %}{ name }{% endif %}"}) == []


def test_in_mjml_liquid_would_be_mjml_liquid() -> None:
    content = (
        "<mjml><mj-body><mj-section><mj-column><mj-text>{{ a }}</mj-text></mj-column></mj-section></mj-body></mjml>"
    )
    [warning] = warnings({"engine": "mjml", "content_template": content})
    assert warning.endswith("(right would be: {a}, or engine: mjml_liquid)")


RULE: Json = {"content_variants": [{"content": "x"}]}


def test_a_rule_that_is_used_and_its_own_placeholder_are_right() -> None:
    rules: Json = {"a": RULE, "b": {"placeholder": "{dynamic_content_z}", "content_variants": [{"content": "x"}]}}
    content = "{dynamic_content_a} {dynamic_content_z}"
    assert warnings({"content_template": content, "dynamic_content_rules": rules}) == []


def test_a_rule_that_is_not_used_is_told() -> None:
    assert warnings({"dynamic_content_rules": {"a": RULE}}) == [
        (
            "dynamic_content_rules.a: its placeholder '{dynamic_content_a}' stands nowhere in the template "
            "(right would be: the placeholder in the content)"
        )
    ]


def test_a_placeholder_of_a_rule_in_a_variant_is_told() -> None:
    rules: Json = {"a": {"content_variants": [{"content": "{dynamic_content_a}"}]}}
    [warning] = warnings({"content_template": "{dynamic_content_a}", "dynamic_content_rules": rules})
    assert warning.startswith("dynamic_content_rules.a: {dynamic_content_a} stands in a variant, where it stays empty")


@pytest.mark.parametrize(
    ("engine", "link"),
    [
        ("fields", "{unsubscribe_url}"),
        ("liquid", "{{ unsubscribe_url }}"),
        ("liquid", "{% if unsubscribe_url %}x{% endif %}"),
    ],
)
def test_links_need_to_know_where_they_lead(engine: str, link: str) -> None:
    template: dict[str, Json] = {"engine": engine, "content_template": link * 2}
    assert warnings(template) == [
        (
            "content_template: unsubscribe_url has no value without public_url in the settings "
            "(right would be: kind: settings with public_url: https://…)"
        )
    ]
    assert warnings(template, public_url="https://shop.example") == []


def test_what_does_not_compile_is_an_error_under_its_field() -> None:
    value: Json = {
        "kind": "template",
        "id": "t",
        "engine": "liquid",
        "subject_template": "{{ a | nope }}",
        "content_template": "a\n{% if %}",
    }
    problems = validate([Document(file="t.yaml", value=value)]).problems
    assert [problem.path for problem in problems] == ["content_template", "subject_template"]
    assert problems[0].message.startswith("line 2: ")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece", ["<style>", "<!--", "{{", "{%", "{ ", "{a", "<script>{a ", "{{ a {", "{dynamic_content_"]
)
def test_no_text_makes_looking_slow(piece: str) -> None:
    warnings({"content_template": piece * (400_000 // len(piece))})
