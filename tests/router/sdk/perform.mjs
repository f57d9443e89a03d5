// Does with the Node SDK what behaviours call for: reads one JSON object a line ({url, call}) from standard input
// and writes the outcome of each as a line of JSON, in the form that python_client.py has.
// Usage: node perform.mjs FOLDER, where FOLDER has a node_modules with the package `openai`.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { join } from "node:path";

const require = createRequire(join(process.argv[2], "package.json"));
const { OpenAI, OpenAIError } = require("openai");

// Where the same exception has another name than in Python, whose names the behaviours use.
const PYTHON_NAMES = { APIConnectionTimeoutError: "APITimeoutError" };

function described(error) {
  const status = error.status ?? null;
  let name = PYTHON_NAMES[error.constructor.name] ?? error.constructor.name;
  // For a status without a class of its own, Node has the class that Python keeps for errors without a status.
  if (name === "APIError" && status !== null) name = "APIStatusError";
  const { code = null, type = null, param = null, requestID = null } = error;
  return { class: name, status, requestId: requestID, code: code ?? null, type: type ?? null, param: param ?? null };
}

async function ask(client, call, signal, outcome) {
  const path = call.api.split(".");
  const method = path.pop();
  const resource = path.reduce((found, name) => found[name], client);
  const options = { headers: call.headers, signal };
  const given = Object.keys(call.arguments).length ? [call.arguments] : [];
  const answer = await resource[method](...call.positional, ...given, options);
  if (!call.arguments.stream) {
    outcome.value = JSON.parse(JSON.stringify(answer.data ? { ...answer, data: answer.data } : answer));
    outcome.requestId = answer._request_id ?? null;
    return;
  }
  outcome.items = [];
  for await (const part of answer) {
    outcome.items.push(part);
    if (outcome.items.length === call.leave_after) break;
  }
}

async function perform({ url, call }) {
  const outcome = {};
  const client = new OpenAI({
    baseURL: url,
    apiKey: call.key,
    timeout: call.timeout * 1000,
    maxRetries: call.retries,
  });
  const leaving = new AbortController();
  if (call.cancel_after) setTimeout(() => leaving.abort(), call.cancel_after * 1000);
  try {
    await ask(client, call, leaving.signal, outcome);
  } catch (error) {
    // An answer cut short is the one failure that the SDK passes on as Node's fetch words it.
    const cut = error instanceof TypeError && error.message === "terminated";
    if (!(error instanceof OpenAIError) && !cut) throw error;
    if (cut) outcome.error = { class: "APIConnectionError", status: null, code: null, type: null };
    else if (leaving.signal.aborted) outcome.cancelled = true;
    else outcome.error = described(error);
  }
  return outcome;
}

for await (const line of createInterface({ input: process.stdin })) {
  let told;
  try {
    told = await perform(JSON.parse(line));
  } catch (error) {
    told = { broke: `${error.stack}` };
  }
  process.stdout.write(JSON.stringify(told) + "\n");
}
