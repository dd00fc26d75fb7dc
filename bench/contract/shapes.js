// Writes one schema for each of many shapes, with instances: node shapes.js FOLDER [SIZES]
"use strict";
const fs = require("fs");
const path = require("path");
const [folder, sizes = "200,10000,100000"] = process.argv.slice(2);
const D = "https://json-schema.org/draft/2020-12/schema";
const S = (o) => ({ $schema: D, ...o });
let seed = 12345;
const rnd = (n) => { seed = (Math.imul(seed, 1103515245) + 12345) >>> 0; return (seed >>> 8) % n; };
const hex = (n) => Array.from({ length: n }, () => "0123456789abcdef"[rnd(16)]).join("");
const uuid = () => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`;
const p2 = (n) => String(n).padStart(2, "0");
const date = () => `20${p2(rnd(30))}-${p2(1 + rnd(12))}-${p2(1 + rnd(28))}`;
const dt = () => `${date()}T${p2(rnd(24))}:${p2(rnd(60))}:${p2(rnd(60))}Z`;
const word = () => Array.from({ length: 3 + rnd(8) }, () => "abcdefghijklmnopqrstuvwxyz"[rnd(26)]).join("");
const arr = (items, extra = {}) => S({ type: "array", items, ...extra });
const strs = (schema, make) => [arr(schema), (i) => make(i)];
const props = (n, s) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`property${i}`, s]));

const many = Array.from({ length: 200 }, (_, i) => `VALUE_${i}_${(i * 7919) % 1000}`);
const nested = (d) => d ? { type: "object", properties: { name: { type: "string" }, child: nested(d - 1) }, required: ["name"] } : { type: "integer" };
const nestv = (d) => d ? { name: word(), child: nestv(d - 1) } : rnd(1000);

// A schema, what makes the i-th item, and what makes a document of items (otherwise an array).
const shapes = {
  deep: [arr(nested(20)), () => nestv(20)],
  recursive: [{ $schema: D, $ref: "#/$defs/n", $defs: { n: { type: "object", properties: { name: { type: "string" }, kids: { type: "array", items: { $ref: "#/$defs/n" } } }, required: ["name"] } } },
    () => ({ name: word(), kids: [{ name: word(), kids: [] }, { name: word() }] }), (items) => ({ name: "root", kids: items })],
  longstring: [S({ type: "object", properties: { text: { type: "string", maxLength: 10000000 } }, additionalProperties: false }), () => word() + " lorem ipsum dolor sit amet ", (items) => ({ text: items.join("") })],
  escapes: [arr({ type: "string", maxLength: 1000 }), () => `${word()}\n\t"${word()}" \\ ${word()}\r\n${word()} "quoted" text`],
  unicode: [arr({ type: "string", maxLength: 1000 }), () => `Überprüfung ${word()} 日本語テキスト ${word()} emoji 😀`],
  integers: [arr({ type: "integer", minimum: 0, maximum: 1000000 }), () => rnd(1000000)],
  numbers: [arr({ type: "number" }), () => (rnd(1000000) - 500000) / 1000],
  booleans: [arr({ type: "boolean" }), () => rnd(2) === 1],
  nullable: [arr({ type: ["string", "null"] }), (i) => i % 2 ? null : word()],
  datetime: strs({ type: "string", format: "date-time" }, dt),
  email: strs({ type: "string", format: "email" }, () => `${word()}.${word()}@${word()}.example`),
  uuid: strs({ type: "string", format: "uuid" }, uuid),
  uri: strs({ type: "string", format: "uri" }, () => `https://${word()}.example/${word()}/${word()}?q=${word()}`),
  ipv4: strs({ type: "string", format: "ipv4" }, () => `${rnd(256)}.${rnd(256)}.${rnd(256)}.${rnd(256)}`),
  hostname: strs({ type: "string", format: "hostname" }, () => `${word()}.${word()}.example`),
  pattern: strs({ type: "string", pattern: "^[A-Z]{2}-[0-9]{6}$" }, () => `AB-${String(rnd(1000000)).padStart(6, "0")}`),
  patdate: strs({ type: "string", pattern: "^\\d{4}-\\d{2}-\\d{2}$" }, date),
  enum4: strs({ enum: ["red", "green", "blue", "yellow"] }, () => ["red", "green", "blue", "yellow"][rnd(4)]),
  enum200: strs({ enum: many }, () => many[rnd(200)]),
  enumnum: strs({ enum: Array.from({ length: 50 }, (_, i) => i * 3) }, () => rnd(50) * 3),
  const: strs({ const: "fixed-value" }, () => "fixed-value"),
  props10: [arr({ type: "object", additionalProperties: false, properties: props(10, { type: "integer" }), required: Object.keys(props(10)) }), () => props(10, rnd(1000))],
  props50: [arr({ type: "object", additionalProperties: false, properties: props(50, { type: "string" }) }), () => props(50, word())],
  propsrev: [arr({ type: "object", additionalProperties: false, properties: props(30, { type: "string" }) }), () => Object.fromEntries(Object.entries(props(30, word())).reverse())],
  openobj: [arr({ type: "object", properties: { id: { type: "integer" } } }), () => ({ id: rnd(100), [word()+"1"]: word(), [word()+"2"]: rnd(10), extra: [1, 2, { a: true }] })],
  addprops: [arr({ type: "object", additionalProperties: { type: "integer" } }), () => Object.fromEntries(Array.from({ length: 8 }, (_, i) => [word() + i, rnd(1000)]))],
  patprops: [arr({ type: "object", patternProperties: { "^x-": { type: "string" } }, additionalProperties: false, properties: { id: { type: "integer" } } }), () => ({ id: rnd(100), "x-a": word(), "x-b": word() })],
  uniquestr: [arr({ type: "string" }, { uniqueItems: true }), (i) => word() + i],
  uniqueint: [arr({ type: "integer" }, { uniqueItems: true }), (i) => i * 3],
  uniqueobj: [arr({ type: "object", properties: { id: { type: "integer" }, n: { type: "string" } } }, { uniqueItems: true }), (i) => ({ id: i, n: word() })],
  allof: [arr({ allOf: [{ type: "object", properties: { id: { type: "integer" } }, required: ["id"] }, { type: "object", properties: { name: { type: "string" } }, required: ["name"] }] }), () => ({ id: rnd(1000), name: word(), more: word() })],
  anyof: [arr({ anyOf: [{ type: "string" }, { type: "integer" }, { type: "null" }] }), (i) => [word(), rnd(1000), null][i % 3]],
  anyofobj: [arr({ anyOf: [{ type: "object", required: ["a"], properties: { a: { type: "string" } } }, { type: "object", required: ["b"], properties: { b: { type: "integer" } } }] }), (i) => i % 2 ? { a: word() } : { b: rnd(1000) }],
  notobj: [arr({ type: "object", not: { required: ["bad"] } }), () => ({ a: 1, b: word() })],
  ifthen: [arr({ type: "object", properties: { country: { type: "string" } }, if: { properties: { country: { const: "US" } } }, then: { properties: { zip: { pattern: "^[0-9]{5}$" } } }, else: { properties: { zip: { type: "string" } } } }), (i) => ({ country: i % 2 ? "US" : "DE", zip: "12345" })],
  depschema: [arr({ type: "object", properties: { card: { type: "string" } }, dependentSchemas: { card: { required: ["address"], properties: { address: { type: "string" } } } } }), () => ({ card: "1234", address: word(), name: word() })],
  contains: [arr({ type: "object", properties: { list: { type: "array", items: { type: "integer" }, contains: { minimum: 500 } } } }), () => ({ list: [1, 2, 600, rnd(100), 700] })],
  unevalprops: [arr({ type: "object", allOf: [{ properties: { id: { type: "integer" } } }, { properties: { name: { type: "string" } } }], unevaluatedProperties: false }), () => ({ id: rnd(1000), name: word() })],
  unevalone: [arr({ type: "object", properties: { id: { type: "integer" } }, oneOf: [{ properties: { kind: { const: "a" }, x: { type: "integer" } }, required: ["kind"] }, { properties: { kind: { const: "b" }, y: { type: "string" } }, required: ["kind"] }], unevaluatedProperties: false }), (i) => i % 2 ? { id: 1, kind: "a", x: 5 } : { id: 2, kind: "b", y: word() }],
  unevalitems: [arr({ type: "array", prefixItems: [{ type: "integer" }, { type: "string" }], unevaluatedItems: false }), () => [rnd(100), word()]],
  dynref: [{ $schema: D, $id: "https://x.example/tree", $dynamicAnchor: "node", type: "object", properties: { data: { type: "string" }, children: { type: "array", items: { $dynamicRef: "#node" } } } }, () => ({ data: word(), children: [{ data: word(), children: [] }] }), (items) => ({ data: "root", children: items })],
  tuple: [arr({ type: "array", prefixItems: [{ type: "string" }, { type: "number" }, { type: "boolean" }], items: false }), () => [word(), rnd(1000) / 8, true]],
  multipleof: [arr({ type: "integer", multipleOf: 5 }), () => rnd(100000) * 5],
  kitchen: [arr({ type: "object", additionalProperties: false, required: ["id", "created", "email"], properties: { id: { type: "string", format: "uuid" }, created: { type: "string", format: "date-time" }, email: { type: "string", format: "email", maxLength: 254 }, tags: { type: "array", items: { type: "string", maxLength: 20 }, uniqueItems: true, maxItems: 10 }, level: { enum: ["low", "medium", "high"] }, score: { type: "number", minimum: 0, maximum: 1 }, active: { type: "boolean" }, notes: { type: ["string", "null"], maxLength: 1000 } } }), () => ({ id: uuid(), created: dt(), email: `${word()}@${word()}.example`, tags: [word() + 1, word() + 2, word() + 3], level: ["low", "medium", "high"][rnd(3)], score: rnd(1000) / 1000, active: rnd(2) === 1, notes: rnd(2) ? null : `${word()} "${word()}"\n` })],
};

const cases = [];
for (const [name, [schema, make, wrap]] of Object.entries(shapes)) {
  fs.writeFileSync(path.join(folder, `${name}.schema.json`), JSON.stringify(schema));
  for (const bytes of sizes.split(",").map(Number)) {
    const items = [];
    let size = 2;
    for (let i = 0; size < bytes; i++) {
      const item = make(i);
      size += JSON.stringify(item).length + 1;
      items.push(item);
    }
    const file = `${name}-${bytes}.json`;
    fs.writeFileSync(path.join(folder, file), JSON.stringify(wrap ? wrap(items) : items));
    cases.push(`${name} ${bytes} ${name}.schema.json ${file}`);
  }
}
fs.writeFileSync(path.join(folder, "cases"), cases.join("\n") + "\n");
