// docs/openapi.yaml is OpenAPI 3.1, docs/postback.schema.json is JSON Schema 2020-12, and the vectors agree with them: what
// verifies matches, and a postback rejected for its fields does not. Started by test/openapi/run.
import { readFileSync, readdirSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv2020 from "ajv/dist/2020.js";
import YAML from "yaml";

const root = new URL("../../", import.meta.url);
const read = (name) => readFileSync(new URL(name, root), "utf8");
let passed = 0, failed = 0;

function check(name, problem) {
  if (problem) console.log(`not ok - ${name}: ${problem}`);
  problem ? failed++ : passed++;
}

// --- The documents --------------------------------------------------------------------------------------------------------

const openapi = YAML.parse(read("docs/openapi.yaml"), { merge: true });
const schema = JSON.parse(read("docs/postback.schema.json"));
const validator = new Validator();
await validator.addSpecRef(schema, "postback.schema.json");
const { valid, errors } = await validator.validate(openapi);
check("openapi.yaml is OpenAPI", valid ? "" : JSON.stringify(errors));
check("openapi.yaml is OpenAPI 3.1", openapi.openapi.startsWith("3.1.") ? "" : openapi.openapi);

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false, validateFormats: false });
check("postback.schema.json is JSON Schema", ajv.validateSchema(schema) ? "" : ajv.errorsText());
const matchesJson = ajv.addSchema(schema, "postback.schema.json").getSchema("postback.schema.json");
const matchesForm = ajv.compile({ $id: "openapi.yaml", ...openapi.components.schemas.PostbackForm });
const matchesInfo = ajv.getSchema("postback.schema.json#/$defs/invoice_info");

// Each status and its words, as the extension answers them.
const answers = [...read("src/core/reason.hpp").matchAll(/"(\w+)", \{(\d+), "([^"]+)"\}\}/g)].map((m) => m.slice(1));
check("reason.hpp can be read", answers.length >= 10 ? "" : `${answers.length} answers`);
for (const [reason, status, words] of [...answers, ["the rest", "401", "Invalid token"]]) {
  for (const path of Object.keys(openapi.paths)) {
    const reference = openapi.paths[path].post.responses[status]?.$ref;
    const response = reference && openapi.components.responses[reference.split("/").at(-1)];
    const answered = response?.content["application/json"].schema.allOf[1].properties.error;
    const described = (answered?.enum ?? [answered?.const]).includes(words);
    check(`${path}: ${status} ${words} (${reason})`, described ? "" : "not described");
  }
}

// --- The vectors ----------------------------------------------------------------------------------------------------------

// What a schema cannot say: the spelling of a number (7.0 is no id, -1e-99999 is negative) and its digits by value.
const BEYOND_A_SCHEMA = new Set(JSON.parse(read("test/openapi/beyond_a_schema.json")));
const MATCHES = new Set([null, "unsupported_algorithm", "bad_signature", "invalid_claims", "token_not_yet_valid", "token_expired",
                         "invoice_mismatch"]);
const DOES_NOT = new Set(["missing_invoice_id", "invalid_field", "invalid_amount", "missing_token"]);

function formObject(text) {
  const object = {};
  // A question mark at the beginning would be left out.
  for (const [name, value] of new URLSearchParams("&" + text.trim()))
    object[name] = !Object.hasOwn(object, name) ? value : [object[name], value].flat();
  return object;
}

const needed = new Set();
for (const file of readdirSync(new URL("test/vectors", root)).filter((name) => name.endsWith(".jsonl")))
  for (const line of read(`test/vectors/${file}`).split("\n").filter(Boolean)) {
    const vector = JSON.parse(line);
    const { reason, error } = vector.expect;
    if (error || !(MATCHES.has(reason) || DOES_NOT.has(reason))) continue;
    const body = vector.body ?? Buffer.from(vector.body_b64, "base64").toString();
    const isJson = /json/i.test(vector.content_type ?? "") || (!vector.content_type?.trim() && body.trim().startsWith("{"));
    const matches = isJson ? matchesJson : matchesForm;
    const value = isJson ? JSON.parse(body) : formObject(body);
    const name = `${file}: ${vector.name}`;
    const surprise = matches(value) !== MATCHES.has(reason);
    if (surprise && BEYOND_A_SCHEMA.has(name)) needed.add(name);
    else if (!surprise) check(name);
    else check(name, `${reason ?? "verified"}, but ${matches.errors ? ajv.errorsText(matches.errors) : "it matches"}`);
    if (vector.name === "json_sample")
      check(`${name}: invoice_info`, matchesInfo(value.invoice_info) ? "" : ajv.errorsText(matchesInfo.errors));
  }
for (const name of BEYOND_A_SCHEMA) check(`exception: ${name}`, needed.has(name) ? "" : "no longer needed");

console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
