"""Liquid: what it may do, what it can't reach, and that no value makes it slow, unsafe or different the second time."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from journeys.liquid_language import MAX_ITERATIONS, LiquidMistake, LiquidText, RenderFailure, Target
from journeys.template_words import Moment
from journeys.templates import Rendered, TemplateProblem, compile_template, render
from schemas.definitions import Comparison, Condition, ContentVariant, DynamicContentRule, Template
from schemas.events import Json
from tests.journey import START, Journey, mail, workflow

NEW_YORK = Moment(START, "America/New_York")


def write(source: str, target: Target = "text", moment: Moment = NEW_YORK, **values: object) -> str:
    return LiquidText(source, target).render(values.get, moment, {})


def compile_plan(condition: Condition) -> Callable[[str], bool]:
    assert isinstance(condition, Comparison)
    return lambda plan: plan == condition.value


def rendered(template: Template, plan: str = "free", **values: object) -> Rendered:
    return render(compile_template(template, compile_plan), values.get, plan, NEW_YORK)


def liquid(content: str, **rest: object) -> Template:
    return Template(id="t", engine="liquid", content_template=content, **rest)  # type: ignore[arg-type]


# Values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ s }} {{ n }} {{ f }} {{ yes }} {{ none }}|", "Ann 3 49.9 true |"),
        ("{{ o }} {{ o.city }} {{ o['city'] }}", '{"city":"Graz"} Graz Graz'),
        ("{{ l[0] }} {{ l.last }} {{ l.size }} {{ l | join: '+' }}", "1 3 3 1+2+3"),
        ("{% for x in l %}{{ forloop.index }}:{{ x }} {% endfor %}", "1:1 2:2 3:3 "),
        ("{% for x in s.nope.deeper %}x{% else %}none{% endfor %}", "none"),
        ("{{ s | upcase | append: '!' }} {{ f | times: 2 | round: 1 }}", "ANN! 99.8"),
        ("{% if n > 2 and s contains 'n' %}yes{% endif %}", "yes"),
        ("{{ first_name }}, {{ first_name | default: 'friend' }}{% if first_name %}!{% endif %}", "there, friend"),
        ("{ s } {s} {color: red}", "{ s } {s} {color: red}"),
        ("{% raw %}{{ s }}{% endraw %}", "{{ s }}"),
    ],
)
def test_values_of_every_kind_are_written_for_readers(source: str, expected: str) -> None:
    values: dict[str, Any] = {
        "s": "Ann",
        "n": 3,
        "f": 49.9,
        "yes": True,
        "none": None,
        "o": {"city": "Graz"},
        "l": [1, 2, 3],
    }
    assert write(source, **values) == expected


def test_what_is_written_without_a_value_is_reported_and_what_is_only_asked_for_is_not() -> None:
    content = "{{ a }}{{ o.x }}{% if b %}{% endif %}{{ c | default: 'c' }}{% for x in d %}{% endfor %}{{ first_name }}"
    result = rendered(liquid(content), o={"y": 1})
    assert (result.html, result.unfilled) == ("cthere", ("a", "o.x"))


def test_a_required_name_may_be_a_list_that_holds_something() -> None:
    template = liquid("x", personalization_fields=("items", "plan"))
    assert rendered(template, items=[1]).missing == ("plan",)
    assert rendered(template, items=[], plan=" ").missing == ("items", "plan")


def test_a_value_is_escaped_in_html_and_nowhere_else() -> None:
    result = rendered(
        liquid("<p>{{ v }}</p>", subject_template="{{ v }}", preheader="{{ v }}", from_="{{ v }} <a@shop.example>"),
        v="<b>\n\"Tom\" & 'Al'",
    )
    assert result.html == (
        '<div style="display:none;max-height:0;max-width:0;overflow:hidden;opacity:0;mso-hide:all">'
        "&lt;b&gt;\n&#34;Tom&#34; &amp; &#39;Al&#39;</div><p>&lt;b&gt;\n&#34;Tom&#34; &amp; &#39;Al&#39;</p>"
    )
    assert result.subject == "<b> \"Tom\" & 'Al'"
    assert result.sender == "b Tom & 'Al' <a@shop.example>"
    assert result.text == "<b>\n\"Tom\" & 'Al'"


FILTERS = (
    *("append: v", "prepend: v", "replace: 'a', v", "replace_first: 'a', v", "join: v", "default: v", "split: 'a'"),
    *("upcase", "capitalize", "strip_html", "strip_newlines", "escape_once", "url_decode", "squish"),
    *("url_encode | url_decode", "base64_encode | base64_decode", "truncate: 99, v", "truncatewords: 9, v", "sort"),
    *("slice: 0, 99", "remove: 'a'", "first", "last", "concat: l", "uniq", "compact", "map: 'a'", "reverse", "date: v"),
)


@given(st.text(alphabet="<>\"'&;#ltg3na 4/=%amp\n", max_size=30), st.lists(st.sampled_from(FILTERS), max_size=3))
@example("&lt;b&gt;", ["escape_once"])
@example("%3Cb%3E", ["url_decode"])
def test_no_value_brings_markup_into_the_html_through_any_filter(value: str, filters: list[str]) -> None:
    chain = "".join(f" | {name}" for name in filters)
    for start in ("v", "l", "'a'", "'now'"):
        try:
            written = write(f"{{{{ {start}{chain} }}}}", "markup", v=value, l=[value, value])
        except RenderFailure:
            continue
        assert not set("<>\"'") & set(written)


@given(st.text(alphabet="<>\"'&\n\r b", max_size=20))
def test_line_breaks_become_markup_and_nothing_else_does(value: str) -> None:
    written = write("{{ v | newline_to_br }}", "markup", v=value)
    assert not set("<>\"'") & set(written.replace("<br />", ""))


# Time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ 'now' | date: '%Y-%m-%d %H:%M' }}", "2026-01-01 04:00"),
        ("{{ now }} {{ today }}", "2026-01-01T09:00:00.000Z 2026-01-01"),
        ("{{ now | date: '%A, %-d %B' }}", "Thursday, 1 January"),
        ("{{ '2026-07-01T12:00:00Z' | date: '%H:%M' }}", "08:00"),
        ("{{ '2026-07-01' | date: '%d.%m.' }}", "01.07."),
        ("{{ '2026-07-01T12:00' | date: '%H:%M' }}", "12:00"),
        ("{{ 1767258000 | date: '%H' }} {{ 1767258000000 | date: '%s %%s' }}", "04 1767258000 %s"),
        ("{{ 'soon' | date: '%H' }} {{ true | date: '%H' }} {{ 'now' | date }}", "soon true now"),
        ("{{ nothing | date: '%H' }}", ""),
        ("{{ '2026-07-01T12:00+0200' | date: '%H' }} {{ trigger | date: '%H' }}", "2026-07-01T12:00+0200 "),
    ],
)
def test_time_is_the_decisions_and_the_customers(source: str, expected: str) -> None:
    assert write(source) == expected


def test_rendering_twice_gives_the_same_whatever_was_asked_for() -> None:
    source = (
        "{% for x in (1..3) %}{{ forloop }}{{ forloop.length }}{% endfor %}{{ 'now' | date: '%c' }}{% cycle 1, 2 %}"
    )
    text = LiquidText(source, "text")
    assert text.render(str, NEW_YORK, {}) == text.render(str, NEW_YORK, {})
    assert "0x" not in text.render(str, NEW_YORK, {})


# Bounds ----------------------------------------------------------------------------------------------------------


def test_loops_are_bounded_in_sum() -> None:
    once = f"{{% for x in (1..{MAX_ITERATIONS // 2}) %}}{{% endfor %}}"
    assert write(once * 2) == ""
    with pytest.raises(RenderFailure, match="iterations") as raised:
        write(once * 2 + "{% for x in (1..1) %}{% endfor %}")
    assert raised.value.too_large


@pytest.mark.parametrize(
    "source",
    [
        "{% for x in (1..1000000000) %}{% endfor %}",
        "{% for x in (1..200) %}{% for y in (1..200) %}{% endfor %}{% endfor %}",
        "{{ (1..1000000000) | join: ',' }}",
        "{{ (1..n) | size }}",
        "{% assign s = 'x' %}{% for i in (1..100) %}{% assign s = s | append: s %}{% endfor %}",
        "{% assign s = 2 %}{% for i in (1..100) %}{% assign s = s | times: s %}{% endfor %}",
        "{% for i in (1..9999) %}{{ v }}{% endfor %}",
        "{% capture c %}{% for i in (1..9999) %}{{ v }}{% endfor %}{% endcapture %}",
        "{{ v | replace: 'x', v }}",
        "{{ v | replace: '', v }}",
        "{{ l | join: v }}",
        "{% assign m = l | concat: l %}{{ m | size }}",
    ],
)
def test_whatever_grows_beyond_measure_ends_as_too_large(source: str) -> None:
    with pytest.raises(RenderFailure) as raised:
        write(source, v="x" * 1_000, n=10**9, l=list(range(900)))
    assert raised.value.too_large


@pytest.mark.parametrize(
    "source",
    ["{{ l | sort }}", "{{ n | divided_by: 0 }}", "{{ '/w==' | base64_decode }}", "{{ 'ab' | truncate: 'x' }}"],
)
def test_what_a_filter_cannot_do_fails_with_a_sentence(source: str) -> None:
    with pytest.raises(RenderFailure) as raised:
        write(source, l=[{}, {}], n=1)
    assert not raised.value.too_large
    assert str(raised.value)


@pytest.mark.parametrize(
    "value", ["<script" * 9_000 + ">", "<!" * 30_000 + ">", "</" * 30_000, "&#" * 30_000, "<a " * 20_000 + ">"]
)
@pytest.mark.timeout(20)
def test_no_text_makes_a_filter_slow(value: str) -> None:
    for name in ("strip_html", "squish", "truncatewords: 3", "escape_once", "newline_to_br"):
        write(f"{{{{ v | {name} }}}}", "markup", v=value)


# Compiling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "mistake"),
    [
        ("a\n{% include 'x' %}", "line 2: .*include"),
        ("{% render 'x' %}", "line 1: .*render"),
        ("a\n\n{{ x | nope }}", "line 3: there is no filter 'nope'"),
        ("{{ x | upcas }}", "did you mean 'upcase'"),
        ("{{ x | safe }}", "there is no filter 'safe'"),
        ("\n{{ x", r"line 2: \{\{ isn't closed"),
        ("{% if x", r"line 1: \{% isn't closed"),
        ("{% raw %}x", "isn't closed"),
        ("\n{% if %}{% endif %}", "line 2: "),
        ("{% for x in y %}", "endfor"),
        ("{% if a %}" * 100, "."),
        ("x" * 300_000, "characters"),
    ],
)
def test_what_does_not_compile_is_told_with_its_line(source: str, mistake: str) -> None:
    with pytest.raises(LiquidMistake, match=mistake):
        LiquidText(source, "text")


@pytest.mark.parametrize(
    "source", ["{{" * 100_000, "{%\n" * 80_000, "{% raw %}" * 20_000, "{" * 200_000, "{{ '" * 50_000]
)
@pytest.mark.timeout(20)
def test_no_source_makes_compiling_slow(source: str) -> None:
    for text in (source, source + "}}", source + "%}"):
        try:
            compile_template(liquid(text), compile_plan)
        except TemplateProblem:
            continue


def test_every_text_that_does_not_compile_is_told_at_once() -> None:
    rule = DynamicContentRule(content_variants=(ContentVariant(content="{{ d"),))
    template = liquid(
        "{{ a",
        subject_template="{{ b",
        preheader="{{ c",
        dynamic_content_rules={"r": rule},
        a_b_test_variants=("{{ e",),
    )
    with pytest.raises(TemplateProblem) as raised:
        compile_template(template, compile_plan)
    paths = {flaw.path for flaw in raised.value.flaws}
    assert paths == {
        ("content_template",),
        ("subject_template",),
        ("preheader",),
        ("dynamic_content_rules", "r"),
        ("a_b_test_variants", 0),
    }


pieces = st.lists(
    st.sampled_from(
        ["{{", "}}", "{%", "%}", " a ", "|", "if", "endif", "for x in a", "endfor", "'", "\n", "<p>", "raw"]
    ),
    max_size=12,
).map("".join)


@given(pieces, pieces)
def test_no_source_raises_anything_but_a_problem(content: str, subject: str) -> None:
    try:
        result = rendered(liquid(content, subject_template=subject), a=[1, "<"])
    except TemplateProblem:
        return
    assert result.html is not None or result.failure is not None


# The whole message -----------------------------------------------------------------------------------------------


def test_the_text_is_made_from_the_html_with_its_liquid() -> None:
    content = """<h1>Hi {{ first_name }}</h1>
