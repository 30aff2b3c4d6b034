"""Reading policy documents: what IAM takes, what it refuses, and where the error says it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from narrowgate.access.iam import PolicyError, evaluate, parse
from narrowgate.errors import NarrowgateError

GOOD: dict[str, Any] = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def document(**statement: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"Version": "2012-10-17", "Statement": [{**GOOD, **statement}]}


@pytest.mark.parametrize(
    "lenient",
    [
        {"Statement": GOOD},
        {"Statement": [GOOD]},
        {"Version": "2008-10-17", "Id": "some id", "Statement": [GOOD]},
        document(Sid="With a name", Action=["s3:GetObject"], Resource=["*"]),
        document(Condition={}),
        document(Condition={"stringequalsifexists": {"aws:username": []}}),
        document(Condition={"forallvalues:StringLike": {"aws:TagKeys": ["a*", "b"]}}),
        document(Condition={"Bool": {"aws:SecureTransport": True}, "NumericLessThan": {"s3:max-keys": 10}}),
        document(Principal="*"),
        {"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}},
    ],
)
def test_what_iam_takes_is_taken_as_a_dict_and_as_text(lenient: dict[str, Any]) -> None:
    assert parse(lenient) == parse(json.dumps(lenient))
    assert len(parse(lenient).statements) == 1


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        ({}, "document"),
        ({"Statement": "x"}, "Statement"),
        ({"Statement": ["x"]}, "Statement[0]"),
        ({"Version": "2012-10-18", "Statement": []}, "Version"),
        ({"Statement": [], "Comment": "x"}, "document"),
        (document(Effect="allow"), "Statement[0].Effect"),
        (document(action="x"), "Statement[0]"),
        (document(NotAction="s3:*"), "Statement[0]"),
        (document(Action="GetObject"), "Statement[0].Action"),
        (document(Action=["s3:*", 3]), "Statement[0].Action[1]"),
        (document(Action={"a": "b"}), "Statement[0].Action"),
        (document(Resource=""), "Statement[0].Resource"),
        (document(Sid=3), "Statement[0].Sid"),
        (document(Principal="arn:aws:iam::123456789012:root"), "Statement[0].Principal"),
        (document(Principal={"Person": "x"}), "Statement[0].Principal"),
        (document(Principal={"AWS": []}), "Statement[0].Principal"),
        (document(Condition=[]), "Statement[0].Condition"),
        (document(Condition={"StringMatches": {"a": "b"}}), "Statement[0].Condition.StringMatches"),
        (document(Condition={"NullIfExists": {"a": "true"}}), "Statement[0].Condition.NullIfExists"),
        (document(Condition={"ForSomeValue:Bool": {"a": "true"}}), "Statement[0].Condition.ForSomeValue:Bool"),
        (document(Condition={"Null": {"a": "yes"}}), "Statement[0].Condition.Null.a"),
        (document(Condition={"StringEquals": "a"}), "Statement[0].Condition.StringEquals"),
        (document(Condition={"StringEquals": {"a": {"b": "c"}}}), "Statement[0].Condition.StringEquals.a"),
        (document(Condition={"StringEquals": {"a": None}}), "Statement[0].Condition.StringEquals.a"),
        (document(Condition={"IpAddress": {"a:Ip": "10.0.0.0/40"}}), "Statement[0].Condition.IpAddress.a:Ip"),
        (document(Condition={"NumericEquals": {"a": "many"}}), "Statement[0].Condition.NumericEquals.a"),
        (document(Condition={"DateLessThan": {"a": "soon"}}), "Statement[0].Condition.DateLessThan.a"),
        (document(Resource="arn:aws:s3:::a/${aws:username, default}"), "Statement[0].Resource"),
        (document(Resource="arn:aws:s3:::\U0010ff00"), "Statement[0].Resource"),
        ({"Statement": {"Effect": "Allow", "Action": "s3:*"}}, "Statement"),
        ({"Statement": {"Effect": "Allow", "Resource": "*"}}, "Statement"),
        ({"Statement": {"Effect": "Allow", "NotAction": [], "Resource": "*"}}, "Statement.NotAction"),
    ],
)  # fmt: skip
def test_a_malformed_document_is_refused_with_its_place(broken: dict[str, Any], place: str) -> None:
    with pytest.raises(PolicyError) as error:
        parse(broken)
    assert error.value.place == place
    assert str(error.value).startswith(place)
    assert isinstance(error.value, NarrowgateError)


def test_a_key_that_stands_twice_is_refused() -> None:
    twice = '{"Statement": {"Effect": "Deny", "Effect": "Allow", "Action": "*", "Resource": "*"}}'
    with pytest.raises(PolicyError, match="'Effect' stands twice"):
        parse(twice)


def test_text_that_is_no_json_is_refused_with_line_and_column() -> None:
    with pytest.raises(PolicyError, match=r"^line 2 column 14: no JSON"):
        parse('{\n"Statement": oops}')


@pytest.mark.parametrize("text", ["[]", '"s"', "NaN", '{"Statement": NaN}', "[" * 100_000])
def test_odd_json_is_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        parse(text)


def test_a_wrongly_cased_element_gets_a_hint() -> None:
    with pytest.raises(PolicyError) as error:
        parse({"statement": []})
    assert error.value.hint == "Write 'Statement'."


def test_an_empty_list_of_statements_allows_nothing() -> None:
    assert evaluate({"Statement": []}, "s3:GetObject", "*").reason == "ImplicitlyDenied"
