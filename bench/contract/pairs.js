// Random schemas and instances, seeded, with what ajv says of them:
// node pairs.js FOLDER MODULES COUNT SEED writes FOLDER/pairs (two lines a pair) and FOLDER/ajv.
"use strict";
const fs = require("fs");
const path = require("path");
const [folder, modules, countText, seedText] = process.argv.slice(2);
const load = (name) => require(require.resolve(name, { paths: [modules] }));
const Ajv7 = load("ajv").default;
const Ajv2019 = load("ajv/dist/2019").default;
const Ajv2020 = load("ajv/dist/2020").default;
const addFormats = load("ajv-formats").default;
const INSTANCES = 40; // of a schema: ajv takes long to compile one

let state = BigInt(seedText);
function random() {
  // xorshift64*
  state ^= state >> 12n;
  state ^= (state << 25n) & 0xffffffffffffffffn;
  state ^= state >> 27n;
  return Number((state * 2685821657736338717n) & 0xffffffffn) / 4294967296;
}
const below = (n) => Math.floor(random() * n);
const chance = (p) => random() < p;
const pick = (list) => list[below(list.length)];
const some = (list, p) => list.filter(() => chance(p));

const names = ["a", "b", "c", "foo", "bar", "x-1", "é", "a/b", "long-property-name", ""];
const strings = ["", "a", "ab", "abc", "foo", "bar", "12", "é😀", "2024-02-29", "2023-02-29", "127.0.0.1",
  "1.2.3.256", "a@b.test", "AB-12", "x".repeat(20), "line\nbreak", "2020-01-01T00:00:00Z"];
const numbers = [0, 1, -1, 2, 3, 4, 5, 10, 1.5, 2.25, -0.5, 100, 1e3, 12345678901, 0.1, 0.3, 1e-3];
const patterns = ["^a", "b$", "^[a-z]+$", "^\\d+$", "[^a]", "^(foo|bar)$", "\\s", "^.{2,3}$", "^\\w*$", "é", "^x-"];
const formats = ["date", "ipv4", "email", "date-time", "uuid"];
const types = ["null", "boolean", "integer", "number", "string", "array", "object"];

function value(depth) {
  const kind = below(depth > 0 ? 8 : 6);
  if (kind === 0) return null;
  if (kind === 1) return chance(0.5);
  if (kind <= 3) return pick(numbers);
  if (kind <= 5) return pick(strings);
  if (kind === 6) return Array.from({ length: below(4) }, () => value(depth - 1));
  const object = {};
  for (let i = below(4); i > 0; i--) object[pick(names)] = value(depth - 1);
  return object;
}

// Keywords for one schema; `d` is what the dialect has.
function schema(depth, d) {
  if (chance(0.06)) return chance(0.75);
  const s = {};
  const sub = () => schema(depth - 1, d);
  const map = (keys) => Object.fromEntries(keys.map((k) => [k, sub()]));
  const put = (p, name, make) => {
    if (chance(p)) s[name] = make();
  };
  const about = chance(0.8) ? pick(types) : null;
  if (about) s.type = chance(0.85) ? about : [...new Set([about, pick(types)])];
  const is = (...list) => !about || list.includes(about);
  put(0.08, "enum", () => [...new Set([value(1), value(1), value(0)].map((v) => JSON.stringify(v)))].map((t) => JSON.parse(t)));
  put(0.05, "const", () => value(1));
  if (is("integer", "number")) {
    put(0.3, "minimum", () => pick(numbers));
    put(0.3, "maximum", () => pick(numbers));
    put(0.1, "exclusiveMinimum", () => pick(numbers));
    put(0.1, "exclusiveMaximum", () => pick(numbers));
    put(0.15, "multipleOf", () => pick([1, 2, 3, 5, 0.5, 0.25, 0.1, 0.01]));
  }
  if (is("string")) {
    put(0.25, "minLength", () => below(4));
    put(0.25, "maxLength", () => below(6));
    put(0.25, "pattern", () => pick(patterns));
    put(0.1, "format", () => pick(formats));
  }
  if (depth <= 0) return s;
  if (is("object")) {
    put(0.7, "properties", () => map(some(names, 0.3)));
    put(0.4, "required", () => some(names, 0.15));
    put(0.3, "additionalProperties", sub);
    put(0.2, "patternProperties", () => map(some(patterns, 0.15)));
    put(0.1, "propertyNames", sub);
    put(0.1, "minProperties", () => below(3));
    put(0.1, "maxProperties", () => below(4));
    if (d.since2019) {
      put(0.1, "dependentRequired", () => ({ [pick(names)]: some(names, 0.2) }));
      put(0.1, "dependentSchemas", () => map(some(names, 0.15)));
      put(0.15, "unevaluatedProperties", sub);
    } else {
      put(0.1, "dependencies", () => ({ [pick(names)]: chance(0.5) ? some(names, 0.2) : sub() }));
    }
  }
  if (is("array")) {
    const list = () => [sub(), sub()].slice(0, 1 + below(2));
    if (d.draft === 2020) {
      put(0.3, "prefixItems", list);
      put(0.4, "items", sub);
    } else {
      put(0.6, "items", () => (chance(0.4) ? list() : sub()));
      put(0.2, "additionalItems", sub);
    }
    put(0.2, "contains", sub);
    put(0.1, "minItems", () => below(3));
    put(0.1, "maxItems", () => below(4));
    put(0.2, "uniqueItems", () => chance(0.8));
    if (d.since2019) {
      put(0.1, "minContains", () => below(3));
      put(0.1, "maxContains", () => 1 + below(3));
      put(0.15, "unevaluatedItems", sub);
    }
  }
  const branches = () => Array.from({ length: 1 + below(3) }, sub);
  put(0.15, "allOf", branches);
  put(0.15, "anyOf", branches);
  put(0.12, "oneOf", branches);
  put(0.08, "not", sub);
  if (chance(0.1)) {
    s.if = sub();
    put(0.8, "then", sub);
    put(0.6, "else", sub);
  }
  // Beside other keywords only where those still count.
  if (d.refs && chance(0.12)) {
    if (!d.since2019) return { $ref: "#/$defs/leaf" };
    s.$ref = "#/$defs/leaf";
  }
  return s;
}