<ul>
{% for item in trigger.items %}
  <li><a href="{{ item.url | default: "https://shop.example/?a=1&b=2" }}">{{ item.name }}</a></li>
{% endfor %}
</ul>
{% if a < 3 %}<p>Few</p>{% else %}<p>Many</p>{% endif %}"""
    items = [{"name": "Soap & Co"}, {"name": "Towel", "url": "https://t.example"}]
    result = rendered(liquid(content), trigger={"items": items}, a=2)
    assert result.text == (
        "Hi there\n\n- Soap & Co (https://shop.example/?a=1&b=2)\n- Towel (https://t.example)\n\nFew"
    )
    assert result.html is not None
    assert "Soap &amp; Co" in result.html


def test_dynamic_content_stands_within_liquid_and_is_liquid_itself() -> None:
    rule = DynamicContentRule(
        content_variants=(
            ContentVariant(condition=Comparison(field="plan", operator="eq", value="pro"), content="<b>{{ v }}</b>"),
            ContentVariant(content="{% if v %}{{ v | upcase }}{% endif %}"),
        )
    )
    template = liquid(
        "{% if v %}<p>{dynamic_content_offer}</p>{% endif %}",
        subject_template="{dynamic_content_offer}!",
        dynamic_content_rules={"offer": rule},
    )
    assert rendered(template, "pro", v="<x>").html == "<p><b>&lt;x&gt;</b></p>"
    assert rendered(template, "free", v="<x>").subject == "<X>!"
    assert rendered(template, "free").html == ""


def test_a_variant_holds_no_other_and_not_itself() -> None:
    rule = DynamicContentRule(content_variants=(ContentVariant(content="[{{ tidings_dynamic_0 }}]"),))
    assert rendered(liquid("{dynamic_content_a}", dynamic_content_rules={"a": rule})).html == "[]"


def test_a_variant_that_cannot_be_rendered_fails_as_the_whole_does() -> None:
    rule = DynamicContentRule(content_variants=(ContentVariant(content="\n{{ 1 | divided_by: v }}"),))
    failure = rendered(liquid("{dynamic_content_a}", dynamic_content_rules={"a": rule}), v=0).failure
    assert failure is not None
    assert (failure.reason, failure.message) == ("template_error", "line 2: divided_by: can't divide by 0")


def test_other_channels_have_text_alone_unescaped_and_as_it_stands() -> None:
    template = liquid("<3 {{ v }}\n\n\n{{ v }} ", channel="sms", preheader="never")
    result = rendered(template, v="&")
    assert (result.html, result.text) == (None, "<3 &\n\n\n& ")


def test_a_template_may_have_its_own_text_and_answers_go_where_it_says() -> None:
    template = liquid("<p>a</p>", text_template="b {{ v }}", reply_to="{{ v }}")
    result = rendered(template, v="o@example.com, p@example.com")
    assert (result.text, result.reply_to) == ("b o@example.com, p@example.com", "o@example.com p@example.com")


def test_a_preheader_goes_behind_the_body_that_is_there_and_not_one_that_liquid_names() -> None:
    result = rendered(liquid('{% assign b = "<body>" %}<html><body class="x">y</body></html>', preheader="Psst"))
    assert result.html is not None
    assert result.html.startswith('<html><body class="x"><div style="display:none')


# In a workflow ---------------------------------------------------------------------------------------------------


def journey(content: str, **rest: Json) -> Journey:
    template: dict[str, Json] = {"kind": "template", "id": "l", "engine": "liquid", "content_template": content, **rest}
    return Journey(workflow(mail(template="l")), template)


def test_a_message_sees_the_event_that_started_it_the_customer_and_the_time() -> None:
    content = (
        "{% for item in trigger.items %}{{ item.name }};{% endfor %}{{ trigger_total }} {{ trigger.type }} "
        "{{ attributes.plan }} {{ plan }} {{ email }} {{ total_purchases }} {{ 'now' | date: '%H:%M' }}"
    )
    one = journey(content)
    one.publish("customer_updated", attributes={"plan": "pro"}, preferences={"timezone": "Europe/Berlin"})
    one.publish("signup", total=5, items=[{"name": "a"}, {"name": "b"}])
    assert one.sends()[0].html == "a;b;5 signup pro pro ada@shop.example 0 10:00"


@pytest.mark.parametrize(
    ("content", "reason"),
    [("{{ trigger.n | divided_by: 0 }}", "template_error"), ("{% for i in (1..99999) %}{% endfor %}", "too_large")],
)
def test_a_message_that_cannot_be_rendered_is_suppressed_with_the_reason(content: str, reason: str) -> None:
    one = journey(content)
    one.publish("signup", n=1)
    [refused] = one.decisions("send_suppressed")
    assert refused.reason == reason
    assert refused.detail is not None
    assert refused.detail["template_id"] == "l"
    assert str(refused.detail["message"]).startswith("line 1: ")


def test_a_message_sees_the_preferences_as_well() -> None:
    template: dict[str, Json] = {
        "kind": "template",
        "id": "coloured",
        "engine": "liquid",
        "content_template": "{{ preferences.color }} {{ attributes.size }}",
    }
    journey = Journey(workflow(mail(template="coloured")), template)
    journey.publish("customer_updated", 0, preferences={"color": "red"}, attributes={"size": "M"})
    journey.publish("signup", 1)
    assert "red M" in str(journey.sends()[0].html)


@pytest.mark.parametrize("characters", [200_000, 399_000])
def test_a_message_of_many_plain_characters_is_sent_as_long_as_its_bytes_fit(characters: int) -> None:
    """HTML and text each have them."""
    template: dict[str, Json] = {"kind": "template", "id": "long", "content_template": "x" * characters}
    journey = Journey(workflow(mail(template="long")), template)
    journey.publish("signup")
    assert len(str(journey.sends()[0].text)) == characters


def test_a_message_that_kafka_would_not_take_is_suppressed() -> None:
    one = journey("{% for i in (1..25) %}{{ trigger.v }}{% endfor %}")
    one.publish("signup", v="x" * 20_000)
    [refused] = one.decisions("send_suppressed")
    assert refused.reason == "too_large"
    assert one.sends() == []
