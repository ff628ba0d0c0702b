"""Templates: what is a placeholder, what a value becomes, what rules choose, and the text made from HTML."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.plain_text import plain_text
from journeys.templates import Rendered, TemplateProblem, as_text, compile_template, missing_names, render
from schemas.definitions import Comparison, Condition, ContentVariant, DynamicContentRule, Template

Plan = str


def compile_plan(condition: Condition) -> Callable[[Plan], bool]:
    """The conditions of these examples ask for the customer's plan."""
    assert isinstance(condition, Comparison)
    return lambda plan: plan == condition.value


def is_plan(plan: Plan) -> Comparison:
    return Comparison(field="plan", operator="eq", value=plan)


def rendered(template: Template, values: dict[str, object] | None = None, plan: Plan = "free") -> Rendered:
    return render(compile_template(template, compile_plan), (values or {}).get, plan)


def html(content: str, **values: object) -> str | None:
    return rendered(Template(id="t", content_template=content), values).html


def subject(content: str, **values: object) -> str:
    return rendered(Template(id="t", content_template="", subject_template=content), values).subject


# Placeholders


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{name}", "Ann"),
        ("Hi {name}{name}!", "Hi AnnAnn!"),
        ("{{name}}", "{Ann}"),
        ("{größe} {a-b} {a.b} {_x1}", "1 2 3 4"),
        ("a{color: red} @media x{b{top:0}}", "a{color: red} @media x{b{top:0}}"),
        (r"\d{3} {0} {} { } {", r"\d{3} {0} {} { } {"),
        ("{ name } {name", "{ name } {name"),
        ("{na{name}me}", "{naAnnme}"),
        ("%s $name ${name}", "%s $name $Ann"),
    ],
)
def test_braces_around_nothing_but_a_name_are_a_placeholder(content: str, expected: str) -> None:
    values = {"name": "Ann", "größe": 1, "a-b": 2, "a.b": 3, "_x1": 4}
    assert rendered(Template(id="t", content_template=content), values).html == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Ann", "Ann"),
        (" Ann ", " Ann "),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (3, "3"),
        (3.0, "3"),
        (-0.0, "0"),
        (2.5, "2.5"),
        (1e300, "1e+300"),
        ("", None),
        (" \n", None),
        (None, None),
        ([1], None),
        ({"a": 1}, None),
    ],
)
def test_a_value_is_a_scalar_written_for_readers(value: object, text: str | None) -> None:
    assert as_text(value) == text


def test_what_has_no_value_is_left_out_and_reported_once() -> None:
    template = Template(
        id="t", subject_template="{b} {a}", content_template="{a}-{c}-{b}", personalization_fields=("c",)
    )
    result = rendered(template, {"a": "A", "b": [1]})
    assert (result.html, result.subject) == ("A--", "A")
    assert set(result.unfilled) == {"b", "c"}
    assert result.missing == ("c",)


def test_everybody_has_a_first_name() -> None:
    template = Template(id="t", content_template="Hi {first_name}", personalization_fields=("first_name",))
    assert rendered(template).html == "Hi there"
    assert rendered(template, {"first_name": ""}).html == "Hi there"
    assert rendered(template, {"first_name": "Ann"}).html == "Hi Ann"
    assert (rendered(template).unfilled, rendered(template).missing) == ((), ())


def test_required_names_need_no_placeholder_to_be_missing() -> None:
    template = Template(id="t", content_template="", personalization_fields=("plan", "last_name", "email"))
    assert rendered(template, {"email": "a@example.com"}).missing == ("plan", "last_name")
    assert (
        missing_names(compile_template(template, compile_plan), {"plan": 1, "last_name": 0, "email": False}.get) == ()
    )


# Escaping and headers


def test_a_value_is_escaped_in_html_and_nowhere_else() -> None:
    template = Template(
        id="t", subject_template="{v}", content_template='<a href="{v}">{v}</a>', text_template="{v}", preheader="{v}"
    )
    result = rendered(template, {"v": "<b>\"Tom\" & 'Al'</b>"})
    escaped = "&lt;b&gt;&quot;Tom&quot; &amp; &#x27;Al&#x27;&lt;/b&gt;"
    assert result.html is not None
    assert result.html.count(escaped) == 3
    assert result.subject == result.text == "<b>\"Tom\" & 'Al'</b>"


def test_a_header_is_one_line_without_control_characters() -> None:
    assert subject("Hi {v}\n!", v="a\r\nBcc: b@example.com\x00\x85\u2028c") == "Hi a Bcc: b@example.com c !"


def test_a_value_cannot_add_an_address() -> None:
    template = Template(id="t", content_template="", from_="{v} via Shop <shop@example.com>", reply_to="{owner}")
    result = rendered(template, {"v": 'A" <x@example.com>, B\r\nBcc: c', "owner": "o@example.com,p@example.com"})
    assert result.sender == "A x@example.com B Bcc c via Shop <shop@example.com>"
    assert result.reply_to == "o@example.comp@example.com"