// An instance that has a chance to be valid.
function towards(s, depth) {
  if (typeof s === "boolean" || chance(0.12)) return value(depth);
  if (s.const !== undefined && chance(0.8)) return s.const;
  if (s.enum && s.enum.length && chance(0.8)) return pick(s.enum);
  const branch = [...(s.allOf || []), ...(s.anyOf || []), ...(s.oneOf || [])];
  let type = Array.isArray(s.type) ? pick(s.type) : s.type;
  if (!type && branch.length) return towards(pick(branch), depth);
  type = type || pick(types);
  switch (type) {
    case "null": return null;
    case "boolean": return chance(0.5);
    case "integer": return pick(numbers.filter(Number.isInteger));
    case "number": return chance(0.5) && s.minimum !== undefined ? s.minimum : pick(numbers);
    case "string": return pick(strings);
    case "array": {
      const prefix = s.prefixItems || (Array.isArray(s.items) ? s.items : []);
      const rest = Array.isArray(s.items) ? s.additionalItems : s.items;
      return Array.from({ length: below(4) }, (_, i) =>
        depth > 0 ? towards(prefix[i] ?? rest ?? true, depth - 1) : pick(numbers));
    }
    default: {
      const object = {};
      const known = Object.keys(s.properties || {});
      for (const name of [...some(known, 0.6), ...(s.required || []), ...(chance(0.3) ? [pick(names)] : [])])
        object[name] = depth > 0 ? towards((s.properties || {})[name] ?? true, depth - 1) : pick(numbers);
      return object;
    }
  }
}

const dialects = [
  { draft: 2020, since2019: true, uri: "https://json-schema.org/draft/2020-12/schema", ajv: Ajv2020, share: 0.5 },
  { draft: 2019, since2019: true, uri: "https://json-schema.org/draft/2019-09/schema", ajv: Ajv2019, share: 0.75 },
  { draft: 7, since2019: false, uri: "http://json-schema.org/draft-07/schema#", ajv: Ajv7, share: 1 },
];

function ask(validate, instance) {
  try {
    return validate(JSON.parse(instance)) ? "V" : "I";
  } catch (e) {
    return `T ${String(e.message).split("\n")[0]}`; // what ajv generated does not run
  }
}

// With allErrors ajv goes on after the first problem, which must not change the answer.
function verdict(validators, instance) {
  const [first, all] = validators.map((validate) => ask(validate, instance));
  return first[0] === all[0] ? first : `${first} allErrors ${all[0]}`;
}

function compile(d, text) {
  return [false, true].map((allErrors) => {
    const ajv = new d.ajv({ strict: false, allErrors, logger: false });
    addFormats(ajv);
    return ajv.compile(JSON.parse(text));
  });
}

const pairs = [];
const answers = [];
const total = Number(countText);
while (answers.length < total) {
  const where = random();
  const d = dialects.find((one) => where < one.share);
  const root = schema(3, { ...d, refs: true });
  const whole = typeof root === "object" ? root : { allOf: [root] };
  if (whole.$ref === undefined) whole.$defs = { leaf: schema(1, { ...d, refs: false }) };
  else if (d.since2019) whole.$defs = { leaf: schema(1, { ...d, refs: false }) };
  else continue; // draft 7 would not see the definitions beside it
  const text = JSON.stringify({ $schema: d.uri, ...whole });
  let validators = null;
  let error = "";
  try {
    validators = compile(d, text);
  } catch (e) {
    error = String(e.message).split("\n")[0];
  }
  for (let i = 0; i < INSTANCES && answers.length < total; i++) {
    const instance = JSON.stringify(towards(whole, 3));
    pairs.push(text, instance);
    answers.push(validators ? verdict(validators, instance) : `E ${error}`);
  }
}
fs.writeFileSync(path.join(folder, "pairs"), pairs.join("\n") + "\n");
fs.writeFileSync(path.join(folder, "ajv"), answers.join("\n") + "\n");
