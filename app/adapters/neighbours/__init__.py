"""Collaborative filtering that forgets exactly: integer counts, and models derived from them."""

from app.adapters.neighbours.exact import ExactNeighbours
from app.adapters.neighbours.user_knn import UserKnn

__all__ = ["ExactNeighbours", "UserKnn"]
