"""llama-index's metadata filters as conditions of a shelf. Pure; what can't be translated is refused, never ignored."""

from collections.abc import Sequence

from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from retrieval.errors import BadInput
from retrieval.library import stable_id
from retrieval.store.shelf import Term, Where

REF = "ref_doc_id"


def point_of(node_id: str) -> str:
    """The engine's ids are UUIDs, a node's may be any string."""
    return stable_id("node", node_id)


def key_of(name: str) -> str:
    if '"' in name:
        raise BadInput("A metadata key with a quotation mark in it can't be filtered by.")
    return f'meta."{name}"'


def where_of(
    filters: MetadataFilters | None, node_ids: Sequence[str] | None = None, doc_ids: Sequence[str] | None = None
) -> Where:
    must = [_filters(filters)] if filters and filters.filters else []
    if doc_ids:
        must.append(Where(must=(Term(key_of(REF), "in", list(doc_ids)),)))
    return Where(must=tuple(must), ids=None if node_ids is None else tuple(map(point_of, node_ids)))


def _filters(filters: MetadataFilters) -> Where:
    parts = tuple(_filters(part) if isinstance(part, MetadataFilters) else _one(part) for part in filters.filters)
    match filters.condition:
        case FilterCondition.OR:
            return Where(should=parts)
        case FilterCondition.NOT:
            return Where(must_not=parts)
    return Where(must=parts)


def _one(part: MetadataFilter) -> Where:
    key, value, operator = key_of(part.key), part.value, part.operator
    many = value if isinstance(value, list) else [value]
    if operator is FilterOperator.IS_EMPTY:
        return Where(must=(Term(key, "empty"),))
    if any(one is None for one in many):
        raise BadInput(f"A filter with {operator.value} needs a value; use is_empty to ask for what has none.")
    match operator:
        case FilterOperator.EQ | FilterOperator.CONTAINS if not isinstance(value, list):
            return Where(must=(Term(key, "==", value),))
        case FilterOperator.NE if not isinstance(value, list):
            return Where(must_not=(Term(key, "==", value),))
        case FilterOperator.IN | FilterOperator.ANY:
            return Where(must=(Term(key, "in", many),))
        case FilterOperator.NIN:
            return Where(must_not=(Term(key, "in", many),))
        case FilterOperator.ALL:
            return Where(must=tuple(Term(key, "==", one) for one in many))
        case FilterOperator.TEXT_MATCH if isinstance(value, str):
            return Where(must=(Term(key, "substring", value),))
        case FilterOperator.GT | FilterOperator.GTE | FilterOperator.LT | FilterOperator.LTE:
            if isinstance(value, int | float):
                return Where(must=(Term(key, operator.value, value),))
    raise BadInput(f"A filter with {operator.value} on this type of value is not supported.")
