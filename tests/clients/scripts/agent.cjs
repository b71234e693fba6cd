// An agent of few lines on the Node SDKs: asks, runs the shell commands that the model wants, prints its last words.
// Run as: node agent.cjs anthropic|chat|responses stream|whole PROMPT; NODE_PATH names the folder of the SDKs.
const { spawnSync } = require("node:child_process");

const schema = { type: "object", properties: { command: { type: "string" } }, required: ["command"] };
const shell = { name: "bash", description: "Runs a shell command.", parameters: schema };

function run({ command }) {
  const done = spawnSync("/bin/sh", ["-c", `{ ${command}\n} 2>&1`], { encoding: "utf8" });
  return `exit code ${done.status}: ${done.stdout}`;
}

async function anthropic(prompt, stream) {
  const { Anthropic } = require("@anthropic-ai/sdk");
  const client = new Anthropic();
  const tools = [{ name: shell.name, description: shell.description, input_schema: schema }];
  const messages = [{ role: "user", content: prompt }];
  for (;;) {
    const asked = { model: "claude-sonnet-5", max_tokens: 1000, tools, messages };
    const message = stream ? await client.messages.stream(asked).finalMessage() : await client.messages.create(asked);
    const calls = message.content.filter((block) => block.type === "tool_use");
    if (!calls.length) return message.content.map((block) => block.text ?? "").join("");
    const results = calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: run(call.input) }));
    messages.push({ role: "assistant", content: message.content }, { role: "user", content: results });
  }
}

async function chat(prompt, stream) {
  const { OpenAI } = require("openai");
  const client = new OpenAI();
  const tools = [{ type: "function", function: shell }];
  const messages = [{ role: "user", content: prompt }];
  for (;;) {
    const asked = { model: "gpt-5.5", tools, messages };
    const message = stream
      ? await client.chat.completions.stream(asked).finalMessage()
      : (await client.chat.completions.create(asked)).choices[0].message;
    if (!message.tool_calls?.length) return message.content;
    messages.push({ role: "assistant", content: message.content, tool_calls: message.tool_calls });
    for (const call of message.tool_calls) {
      const content = run(JSON.parse(call.function.arguments));
      messages.push({ role: "tool", tool_call_id: call.id, content });
    }
  }
}

async function responses(prompt, stream) {
  const { OpenAI } = require("openai");
  const client = new OpenAI();
  const tools = [{ type: "function", ...shell }];
  const input = [{ role: "user", content: prompt }];
  for (;;) {
    const asked = { model: "gpt-5.5", tools, input, store: false };
    const response = stream
      ? await client.responses.stream(asked).finalResponse()
      : await client.responses.create(asked);
    const calls = response.output.filter((item) => item.type === "function_call");
    if (!calls.length) return response.output_text ?? textOf(response.output);
    input.push(...response.output.map(({ parsed_arguments, ...item }) => item));
    for (const call of calls) {
      input.push({ type: "function_call_output", call_id: call.call_id, output: run(JSON.parse(call.arguments)) });
    }
  }
}

function textOf(output) {
  return output.flatMap((item) => item.content ?? []).map((part) => part.text ?? "").join("");
}

const [wire, transfer, prompt] = process.argv.slice(2);
({ anthropic, chat, responses })[wire](prompt, transfer === "stream").then(console.log);