def test_without_sender_and_reply_to_there_is_none() -> None:
    result = rendered(Template(id="t", content_template=""))
    assert (result.sender, result.reply_to) == (None, None)


def test_other_channels_have_text_alone_unescaped() -> None:
    result = rendered(Template(id="t", channel="sms", content_template="<3 {v}"), {"v": "&"})
    assert (result.html, result.text) == (None, "<3 &")


# Preheader


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "<p>x</p>"),
        ("<html><BODY class=a>", "<p>x</p></BODY></html>"),
        ("<!DOCTYPE html>\n<html lang=en><head><title>a</title></head>", "<p>x</p>"),
        ("<!doctype html>", "<p>x</p>"),
    ],
)
def test_a_preheader_is_hidden_at_the_start_of_the_body(before: str, after: str) -> None:
    result = rendered(Template(id="t", content_template=before + after, preheader="Psst {v}"), {"v": "<"})
    assert result.html is not None
    assert result.html.startswith(before + '<div style="display:none')
    assert result.html.endswith(">Psst &lt;</div>" + after)
    assert result.text == "x"


def test_a_preheader_with_nothing_in_it_leaves_no_trace() -> None:
    assert rendered(Template(id="t", content_template="<p>x</p>", preheader=" {v} ")).html == "<p>x</p>"


# Dynamic content


def offer(**changes: object) -> Template:
    rule = {
        "content_variants": (
            ContentVariant(condition=is_plan("pro"), content="<p>Pro &amp; {v}</p>"),
            ContentVariant(content="<b>Upgrade</b> {v}"),
        ),
        **changes,
    }
    placeholder = changes.get("placeholder") or "{dynamic_content_offer}"
    return Template(
        id="t",
        subject_template=f"S {placeholder}",
        content_template=f"<div>A</div>{placeholder}<div>B</div>",
        dynamic_content_rules={"offer": DynamicContentRule(**rule)},  # type: ignore[arg-type]
    )


def test_the_first_variant_that_holds_takes_the_place() -> None:
    result = rendered(offer(), {"v": "<5"}, "pro")
    assert result.html == "<div>A</div><p>Pro &amp; &lt;5</p><div>B</div>"
    assert result.subject == "S Pro & <5"
    assert result.text.split() == ["A", "Pro", "&", "<5", "B"]


def test_a_variant_without_a_condition_is_for_all_others() -> None:
    result = rendered(offer(), {"v": 1}, "free")
    assert (result.html, result.subject) == ("<div>A</div><b>Upgrade</b> 1<div>B</div>", "S Upgrade 1")


def test_where_the_rule_does_not_hold_its_place_is_empty_and_nothing_is_unfilled() -> None:
    result = rendered(offer(condition=is_plan("pro")), {}, "free")
    assert (result.html, result.subject, result.unfilled) == ("<div>A</div><div>B</div>", "S", ())


def test_where_no_variant_holds_its_place_is_empty() -> None:
    only_pro = (ContentVariant(condition=is_plan("pro"), content="x"),)
    assert rendered(offer(content_variants=only_pro)).html == "<div>A</div><div>B</div>"
    assert rendered(offer(content_variants=())).html == "<div>A</div><div>B</div>"


@pytest.mark.parametrize("placeholder", ["{v}", "[[OFFER]]", "<!-- offer -->", "<offer/>", "%$.*("])
def test_a_placeholder_of_ones_own_is_found_by_its_text(placeholder: str) -> None:
    result = rendered(offer(placeholder=placeholder), {"v": 1}, "free")
    assert (result.html, result.subject) == ("<div>A</div><b>Upgrade</b> 1<div>B</div>", "S Upgrade 1")
    assert "Upgrade 1" in result.text


def test_a_longer_placeholder_goes_before_one_that_begins_it() -> None:
    rules = {
        name: DynamicContentRule(placeholder=text, content_variants=(ContentVariant(content=name),))
        for name, text in {"a": "##", "b": "##b##"}.items()
    }
    assert rendered(Template(id="t", content_template="## ##b##", dynamic_content_rules=rules)).html == "a b"


def test_the_placeholder_of_a_rule_in_a_variant_is_a_field_without_value() -> None:
    rule = DynamicContentRule(content_variants=(ContentVariant(content="[{dynamic_content_a}]"),))
    template = Template(id="t", content_template="{dynamic_content_a}", dynamic_content_rules={"a": rule})
    assert rendered(template).html == "[]"


def test_a_condition_is_looked_at_once_a_message_and_only_where_its_place_is() -> None:
    seen: list[Plan] = []

    def holds(plan: Plan) -> bool:
        seen.append(plan)
        return True

    used = DynamicContentRule(condition=is_plan("x"), content_variants=(ContentVariant(content="y"),))
    template = Template(
        id="t",
        subject_template="{dynamic_content_a}",
        content_template="{dynamic_content_a}{dynamic_content_a}",
        dynamic_content_rules={"a": used, "b": used},
    )
    assert render(compile_template(template, lambda _: holds), str, "free").html == "yy"
    assert seen == ["free"]


