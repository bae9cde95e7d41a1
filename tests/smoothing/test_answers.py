"""Answers in a program: class names, plain values, short forms."""

import json
import pickle
from dataclasses import asdict, fields, replace
from typing import Any

import pytest
import torch
from conftest import HalfSpace

import rszoo
from rszoo.smoothing.answers import Classes

SHAPE = (1, 2, 2)
SURE, CLOSE = torch.full(SHAPE, 1.0), torch.full(SHAPE, 0.4)  # w.x is 1 and b, the boundary


@pytest.fixture
def classifier(half_space: HalfSpace) -> rszoo.SmoothedClassifier:
    options: dict[str, Any] = {"num_classes": 2, "input_shape": SHAPE, "noise": "float"}
    return rszoo.smooth(half_space, sigma=0.25, classes=["<no>", "yes"], **options)


def answers(classifier: rszoo.SmoothedClassifier, x: torch.Tensor) -> list[Any]:
    return [
        classifier.certify(x, n=500),
        classifier.certify(x, n=500, votes="soft"),
        classifier.predict(x, n=500),
    ]


def test_an_answer_names_its_class_and_an_abstention_none(
    classifier: rszoo.SmoothedClassifier,
) -> None:
    assert [answer.class_name for answer in answers(classifier, SURE)[::2]] == ["yes", "yes"]
    close = answers(classifier, CLOSE)
    assert [(answer.label, answer.class_name) for answer in close] == [(-1, None)] * 3
    batch = classifier.predict(torch.stack([SURE, CLOSE, torch.zeros(SHAPE)]), n=500)
    assert isinstance(batch, list)
    assert [answer.class_name for answer in batch] == ["yes", None, "<no>"]


def test_the_label_of_an_abstention_is_no_class(classifier: rszoo.SmoothedClassifier) -> None:
    certificate = classifier.certify(CLOSE, n=500)
    assert isinstance(certificate, rszoo.Certificate)
    with pytest.raises(
        IndexError, match=r"Expected a label from 0 to 1, got -1; check `abstained`"
    ):
        classifier.classes[certificate.label]
    with pytest.raises(IndexError, match="Expected a label from 0 to 1, got 2"):
        classifier.classes[2]
    with pytest.raises(IndexError, match="got -1"):
        classifier.classes[torch.tensor(-1)]


def test_classes_are_a_tuple_otherwise() -> None:
    classes = Classes(["a", "b", "c"])
    assert classes == ("a", "b", "c")
    assert (classes[0], classes[1:], classes.index("c"), list(classes)) == (
        "a",
        ("b", "c"),
        2,
        ["a", "b", "c"],
    )
    again = pickle.loads(pickle.dumps(classes))
    assert (type(again), again) == (Classes, classes)


def test_answers_are_plain_values_for_json(classifier: rszoo.SmoothedClassifier) -> None:
    for answer in (*answers(classifier, SURE), *answers(classifier, CLOSE)):
        values = answer.to_dict()
        assert json.loads(json.dumps(values, allow_nan=False)) == values
        assert {field.name for field in fields(answer)} <= values.keys()
        assert list(values)[:2] == ["label", "class_name"]
        if isinstance(answer, rszoo.Prediction):
            assert "implied_linf" not in values
        else:
            assert values["implied_linf"] == answer.implied_linf
    unknown = replace(classifier.certify(SURE, n=500), values=0)  # type: ignore[type-var]
    assert unknown.to_dict()["implied_linf"] is None


def test_answers_are_rows_of_a_table(classifier: rszoo.SmoothedClassifier) -> None:
    pandas = pytest.importorskip("pandas")
    certificates = classifier.certify(torch.stack([SURE, CLOSE]), n=500)
    assert isinstance(certificates, list)
    plain = pandas.DataFrame([certificate.to_dict() for certificate in certificates])
    direct = pandas.DataFrame(certificates)
    for table in (plain, direct):
        assert table["label"].tolist() == [1, -1]
        assert table["class_name"][0] == "yes"
        assert table["radius"].tolist() == [certificate.radius for certificate in certificates]
    assert plain["implied_linf"][0] == certificates[0].implied_linf


def test_answers_are_dataclasses_with_the_class_name_last(
    classifier: rszoo.SmoothedClassifier,
) -> None:
    for answer in answers(classifier, SURE):
        assert list(asdict(answer))[-1] == "class_name"
        assert answer == replace(answer, class_name=None)  # what was voted is the answer


def test_the_short_form_fits_a_line_and_never_claims_more(
    classifier: rszoo.SmoothedClassifier,
) -> None:
    certificate, soft, prediction = answers(classifier, SURE)
    exact = replace(certificate, radius=0.12349, p_lower=0.98769)
    assert repr(exact) == (
        "Certificate(label=1, class_name='yes', radius=0.1234, selected=1, p_lower=0.9876, n=500, "
        "alpha=0.001, sigma=0.25)"
    )
    assert "upper=0.5001" in repr(replace(soft, upper=0.50001))
    assert repr(prediction).startswith("Prediction(label=1, class_name='yes', p_value=")
    abstained = repr(answers(classifier, CLOSE)[0])
    assert abstained.startswith("Certificate(label=ABSTAIN, selected=")
    assert "radius" not in abstained
    assert all(len(repr(answer)) <= 130 for answer in answers(classifier, SURE))


def test_a_notebook_shows_a_table_of_escaped_text(classifier: rszoo.SmoothedClassifier) -> None:
    prediction = classifier.predict(torch.zeros(SHAPE), n=500)
    assert isinstance(prediction, rszoo.Prediction)
    html = prediction._repr_html_()
    assert html.startswith("<table><tr>")
    assert "&lt;no&gt;" in html
    assert "<no>" not in html
