"""Which session a request belongs to, and how sessions come of one another."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lockgate.history.asked import Marks
from lockgate.history.history import History
from lockgate.history.memory import Memory
from lockgate.records import SessionRow
from tests.history.talks import Client, assistant, call, result, user, works


@pytest.fixture
def history() -> History:
    return History()


def opened(*clients: Client) -> list[SessionRow]:
    return [record for client in clients for record in client.records if isinstance(record, SessionRow)]


async def test_two_agents_that_begin_alike_never_mix(history: History):
    one, two = Client(history, marker="a"), Client(history, marker="b")
    sessions: list[tuple[str, str]] = []
    for _ in range(4):
        sessions.append(((await one.say("go")).session_id, (await two.say("go")).session_id))
    assert len(set(sessions)) == 1
    assert sessions[0][0] != sessions[0][1]


async def test_agents_without_markers_are_told_apart_by_their_words_and_by_who_they_are(history: History):
    one, two = Client(history, address="10.0.0.1"), Client(history, address="10.0.0.2")
    three = Client(history, address="10.0.0.1")
    firsts = [(await each.say("go")).session_id for each in (one, two)]
    firsts.append((await three.say("go on")).session_id)
    assert len(set(firsts)) == 3
    assert [(await each.say("more")).session_id for each in (one, two, three)] == firsts
    assert [(await each.say("more")).session_id for each in (three, one, two)] == [firsts[2], *firsts[:2]]


async def test_twins_that_nothing_tells_apart_stay_two(history: History):
    one, two = Client(history), Client(history)
    firsts = {(await each.say("go")).session_id for each in (one, two)}
    assert len(firsts) == 2
    assert {(await each.say("more")).session_id for each in (one, two)} == firsts


async def test_requests_under_way_at_once_are_two_conversations(history: History):
    one, two = Client(history), Client(history)
    first, second = await one.asks(user("go")), await two.asks(user("go"))
    assert first.session_id != second.session_id


async def test_the_same_words_again_are_the_same_session(history: History):
    client = Client(history)
    client.messages = [user("go")]
    failed = await client.asks()
    history.ended(failed)  # an error of the provider's
    client.messages = []
    assert (await client.say("go")).session_id == failed.session_id
    client.messages.append(user("more"))
    failed = await client.asks()
    history.ended(failed)
    again = await client.asks()
    assert again.session_id == failed.session_id
    client.gets(again, assistant("Done."))
    assert (await client.asks()).session_id == failed.session_id  # the reply was lost on its way
    assert len(opened(client)) == 1


async def test_other_words_where_it_had_gone_on_are_a_fork(history: History):
    client = Client(history, marker="m")
    first, *_ = await works(client, "One thing.", "Two things.", "Three things.")
    before = copy.deepcopy(client.messages)
    client.messages = client.messages[:2]
    forked = await client.say("something else", reply="Another thing.")
    assert forked.session
    row = forked.session.row
    assert (row.relation, row.parent_id, row.marker) == ("forked_from", first.session_id, "m")
    assert forked.attested == "attested"
    assert (await client.say("more")).session_id == row.id
    client.messages = before
    assert (await client.say("more")).session_id == first.session_id
    assert [one.relation for one in opened(client)] == ["", "forked_from"]


async def test_words_changed_after_a_failure_are_no_fork(history: History):
    client = Client(history)
    first = await client.say("go")
    client.messages.append(user("do thsi"))
    history.ended(await client.asks())
    client.messages[-1] = user("do this")
    assert (await client.asks()).session_id == first.session_id


async def test_a_new_marker_over_a_kept_history_is_a_fork(history: History):
    client = Client(history, marker="a")
    first = await client.say("go")
    await client.say("more")
    client.marker = "b"
    forked = await client.say("in a copy")
    assert forked.session
    assert (forked.session.row.relation, forked.session.row.parent_id) == ("forked_from", first.session_id)
    assert (await client.say("more")).session_id == forked.session_id
    client.marker, client.messages = "a", client.messages[:4]
    assert (await client.say("in the original")).session_id == first.session_id


async def test_a_marker_is_not_trusted_against_the_history(history: History):
    one, two = Client(history, marker="a"), Client(history, marker="b")
    mine = (await one.say("go", reply="This one.")).session_id
    theirs = (await two.say("come", reply="That one.")).session_id
    one.messages = two.messages
    assert (await one.say("go on")).session_id == theirs != mine


@pytest.mark.parametrize("told", ["marker", "words"])
async def test_a_sub_agent_is_a_session_of_its_own(history: History, told: str):
    client = Client(history, marker="m" if told == "marker" else "")
    task = call("", name="Agent") | {"input": {"description": "survey", "prompt": "Your task: survey the shop."}}
    first = await client.say("go", reply=task)
    helper = Client(history, marker="m/1" if told == "marker" else "", parent=client.marker)
    sent = await helper.say("<system-reminder>x</system-reminder>", "Your task: survey the shop.")
    assert sent.session
    assert (sent.session.row.relation, sent.session.row.parent_id) == ("subagent_of", first.session_id)
    assert sent.session.row.title == "Your task: survey the shop."
    assert (await helper.say("more")).session_id == sent.session_id
    assert (await client.say(result(task))).session_id == first.session_id


async def test_compaction_begins_a_session_that_forks_and_goes_on(history: History):
    client = Client(history, marker="m")
    first, *_ = await works(client, "One thing.", "Two things.", "Three things.")
    client.messages = [user("the story so far"), *client.messages[5:]]
    short = await client.say("go on", reply="Four things.")
    assert short.session
    assert (short.session.row.relation, short.session.row.parent_id) == ("compacted_from", first.session_id)
    again = copy.deepcopy(client.messages)
    assert (await client.say("more")).session_id == short.session_id
    client.messages = again
    forked = await client.say("or else")
    assert forked.session
    assert (forked.session.row.relation, forked.session.row.parent_id) == ("forked_from", short.session_id)
    assert forked.attested == "compacted"


async def test_a_shortened_request_that_fails_is_tried_again_in_the_same_session(history: History):
    client = Client(history)
    await works(client, "One thing.", "Two things.", "Three things.")
    client.messages = [user("so far"), *client.messages[5:], user("go on")]
    failed = await client.asks()
    history.ended(failed)
    assert (await client.asks()).session_id == failed.session_id


@pytest.mark.parametrize(
    ("more", "marks"),
    [
        ({"max_tokens": 1}, None),
        ({}, Marks(session="m", purpose="side")),
    ],
)
async def test_side_calls_belong_to_a_session_and_name_and_fork_nothing(
    history: History, more: dict[str, Any], marks: Marks | None
):
    client = Client(history, marker="m")
    before = await client.asks(user("quota"), marks=marks, **more)
    history.ended(before)
    assert (before.purpose, before.session, before.records) == ("side", None, [])
    first = await client.say("go", reply="One thing.")
    assert first.session
    assert (first.session_id, first.session.row.title) == (before.session_id, "go")
    side = await client.asks(*client.messages, user("a title, please"), marks=marks, **more)
    client.gets(side, assistant("Going"))
    assert (side.purpose, side.session_id) == ("side", first.session_id)
    assert (await client.say("more")).session_id == first.session_id
    assert [row.title for row in opened(client)] == ["go"]


async def test_a_title_that_an_agent_asks_for_without_its_tools_is_a_side_call(history: History):
    client = Client(history, marker="m", agent="opencode")
    asked = await client.asks(user("Generate a title"))
    assert asked.purpose == ""  # of a request that declares tools
    document = {"model": "m", "messages": [user("Generate a title")]}
    from lockgate.history.asked import Asked, purpose_of

    bare = Asked(exchange_id="x", format="anthropic", document=document, agent="opencode", tools=False)
    assert purpose_of(bare) == "side"


async def test_the_title_is_what_a_person_said(history: History):
    client = Client(history)
    standing = await client.say("<system-reminder>Attribution</system-reminder>", "Fix  the\ncart, " + "please " * 30)
    assert standing.session
    assert standing.session.row.title.startswith("Fix the cart, please please")
    assert len(standing.session.row.title) == 80


async def test_examples_in_a_prompt_are_no_conversation(history: History):
    client = Client(history)
    examples = (user("2+2"), assistant("4"))
    asked = [await client.asks(*examples, user(f"{number}+1")) for number in range(3)]
    assert len({one.session_id for one in asked}) == 3
    assert {row.relation for row in opened(client)} == {""}


async def test_memory_is_bounded_and_what_is_forgotten_is_foreign():
    history = History(memory=Memory(nodes=10))
    client = Client(history)
    await works(client, *(f"Thing {number}." for number in range(30)))
    assert len(history.memory.spots) <= 10
    assert (await client.say("go on")).attested == "attested"
    assert (await client.asks(*client.messages[:5])).attested == "foreign"


async def test_responses_stand_on_the_reply_that_they_follow(history: History):
    import json

    from lockgate.history.asked import Asked
    from lockgate.records import new_id

    async def ask(**document: Any) -> Any:
        return await history.stand(Asked(exchange_id=new_id(), format="openai-responses", document=document))

    def reply(standing: Any, id: str, *output: Any) -> None:
        body = json.dumps({"id": id, "object": "response", "output": output}).encode()
        history.release(standing, body, comm_id=new_id(), complete=True, veto=False)
        history.ended(standing)

    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "One."}]}
    first = await ask(input="hi")
    reply(first, "resp_1", {"type": "reasoning", "summary": []}, message)
    second = await ask(input="more", previous_response_id="resp_1")
    assert (second.attested, second.session_id) == ("attested", first.session_id)
    reply(second, "resp_2", {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"})
    whole = [{"role": "user", "content": "hi"}, message, {"role": "user", "content": "more"}]
    called = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{ }", "id": "fc_1", "parsed": None}
    output = {"type": "function_call_output", "call_id": "c", "output": "ok"}
    third = await ask(input=[*whole, called, output])
    assert (third.attested, third.session_id) == ("attested", first.session_id)
    assert (await ask(input=[output], previous_response_id="resp_2")).session_id == first.session_id
    assert (await ask(input="more", previous_response_id="resp_9")).attested == "foreign"
    kept = await ask(input="more", conversation="conv_1")
    assert kept.attested == "unknown"  # the provider keeps what came before
    reply(kept, "resp_3", message)
    follows = await ask(input="and more", conversation={"id": "conv_1"})
    assert (follows.attested, follows.session_id) == ("unknown", kept.session_id)
    named = [{"type": "item_reference", "id": "rs_1"}, {"type": "item_reference", "id": "msg_1"}]
    assert (await ask(input=[*named, output])).attested == "unknown"


async def test_a_compaction_item_is_known(history: History):
    import json

    from lockgate.history.asked import Asked
    from lockgate.records import new_id

    async def ask(*input: Any) -> Any:
        return await history.stand(
            Asked(exchange_id=new_id(), format="openai-responses", document={"input": list(input)})
        )

    said = {"role": "user", "content": "hi"}
    item = {"type": "compaction", "encrypted_content": "sealed"}
    first = await ask(said, {"type": "compaction_trigger"})
    assert first.purpose == "compaction"
    first = await ask(said)
    body = json.dumps({"id": "r", "output": [{**item, "id": "cmp_1"}]}).encode()
    history.release(first, body, comm_id=new_id(), complete=True, veto=False)
    # What an item stands for passed here; the turns before it, of which there are none, are not missing.
    assert (await ask(said, item, {"role": "user", "content": "go on"})).attested == "attested"
    assert (await ask(said, {**item, "encrypted_content": "other"}, said)).attested in ("altered", "foreign")
