"""Price reports over the API: accuracy with its refund list, holds, offers that are none, a three-way comparison."""

from collections.abc import Mapping
from datetime import date

from starlette.requests import Request
from starlette.responses import Response

from edge.limits import COMPARISON_NIGHTS_MAX
from edge.pos.app import Handler, json_response
from edge.pos.problems import ProblemAnswer
from edge.prices.comparison import Comparer, NightlyComparison
from edge.prices.reports import PriceReports


def report_handlers(reports: PriceReports, comparer: Comparer, nightly: NightlyComparison) -> Mapping[str, Handler]:
    """The handlers of reports, by the names in `edge.pos.access.RULES`."""

    async def accuracy(request: Request) -> Response:
        from_day, to_day = (_day(request, name) for name in ("from", "to"))
        return json_response(await reports.accuracy(from_day, to_day))

    async def holds(_request: Request) -> Response:
        return json_response(reports.holds())

    async def not_announced(_request: Request) -> Response:
        return json_response(reports.not_announced())

    async def comparison(_request: Request) -> Response:
        return json_response(await comparer.compare())

    async def comparisons(_request: Request) -> Response:
        return json_response(nightly.nights(COMPARISON_NIGHTS_MAX))

    return {"report_accuracy": accuracy, "report_holds": holds, "report_not_announced": not_announced,
            "report_comparison": comparison, "report_comparisons": comparisons}


def _day(request: Request, name: str) -> str:
    text = request.query_params.get(name, "")
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise ProblemAnswer(400, "malformed", f"`{name}` is a date like 2026-11-22", recorded=False)