@pytest.mark.parametrize(
    ("placeholders", "complaint"),
    [
        (("", "b"), r"rules\.x\.placeholder: is blank"),
        (("a", "a"), r"rules\.y\.placeholder: 'a' is the placeholder of x"),
    ],
)
def test_a_rule_needs_a_placeholder_of_its_own(placeholders: tuple[str, str], complaint: str) -> None:
    rules = {
        name: DynamicContentRule(placeholder=text, content_variants=())
        for name, text in zip("xy", placeholders, strict=True)
    }
    with pytest.raises(TemplateProblem, match=complaint):
        compile_template(Template(id="t", content_template="", dynamic_content_rules=rules), compile_plan)


# Text from HTML


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a  b\n c", "a b c"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("<div>a</div><div>b</div>c", "a\nb\nc"),
        ("<h1>T</h1>a<br>b<br/>c", "T\n\na\nb\nc"),
        ("a<b>b</b> <i>c</i>", "ab c"),
        ("Tom &amp; Al &lt;3&nbsp;&copy;", "Tom & Al <3\xa0©"),
        ('<a href="https://x.example/?a=1&amp;b=2">here</a>.', "here (https://x.example/?a=1&b=2)."),
        ('<a href="https://x.example">https://x.example</a>', "https://x.example"),
        ('<a href="mailto:a@example.com">a@example.com</a> <a href="#top">up</a> <a>b</a>', "a@example.com up b"),
        ('<a href="https://x.example"><img src="i.png" alt="Shop"></a>', "Shop (https://x.example)"),
        ('<a href="https://x.example"><img src="i.png"></a>', "https://x.example"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("<ol><li>a<li>b</ol>", "1. a\n2. b"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<pre>a\n  b</pre>", "a\nb"),
        ("<head><title>t</title><style>p{x:y}</style></head>a<script>b</script>c<!-- d -->", "ac"),
        ("<!--[if mso]>x<![endif]-->a<![if !mso]>b<![endif]><![x[c", "a b"),
        ("a < b & c > d", "a < b & c > d"),
        ("<p>a</p>\n\n<p> </p>\n<p>b</p>", "a\n\nb"),
        ("<p>unclosed <b>tags", "unclosed tags"),
        ("", ""),
    ],
)
def test_html_becomes_the_lines_that_a_reader_sees(content: str, text: str) -> None:
    assert plain_text(content) == text


def test_the_text_part_is_made_from_the_html_with_its_placeholders() -> None:
    template = Template(
        id="t",
        content_template='<html><body><h1>Hi {first_name}</h1><p><a href="{view_url}">View</a></p></body></html>',
        preheader="never in the text",
    )
    result = rendered(template, {"first_name": "<Ann>", "view_url": "https://x.example/?a&b"})
    assert result.text == "Hi <Ann>\n\nView (https://x.example/?a&b)"


def test_a_text_template_goes_before_the_html() -> None:
    result = rendered(Template(id="t", content_template="<p>a</p>", text_template="b {n}"), {"n": 1})
    assert result.text == "b 1"


# Any text

pieces = st.lists(
    st.sampled_from(
        [
            *"<>{}&;!/-[] \n\x00\"'a",
            *("{a}", "{{a}}", "{dynamic_content_r}", "<!", "<![", "<!--", "-->", "</", "<?", "CDATA[", "&#", "&amp"),
            *("<p>", "</p>", "<a href=", "<body>", "<script>", "<title>", "<ol>", "<li>", "</ol>"),
        ]
    )
    | st.text(max_size=5),
    max_size=30,
).map("".join)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | pieces


@given(pieces, pieces, pieces, st.none() | pieces, scalars)
def test_no_text_and_no_value_raise(subject: str, content: str, variant: str, text: str | None, value: object) -> None:
    template = Template(
        id="t",
        subject_template=subject,
        content_template=content,
        text_template=text,
        from_=variant,
        preheader=subject,
        dynamic_content_rules={"r": DynamicContentRule(content_variants=(ContentVariant(content=variant),))},
    )
    result = rendered(template, {"a": value})
    assert result.subject.isprintable() or not any(character in result.subject for character in "\r\n\x00\x85\u2028")


@given(st.text() | pieces)
def test_no_value_brings_markup_into_the_html(value: str) -> None:
    template = Template(
        id="t",
        content_template='"{a}"{dynamic_content_r}',
        preheader="{a}",
        dynamic_content_rules={"r": DynamicContentRule(content_variants=(ContentVariant(content="{a}"),))},
    )
    with_value, without = rendered(template, {"a": value}).html, rendered(template, {"a": "x"}).html
    assert with_value is not None
    assert without is not None
    for character in "<>\"'":
        assert with_value.count(character) == without.count(character) or not value.strip()


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_text_without_braces_is_the_template_itself(content: str) -> None:
    plain = content.replace("{", "(")
    assert html(plain) == plain
