"""MJML: compiled once, with the language of values passing through it, and every mistake told with its line."""

import pytest

from journeys.mjml import MjmlProblem, compile_mjml
from journeys.templates import TemplateProblem, compile_template, render
from schemas.definitions import ContentVariant, DynamicContentRule, Engine, Template


def document(body: str) -> str:
    return f"<mjml><mj-body><mj-section><mj-column>{body}</mj-column></mj-section></mj-body></mjml>"


def html(
    body: str, engine: Engine = "mjml", rules: dict[str, DynamicContentRule] | None = None, **values: object
) -> str:
    template = Template(
        id="t", engine=engine, content_template=document(body), dynamic_content_rules=rules or {}, preheader="Psst"
    )
    rendered = render(compile_template(template, lambda _: bool), values.get, "")
    assert rendered.html is not None
    return rendered.html


def test_mjml_becomes_tables_and_fields_are_filled_and_escaped() -> None:
    written = html(
        '<mj-text>Hi {name}</mj-text><mj-button href="{link}">Go</mj-button>', name="<b>", link="https://x?a&b"
    )
    assert "<mj-" not in written
    assert "Hi &lt;b&gt;" in written
    assert 'href="https://x?a&amp;b"' in written
    assert written.count("Psst") == 1


def test_liquid_passes_through_mjml_in_attributes_and_between_elements() -> None:
    body = """{% for item in items %}
      <mj-text>{{ item.name | default: "a < b" }}</mj-text>
      <mj-button href="{{ item.url | default: "https://x.example/?a=1&b=2" }}">Go</mj-button>
    {% endfor %}"""
    written = html(body, "mjml_liquid", items=[{"name": "One"}, {}])
    assert "One" in written
    assert written.count('href="https://x.example/?a=1&b=2"') == 2
    assert "a < b" in written


@pytest.mark.parametrize("placeholder", [None, "<!-- offer -->", "[[offer]]"])
@pytest.mark.parametrize("engine", ["mjml", "mjml_liquid"])
def test_dynamic_content_is_html_and_replaces_its_placeholder(placeholder: str | None, engine: Engine) -> None:
    rule = DynamicContentRule(placeholder=placeholder, content_variants=(ContentVariant(content="<b>Ten off</b>"),))
    body = f"<mj-text>{placeholder or '{dynamic_content_offer}'}</mj-text>"
    assert "<b>Ten off</b>" in html(body, engine, {"offer": rule})


def test_the_text_part_is_what_a_reader_sees() -> None:
    body = "<mj-text><h1>Hi {name}</h1>One</mj-text><mj-text>Two</mj-text>"
    body += (
        '<mj-button href="https://x.example">Go</mj-button><mj-table><tr><td>a</td></tr><tr><td>b</td></tr></mj-table>'
    )
    for engine in ("mjml", "mjml_liquid"):
        content = document(body if engine == "mjml" else body.replace("{name}", "{{ name }}"))
        template = Template(id="t", engine=engine, content_template=content)
        rendered = render(compile_template(template, lambda _: bool), {"name": "Ann"}.get, "")
        assert rendered.text == "Hi Ann\n\nOne\n\nTwo\n\nGo (https://x.example)\n\na\nb"


@pytest.mark.parametrize(
    ("source", "mistake"),
    [
        ("", "unable to find mjml element"),
        ("<html></html>", "line 1: unexpected token"),
        ("<mjml><mj-body>\n<mj-foo>x</mj-foo></mj-body></mjml>", "line 2: mj-foo is no element of MJML"),
        ("<mjml><mj-body><mj-txt>x</mj-txt></mj-body></mjml>", "did you mean 'mj-text'"),
        ("<mjml><mj-body><mj-text>x</mj-body></mjml>", "."),
        ("<mjml><mj-body><mj-include path='/etc/passwd'/></mj-body></mjml>", "mj-include isn't possible"),
    ],
)
def test_what_does_not_compile_is_told(source: str, mistake: str) -> None:
    with pytest.raises(MjmlProblem, match=mistake):
        compile_mjml(source, ())


def test_a_comment_may_name_any_element() -> None:
    assert "x" in compile_mjml(document("<!-- <mj-foo> --><mj-text>x</mj-text>"), ())


def test_mjml_is_for_e_mail() -> None:
    with pytest.raises(TemplateProblem, match="engine: mjml is for e-mail, and the channel is sms"):
        compile_template(Template(id="t", channel="sms", engine="mjml", content_template="x"), lambda _: bool)


def test_liquid_that_is_not_closed_is_told_before_mjml() -> None:
    with pytest.raises(TemplateProblem, match=r"line 1: \{\{ isn't closed"):
        compile_template(Template(id="t", engine="mjml_liquid", content_template=document("{{ a")), lambda _: bool)
