// Writes the schemas and instances that both sides are measured on: node documents.js FOLDER
"use strict";
const fs = require("fs");
const path = require("path");

const order = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  required: ["id", "customer", "items", "status"],
  additionalProperties: false,
  properties: {
    id: { type: "string", pattern: "^[A-Z]{2}-[0-9]{6}$" },
    customer: { $ref: "#/$defs/customer" },
    status: { enum: ["new", "paid", "shipped", "cancelled"] },
    express: { type: "boolean" },
    note: { type: ["string", "null"], maxLength: 2000 },
    items: { type: "array", minItems: 1, maxItems: 100000, items: { $ref: "#/$defs/item" } },
  },
  $defs: {
    customer: {
      type: "object",
      required: ["name", "email"],
      additionalProperties: false,
      properties: {
        name: { type: "string", minLength: 1, maxLength: 100 },
        email: { type: "string", maxLength: 254 },
        age: { type: "integer", minimum: 0, maximum: 150 },
      },
    },
    item: {
      type: "object",
      required: ["sku", "quantity", "price"],
      additionalProperties: false,
      properties: {
        sku: { type: "string", maxLength: 40 },
        title: { type: "string", maxLength: 200 },
        quantity: { type: "integer", minimum: 1, maximum: 1000 },
        price: { type: "number", minimum: 0, exclusiveMaximum: 1000000 },
        tags: { type: "array", maxItems: 10, items: { type: "string", maxLength: 30 } },
      },
    },
  },
};

const shape = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "array",
  items: {
    oneOf: [
      {
        type: "object",
        required: ["kind", "radius"],
        properties: { kind: { const: "circle" }, radius: { type: "number", minimum: 0 } },
      },
      {
        type: "object",
        required: ["kind", "width", "height"],
        properties: {
          kind: { const: "rectangle" },
          width: { type: "number", minimum: 0 },
          height: { type: "number", minimum: 0 },
        },
      },
      {
        type: "object",
        required: ["kind", "points"],
        properties: {
          kind: { const: "path" },
          points: { type: "array", items: { type: "array", prefixItems: [{ type: "number" }, { type: "number" }], minItems: 2, maxItems: 2 } },
        },
      },
    ],
  },
};

function item(i) {
  return {
    sku: `SKU-${100000 + i}`,
    title: `Article number ${i} in the colour ${["red", "green", "blue"][i % 3]}`,
    quantity: 1 + (i % 9),
    price: Math.round((5 + ((i * 7919) % 10000)) * 1.37) / 100,
    tags: ["new", "sale", "outdoor"].slice(0, i % 4),
  };
}

function orderOf(bytes) {
  const value = {
    id: "AB-123456",
    customer: { name: "Ada Lovelace", email: "ada@shop.example", age: 36 },
    status: "new",
    express: true,
    note: null,
    items: [{ sku: "SKU-1", quantity: 2, price: 19.99 }],
  };
  let size = JSON.stringify(value).length;
  for (let i = 0; size < bytes; i++) {
    const next = item(i);
    size += JSON.stringify(next).length + 1;
    value.items.push(next);
  }
  return value;
}

function shapesOf(bytes) {
  const value = [];
  let size = 2;
  for (let i = 0; size < bytes; i++) {
    const next = [
      { kind: "circle", radius: (i % 100) / 4 },
      { kind: "rectangle", width: i, height: i * 1.5 },
      { kind: "path", points: [[i, 1], [2.5, i], [0, 0]] },
    ][i % 3];
    size += JSON.stringify(next).length + 1;
    value.push(next);
  }
  return value;
}

const sizes = [200, 1000, 10000, 100000, 1000000];
const folder = process.argv[2];
const cases = [];
for (const [name, schema, make] of [["order", order, orderOf], ["shapes", shape, shapesOf]]) {
  fs.writeFileSync(path.join(folder, `${name}.schema.json`), JSON.stringify(schema));
  for (const bytes of sizes) {
    const file = `${name}-${bytes}.json`;
    fs.writeFileSync(path.join(folder, file), JSON.stringify(make(bytes)));
    cases.push(`${name} ${bytes} ${name}.schema.json ${file}`);
  }
}
fs.writeFileSync(path.join(folder, "cases"), cases.join("\n") + "\n");
