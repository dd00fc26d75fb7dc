// A real browser through the pages: login, second factor, passkeys, consent, logout. See
// identity_browser_test.py, which gives {issuer, authorize, callback, chromium, shots}.
import { createHmac } from 'node:crypto'
import { chromium } from 'playwright-core'
import { must } from './talk.mjs'

const given = JSON.parse(process.argv[2])
const sizes = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } }
const complaints = []

const browser = await chromium.launch({
  executablePath: given.chromium,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
})

async function open(options = {}) {
  const context = await browser.newContext({ viewport: sizes.desktop, ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(15000)
  page.on('console', (message) => {
    // What a policy refuses, or a script does wrong, is said here. Answers like 403 are expected.
    if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  return page
}

async function look(page, name) {
  // Every field has a label, every page a title, a language and one heading.
  const faults = await page.evaluate(() => {
    const found = []
    for (const input of document.querySelectorAll('input:not([type=hidden])'))
      if (!input.labels.length) found.push('no label: ' + input.name)
    if (!document.documentElement.lang) found.push('no language')
    if (document.querySelectorAll('h1').length !== 1) found.push('not one heading')
    if (!document.title) found.push('no title')
    if (document.documentElement.scrollWidth > window.innerWidth) found.push('wider than the window')
    return found
  })
  must(faults.length === 0, name + ': ' + faults)
  for (const [size, viewport] of Object.entries(sizes)) {
    await page.setViewportSize(viewport)
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)
    must(!wide, `${name} fits a ${size}`)
    if (given.shots) await page.screenshot({ path: `${given.shots}/${name}-${size}.png`, fullPage: true })
  }
  await page.setViewportSize(sizes.desktop)
}

function totp(secret, step = 0) {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const bits = [...secret].map((c) => letters.indexOf(c).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + step))
  const digest = createHmac('sha1', key).update(counter).digest()
  const at = digest[19] & 15
  return String((digest.readUInt32BE(at) & 0x7fffffff) % 1000000).padStart(6, '0')
}

async function logIn(page, name, password) {
  await page.goto(given.issuer + '/identity/login')
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Log in', exact: true }).click()
}

async function logOut(page, shot) {
  await page.goto(given.issuer + '/identity/logout')
  if (shot) await look(page, 'logout')
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByText('You are logged out').waitFor()
}

async function addAuthenticator(page) {
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('WebAuthn.enable')
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true,
      isUserVerified: true, automaticPresenceSimulation: true,
    },
  })
  return { cdp, authenticatorId }
}

async function pagesWorkWithoutScripts() {
  const page = await open({ javaScriptEnabled: false })
  await logIn(page, 'bob', 'a long password')
  await page.getByRole('heading', { name: 'Your account' }).waitFor()
  await page.goto(given.issuer + '/identity/login')
  must(!(await page.getByRole('button', { name: 'Log in with a passkey' }).isVisible()), 'no passkeys')
  await page.context().close()
}

async function aPasswordAndAnAppLogIn(page) {
  await page.goto(given.issuer + '/identity/login')
  await look(page, 'login')
  must(await page.evaluate(() => document.activeElement.name === 'name'), 'the focus is on the name')
  await logIn(page, 'alice', 'wrong')
  await page.getByRole('alert').filter({ hasText: 'wrong' }).waitFor()
  await look(page, 'login-wrong')
  await logIn(page, 'alice', 'a long password')
  await page.getByRole('heading', { name: 'Your account' }).waitFor()
  await look(page, 'account')
  await page.getByRole('link', { name: 'How you log in' }).click()
  await look(page, 'security')
  await page.getByRole('link', { name: 'Set it up' }).click()
  await look(page, 'second-factor')
  const secret = await page.locator('code').innerText()
  await page.getByLabel('Code that the app shows').fill(totp(secret, -1))
  await page.getByRole('button', { name: 'Turn it on' }).click()
  await page.getByRole('heading', { name: 'Recovery codes' }).waitFor()
  await look(page, 'recovery')
  await logOut(page, true)
  await logIn(page, 'alice', 'a long password')
  await look(page, 'code')
  await page.getByLabel('Code', { exact: true }).fill(totp(secret))
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.getByRole('heading', { name: 'Your account' }).waitFor()
}

