// How a client talks to the test that runs it: a line of JSON each way. See identity_real_test.py.
import dns from 'node:dns'
import readline from 'node:readline'
import { webcrypto } from 'node:crypto'

globalThis.crypto ??= webcrypto // node 18
dns.setDefaultResultOrder('ipv4first')

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]()

// Has the test's browser open a URL: where it ends up, or what the page says.
export async function visit(url) {
  console.log(JSON.stringify({ visit: url.toString() }))
  return (await lines.next()).value
}

// What the newest mail to the address has: its link, or its code.
export async function mailed(to, what = 'link') {
  console.log(JSON.stringify({ mailed: to, what }))
  return (await lines.next()).value
}

export async function run(flows) {
  const given = JSON.parse(process.argv[2])
  for (const flow of flows) {
    try {
      await flow(given)
      console.log(JSON.stringify({ done: flow.name }))
    } catch (error) {
      const why = [error.stack, JSON.stringify(error.cause ?? null), JSON.stringify(error.error ?? null)]
      console.log(JSON.stringify({ failed: flow.name, why: why.join('\n') }))
    }
  }
  process.exit(0)
}

export function must(condition, what) {
  if (!condition) throw new Error('not so: ' + what)
}
