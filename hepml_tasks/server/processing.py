"""What a production server's engine posts: here the server counts and evaluates by itself.

So an engine that looks after this server too is told that all is done already.
"""

from __future__ import annotations

import math
import re
from xml.etree.ElementTree import Element

from fastapi import APIRouter, Response
from sqlalchemy import select

from hepml_tasks.errors import FormatError
from hepml_tasks.server.catalogue import LISTED
from hepml_tasks.server.context import Server, answer
from hepml_tasks.server.database import Dataset, Feature, Quality, Run, User
from hepml_tasks.server.errors import Refused
from hepml_tasks.server.forms import Form, PostedForm, PostingUser
from hepml_tasks.server.measures import known_measures
from hepml_tasks.server.xml import Field, check, children, node, parse, text

router = APIRouter()

_ENGINE = {"evaluation_engine_id": Field(), "error": Field(), "warning": Field()}
_FEATURES = {"did": Field(), **_ENGINE, "feature": Field(many=True, nested=True)}
_QUALITIES = {"did": Field(), **_ENGINE, "quality": Field(many=True, nested=True)}
_EVALUATIONS = {"run_id": Field(), **_ENGINE, "evaluation": Field(many=True, nested=True)}


def _read(
    form: Form,
    user: User,
    root: str,
    fields: dict[str, Field],
    *,
    missing: int,
    faulty: int,
) -> Element:
    if user.role != "administrator":
        raise Refused(106)
    try:
        description = parse(form.document("description", missing), root)
        check(description, fields)
    except FormatError as error:
        raise Refused(faulty, str(error)) from error
    return description


def _id(description: Element, name: str, code: int) -> int:
    value = (text(description, name) or "").strip()
    engine = (text(description, "evaluation_engine_id") or "").strip()
    if not re.fullmatch(r"[0-9]{1,9}", value) or not re.fullmatch(r"[0-9]{1,9}", engine):
        raise Refused(code)
    return int(value)


@router.post("/data/features")
def post_features(server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Take features that are those that the server has found itself; others come too late."""
    description = _read(form, user, "data_features", _FEATURES, missing=442, faulty=443)
    dataset_id = _id(description, "did", 446)
    posted = [
        tuple((text(feature, name) or "").strip() for name in ("index", "name", "data_type"))
        for feature in children(description, "feature")
    ]
    with server.database.read() as session:
        if session.get(Dataset, dataset_id) is None:
            raise Refused(444)
        columns = session.scalars(
            select(Feature).where(Feature.dataset_id == dataset_id).order_by(Feature.position)
        ).all()
    known = [(str(column.position), column.name, column.type) for column in columns]
    if posted != known:
        raise Refused(441, "this server reads the features of every dataset itself")
    return answer(node("data_features_upload", node("did", dataset_id)))


@router.post("/data/qualities")
def post_qualities(server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Take qualities; as in production, those that are known already stay as they are."""
    description = _read(form, user, "data_qualities", _QUALITIES, missing=382, faulty=383)
    dataset_id = _id(description, "did", 381)
    posted = {
        (text(quality, "name") or "").strip(): _number(text(quality, "value"))
        for quality in children(description, "quality")
    }
    with server.database.write() as session:
        if session.get(Dataset, dataset_id) is None:
            raise Refused(384)
        legal = {*LISTED, *session.scalars(select(Quality.name).distinct())}
        unknown = sorted(set(posted) - legal)
        if unknown:
            raise Refused(387, f"Data quality: {unknown[0]}. Legal: {', '.join(sorted(legal))}")
        if not posted:
            raise Refused(385)
        for name, value in posted.items():
            if value is not None and session.get(Quality, (dataset_id, name)) is None:
                session.add(Quality(dataset_id=dataset_id, name=name, value=value))
    return answer(node("data_qualities_upload", node("did", dataset_id)))


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "nan")
    except ValueError as error:
        raise Refused(383, f"element 'value' is {value!r}, not a number") from error
    return number if math.isfinite(number) else None


@router.post("/run/evaluate")
def post_evaluations(server: Server, form: PostedForm, user: PostingUser) -> Response:
    """Refuse evaluations from outside: this server's are its own."""
    description = _read(form, user, "run_evaluation", _EVALUATIONS, missing=422, faulty=423)
    run_id = _id(description, "run_id", 425)
    with server.database.read() as session:
        if session.get(Run, run_id) is None:
            raise Refused(425)
    names = {(text(e, "name") or "").strip() for e in children(description, "evaluation")}
    unknown = sorted(names - set(known_measures()))
    if unknown:
        raise Refused(428, f"unknown measure(s): {', '.join(unknown)}")
    raise Refused(426, "this server evaluates every run itself")
