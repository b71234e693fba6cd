"""JSON text compressed: by zlib, with a dictionary of what stands in every request and reply. Nothing here does I/O.

Most of what is stored is short, and says little that was not said in the messages before it: a dictionary of the
formats' own keys and of what clients always send makes it a sixth smaller. A stream of zlib names its dictionary by
its Adler-32, so that what an earlier Lockgate compressed without one is read alike.
"""

from __future__ import annotations

import zlib

PACKED_BYTES = 40
"""What is shorter hardly shrinks."""
PACK_LEVEL = 4
"""The time of 3, and 3% smaller; the usual 6 takes a sixth longer for the next 1%."""

# The most frequent comes last, as it costs the least there. It never changes: what was written is read with it.
DICTIONARY = (
    rb'{"type":"object","properties":{"file_path":{"type":"string","description":"The absolute path to the file"},'
    rb'"additionalProperties":false,"$schema":"http://json-schema.org/draft-07/schema#","required":["input_schema":{'
    rb'"parallel_tool_calls":true,"reasoning":{"effort":"medium","summary":"auto"},"store":false,'
    rb'"include":["reasoning.encrypted_content"],"prompt_cache_key":"'
    rb',"object":"response","created_at":,"status":"completed","output":null,"error":null,"incomplete_details":null,'
    rb'"instructions":null,"tool_choice":"auto",'
    rb'"chat.completion","choices":[{"index":0,"finish_reason":"stop","prompt_tokens":,"completion_tokens":,'
    rb'"total_tokens":"input_tokens_details":{"cached_tokens":0},"output_tokens_details":{"reasoning_tokens":0}'
    rb'{"type":"function_call","call_id":"call_","name":"arguments":"{\"type\":\"function_call_output\",\"output\":\"'
    rb'{"type":"reasoning","id":"rs_","summary":[],"encrypted_content":"'
    rb'"server_tool_use":null,"service_tier":"standard",'
    rb'"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},'
    rb'{"model":"claude-sonnet-4-5","messages":null,"system":null,"tools":null,"metadata":{"user_id":"{\"device_id\": '
    rb'\"","\"account_uuid\": \"","\"session_id\": \"","max_tokens":32000,"temperature":1,'
    rb'"thinking":{"type":"adaptive"},"output_config":{"effort":"medium"},'
    rb'"context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]},"stream":true}'
    rb'{"slots":[["system","list",3],["tools","list",25],["messages","list",1]],"cache":[[2,[],2,'
    rb'{"type":"ephemeral"}],[["content",0],3,{"type":"ephemeral"}]],"line":"x-anthropic-billing-header: cc_version=; '
    rb"cc_entrypoint=cli; cch="
    rb'{"id":"msg_01","type":"message","role":"assistant","model":"claude-","content":null,"stop_reason":"tool_use",'
    rb'"stop_sequence":null,"usage":{"input_tokens":,"cache_creation_input_tokens":,"cache_read_input_tokens":,'
    rb'"output_tokens":}}'
    rb" return None\n if not isinstance(\n\n def __init__(self, \n \n    "
    rb'{"type":"thinking","thinking":"","signature":"'
    rb'{"role":"user","content":[{"type":"text","text":"<system-reminder>\n'
    rb'{"role":"assistant","content":[{"type":"tool_use","id":"toolu_01","name":"Bash","input":{"command":"",'
    rb'"description":"'
    rb'{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_01","is_error":false,"content":"'
)


def pack(text: bytes) -> bytes:
    """The text compressed where that makes it smaller: JSON never begins as zlib does, with an x."""
    if len(text) < PACKED_BYTES:
        return text
    packer = zlib.compressobj(PACK_LEVEL, zdict=DICTIONARY)
    packed = packer.compress(text) + packer.flush()
    return packed if len(packed) < len(text) else text


def unpack(stored: bytes) -> bytes:
    """Raises zlib.error for what was damaged."""
    if stored[:1] != b"x":
        return stored
    unpacker = zlib.decompressobj(zdict=DICTIONARY)
    text = unpacker.decompress(stored)
    if not unpacker.eof or unpacker.unused_data:
        raise zlib.error("it was cut, or added to")
    return text
