// What JSON.parse and a validator compiled by ajv take: node ajv.js FOLDER MODULES
"use strict";
const fs = require("fs");
const path = require("path");
const [folder, modules] = process.argv.slice(2);
const Ajv = require(require.resolve("ajv/dist/2020", { paths: [modules] })).default;
const addFormats = require(require.resolve("ajv-formats", { paths: [modules] })).default;
const ROUND_NS = 60e6;
const ROUNDS = 9;

for (const line of fs.readFileSync(path.join(folder, "cases"), "utf8").trim().split("\n")) {
  const [name, size, schemaFile, dataFile] = line.split(" ");
  const schema = JSON.parse(fs.readFileSync(path.join(folder, schemaFile), "utf8"));
  const body = fs.readFileSync(path.join(folder, dataFile)); // a Buffer, as a server receives it
  const validate = addFormats(new Ajv({ allErrors: false, strict: false })).compile(schema);
  const check = () => validate(JSON.parse(body.toString("utf8")));
  if (!check()) throw new Error(`${dataFile} is not valid: ${JSON.stringify(validate.errors)}`);
  let calls = 1;
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    for (;;) {
      const started = process.cpuUsage(); // of all threads: the collector's work is part of it
      for (let i = 0; i < calls; i++) if (!check()) throw new Error("not valid");
      const used = process.cpuUsage(started);
      const took = (used.user + used.system) * 1000;
      if (took < ROUND_NS) {
        calls *= 2;
        continue;
      }
      best = Math.min(best, took / calls);
      break;
    }
  }
  console.log(`${name} ${size} ${body.length} ${best}`);
}
