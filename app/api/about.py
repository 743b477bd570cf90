"""``GET /about/recommendations``: what lists are made from (Digital Services Act, Art. 27)."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.api.bodies import BodyRoute
from app.api.state import StateDep

router = APIRouter(tags=["about"], route_class=BodyRoute, prefix="/about")


class ParameterOut(BaseModel):
    """Something that decides what is recommended."""

    name: str = Field(description="Stable.")
    meaning: str = Field(description="What it is, and why it counts.")
    is_personal: bool = Field(description="Whether it is about the person who is recommended to.")


class ChoiceOut(BaseModel):
    """What a person can change."""

    name: str = Field(description="Stable.")
    how: str = Field(description="The call.")
    effect: str = Field(description="What it does to lists.")


class AboutOut(BaseModel):
    """The main parameters, most important first, and what a person can do about them."""

    text: str = Field(description="The same for people to read, such as in terms of use.")
    parameters: list[ParameterOut] = Field(description="Most important first.")
    choices: list[ChoiceOut] = Field(description="What a person can change.")


_PARAMETERS: Final = (
    ("history", "items that you liked, bought, viewed or rated well; newer ones count more", True),
    ("neighbours", "which items are liked together, counted over all users", False),
    ("aversions", "items that you disliked or rated badly: what is like them comes later", True),
    ("words", "notes and topics in your own words, compared by meaning and by words", True),
    ("content", "titles and descriptions of items, compared by meaning", False),
    ("popularity", "how many have turned to an item, where nothing else is known", False),
)
_MODEL: Final = (
    "language_model",
    "a language model that was not trained on any user puts the best candidates in order",
    True,
)
_CHOICES: Final = (
    ("not_personalised", "personalise=false with any list", "a list that rests on nothing of you"),
    ("objection", "PUT /users/{user}/objection", "no profile is made, in any list of anybody"),
    ("restriction", "PUT /users/{user}/restriction", "your data stay, and count in no list"),
    ("topic", "POST /forget with the scope topic", "a topic is neither kept nor recommended"),
    ("dislike", "an interaction of the kind dislike", "the item and what is like it come later"),
    ("forget", "POST /forget", "nothing of what is forgotten counts, from that moment on"),
)


@router.get("/recommendations")
def about_recommendations(state: StateDep) -> AboutOut:
    """Tell the main parameters of recommending, and why they count, as text and as data.

    Open to everybody. The operator's filters and boosts by preset are not in it: they are the
    operator's to tell.
    """
    has_model = state.container.reading.ranker is not None
    told = (*_PARAMETERS, *((_MODEL,) if has_model else ()))
    parameters = [
        ParameterOut(name=name, meaning=meaning, is_personal=is_personal)
        for name, meaning, is_personal in told
    ]
    choices = [ChoiceOut(name=name, how=how, effect=effect) for name, how, effect in _CHOICES]
    because = "; ".join(one.meaning for one in parameters)
    effects = "; ".join(f"{one.name.replace('_', ' ')}: {one.effect}" for one in choices)
    text = f"Lists are made from, most important first: {because}. You can choose: {effects}."
    return AboutOut(text=text, parameters=parameters, choices=choices)
