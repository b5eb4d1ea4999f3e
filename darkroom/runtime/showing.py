"""What a job's workflow shows of its job to operators: in lists, in descriptions, to searches."""

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from darkroom.domain import names
from darkroom.domain.job import JobStart
from darkroom.domain.lifecycle import JobState
from darkroom.domain.stages import Stage, counted

SUMMARY_LENGTH = 200


def search_attributes(start: JobStart) -> TypedSearchAttributes:
    """Say by what a job can be found."""
    request = start.request
    words = {
        names.STATUS_ATTRIBUTE: JobState.PENDING,
        names.STAGE_ATTRIBUTE: Stage.ANALYZE,
        names.KIND_ATTRIBUTE: request.kind,
        names.OWNER_ATTRIBUTE: start.owner,
        names.PRIORITY_ATTRIBUTE: request.priority,
    }
    pairs: list[SearchAttributePair[str] | SearchAttributePair[list[str]]] = [
        SearchAttributePair(SearchAttributeKey.for_keyword(name), str(word))
        for name, word in words.items()
    ]
    if request.labels:
        labels = [f"{key}:{value}" for key, value in request.labels.items()]
        key = SearchAttributeKey.for_keyword_list(names.LABELS_ATTRIBUTE)
        pairs.append(SearchAttributePair(key, labels))
    return TypedSearchAttributes(pairs)


def summary(start: JobStart) -> str:
    """Say in one line what an operator's list shows."""
    request = start.request
    pictures = counted(request.picture_count, "picture")
    line = f"{pictures} for {start.owner}: {request.prompt.template}"
    return " ".join(line.split())[:SUMMARY_LENGTH]


def details(start: JobStart) -> str:
    """Say in Markdown what an operator wants to know at a glance."""
    request, image = start.request, start.request.image
    chosen = ", ".join(f"{one.name} ({len(one.options)})" for one in request.dimensions)
    lines = [
        f"**{counted(request.picture_count, 'picture')}**, {request.priority} priority",
        f"- owner: `{start.owner}`",
        f"- chosen from: {chosen or 'combinations the caller named'}",
        f"- drawn by: {image.provider} {image.model}, {image.size}, {image.aspect_ratio}",
        f"- estimated: {start.plans.estimated_micros / 1_000_000:.4f} USD",
        *(f"- label {key}: {value}" for key, value in request.labels.items()),
    ]
    return "\n".join(lines)
