"""Errors as a person sees them: who is not known is led to the log-in, all else is a page with a sentence."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from lockgate.admin.console.pages import page
from lockgate.admin.problems import Problem, problem_of
from lockgate.errors import Error

TITLES = {404: "Not found", 403: "Not allowed", 503: "Not available just now"}


def handle_problems(app: FastAPI) -> None:
    """As JSON for programs, and as a page for whoever asked for one."""

    async def answer(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
            return problem.response()
        if request.headers.get("hx-request"):
            return _in_place(request, problem)
        if problem.status_code == 401:
            there = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?then={quote(there)}", 303)
        title = TITLES.get(problem.status_code, "This cannot be done")
        return page(
            request, "problem.html", caller=None, status=problem.status_code, title=title, sentence=problem.message
        )

    for kind in (HTTPException, RequestValidationError, Error):
        app.add_exception_handler(kind, answer)


def _in_place(request: Request, problem: Problem) -> Response:
    """Where a page asked for a part of itself: a sentence in its place, and the log-in for the page as a whole."""
    if problem.status_code == 401:
        there = urlsplit(request.headers.get("hx-current-url", "")).path or "/"
        return Response(status_code=401, headers={"hx-redirect": f"/login?then={quote(there)}"})
    return page(request, "problem_part.html", caller=None, status=problem.status_code, sentence=problem.message)