async function aPasskeyIsMadeAndLogsIn(page) {
  const { cdp, authenticatorId } = await addAuthenticator(page)
  await page.goto(given.issuer + '/identity/passkeys')
  await page.getByLabel('Name of the new passkey').fill('Blue key')
  await page.getByRole('button', { name: 'Make a passkey' }).click()
  await page.getByText('The passkey is ready').waitFor()
  await look(page, 'passkeys')
  await logOut(page)
  await page.goto(given.issuer + '/identity/login')
  await page.getByRole('button', { name: 'Log in with a passkey' }).click()
  await page.getByRole('heading', { name: 'Your account' }).waitFor()
  // After the password, in place of a code.
  await logOut(page)
  await logIn(page, 'alice', 'a long password')
  await look(page, 'code-or-passkey')
  await page.getByRole('button', { name: 'Use a passkey' }).click()
  await page.getByRole('heading', { name: 'Your account' }).waitFor()
  // A copy of the key counts from an older number: it is refused.
  const { credentials } = await cdp.send('WebAuthn.getCredentials', { authenticatorId })
  must(credentials.length === 1 && credentials[0].isResidentCredential, 'one passkey')
  must(credentials[0].signCount > 1, 'it counts')
  await cdp.send('WebAuthn.removeCredential', { authenticatorId, credentialId: credentials[0].credentialId })
  await cdp.send('WebAuthn.addCredential', { authenticatorId, credential: { ...credentials[0], signCount: 0 } })
  await logOut(page)
  await page.goto(given.issuer + '/identity/login')
  await page.getByRole('button', { name: 'Log in with a passkey' }).click()
  await page.getByRole('alert').filter({ hasText: 'That did not work' }).waitFor()
  // The counter moves past it: the owner's key works again.
  await cdp.send('WebAuthn.removeCredential', { authenticatorId, credentialId: credentials[0].credentialId })
  await cdp.send('WebAuthn.addCredential', { authenticatorId, credential: { ...credentials[0], signCount: 100 } })
  await page.getByRole('button', { name: 'Log in with a passkey' }).click()
  await page.getByRole('heading', { name: 'Your account' }).waitFor()
}

async function aClientAsksForConsent(page) {
  await page.goto(given.authorize)
  await page.getByRole('heading', { name: 'Allow access?' }).waitFor()
  await look(page, 'consent')
  await page.getByRole('button', { name: 'Allow' }).click()
  await page.waitForURL(given.callback + '?**')
  const query = new URL(page.url()).searchParams
  must(query.get('code') && query.get('iss') === given.issuer, 'a code')
}

async function otherPagesArePleasant(page) {
  await page.goto(given.issuer + '/identity/device')
  await look(page, 'device')
  await page.goto(given.issuer + '/identity/passkeys')
  await page.getByRole('button', { name: 'Remove Blue key' }).click()
  await page.getByText('The passkey is removed').waitFor()
  await logOut(page)
  await look(page, 'logged-out')
  for (const [path, name] of [['reset', 'reset'], ['register-account', 'register'], ['nowhere', 'not-found']]) {
    await page.goto(given.issuer + '/identity/' + path)
    await look(page, name)
  }
}

async function aLoginElsewhereIsJoined(page) {
  await page.goto(given.issuer + '/identity/security')
  await look(page, 'security-links')
  await page.getByRole('button', { name: 'Join Example Corp' }).click()
  await page.getByRole('link', { name: 'Go on to Example Corp' }).waitFor()
  await look(page, 'join')
  const to = await page.getByRole('link', { name: 'Go on to Example Corp' }).getAttribute('href')
  must(to.includes('code_challenge=') && to.includes('prompt=login'), 'the way there: ' + to)
}

async function pagesOfMailsAndDevicesArePleasant(page) {
  await logIn(page, 'carol', given.once)
  await page.getByRole('heading', { name: 'Choose a new password' }).waitFor()
  await look(page, 'new-password')
  await page.getByLabel('New password').fill('short')
  await page.getByRole('button', { name: 'Set the password' }).click()
  await page.getByRole('alert').waitFor()
  await look(page, 'new-password-refused')
  await logIn(page, 'bob', 'a long password')
  await page.getByRole('heading', { name: 'Your account' }).waitFor()
  await page.goto(given.issuer + '/identity/device')
  await page.locator('input[name=user_code]').fill(given.code)
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.getByText('The television').waitFor()
  await look(page, 'device-allow')
  await logOut(page)
  for (const name of ['reset', 'register']) {
    await page.goto(given[name])
    await look(page, name + '-link')
  }
  await page.goto(given.issuer + '/identity/reset')
  await page.locator('input[name=name]').fill('nobody')
  await page.getByRole('button').first().click()
  await page.getByRole('heading', { name: 'Look into your mail' }).waitFor()
  await look(page, 'reset-sent')
}

const page = await open()
const steps = [pagesWorkWithoutScripts, aPasswordAndAnAppLogIn, aPasskeyIsMadeAndLogsIn, aClientAsksForConsent,
  aLoginElsewhereIsJoined, otherPagesArePleasant, pagesOfMailsAndDevicesArePleasant]
for (const step of steps) {
  try {
    await step(page)
    must(complaints.length === 0, 'the browser complains: ' + complaints.join('; '))
    console.log(JSON.stringify({ done: step.name }))
  } catch (error) {
    const text = await page.locator('body').innerText().catch(() => '')
    console.log(JSON.stringify({ failed: step.name, why: `${error.stack}\n${page.url()}\n${text}` }))
    break
  }
}
await browser.close()
process.exit(0)
