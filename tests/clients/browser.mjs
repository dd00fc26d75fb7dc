// A real browser through the pages: login, second factor, passkeys, consent, logout. See
// identity_browser_test.py, which gives {issuer, authorize, callback, chromium, shots}.
import { createHmac } from 'node:crypto'
import { chromium } from 'playwright-core'
import { mailed, must } from './talk.mjs'

const given = JSON.parse(process.argv[2])
const sizes = { desktop: { width: 1280, height: 800 }, phone: { width: 360, height: 740 } }
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
    if (message.type() === 'error' && !/status of (4\d\d|503)/.test(message.text())) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  return page
}

// What is wrong with the page as it is: runs in the browser.
function faultsOf() {
  const found = []
  const seen = (element) => element.getClientRects().length > 0 && getComputedStyle(element).visibility === 'visible'
  const colour = (text) => text.match(/[\d.]+/g).map(Number)
  const luminance = (parts) => {
    const [r, g, b] = parts.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const parts = colour(getComputedStyle(at).backgroundColor)
      if (parts.length < 4 || parts[3] > 0) return parts.slice(0, 3)
    }
    return [255, 255, 255]
  }
  const ratio = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x)
    return (high + 0.05) / (low + 0.05)
  }
  if (!document.documentElement.lang) found.push('no language')
  if (document.querySelectorAll('h1').length !== 1) found.push('not one heading')
  if (document.querySelectorAll('main').length !== 1) found.push('not one main part')
  if (!document.title) found.push('no title')
  if (document.documentElement.scrollWidth > window.innerWidth) found.push('wider than the window')
  const fields = [...document.querySelectorAll('input:not([type=hidden])')]
  for (const input of fields) {
    if (!input.labels.length) found.push('no label: ' + input.name)
    if (input.type !== 'checkbox' && !input.autocomplete && !/^(code|name)$/.test(input.name)) found.push('no autocomplete: ' + input.name)
    for (const id of (input.getAttribute('aria-describedby') || '').split(' ').filter(Boolean))
      if (!document.getElementById(id)) found.push('described by nothing: ' + input.name)
  }
  // What is wrong is said of the field that it is about.
  const alert = [...document.querySelectorAll('[role=alert]')].find(seen)
  if (alert && alert.id && fields.some(seen) && !fields.some((input) => input.getAttribute('aria-invalid') === 'true' &&
      input.getAttribute('aria-describedby').split(' ').includes(alert.id))) found.push('an alert of no field')
  // WCAG 2.2 section 2.5.8, and 44 pixels for what is pressed. A link within a sentence has its line.
  for (const target of document.querySelectorAll('a, button, input:not([type=hidden])')) {
    if (!seen(target)) continue
    const box = target.getBoundingClientRect()
    const inSentence = getComputedStyle(target).display === 'inline'
    const least = inSentence ? 0 : target.tagName === 'A' || target.type === 'checkbox' ? 24 : 44
    if (Math.round(box.height) < least) found.push(`${target.outerHTML} is ${box.height} high`)
    if (box.left < 0 || box.right > window.innerWidth + 1) found.push(target.outerHTML + ' is out of the window')
  }
  // Section 1.4.3: words can be read; section 1.4.11: fields can be seen.
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (words.nextNode()) {
    const element = words.currentNode.parentElement
    if (!words.currentNode.data.trim() || !seen(element) || /^(SCRIPT|NOSCRIPT)$/.test(element.tagName)) continue
    const contrast = ratio(colour(getComputedStyle(element).color).slice(0, 3), behind(element))
    if (contrast < 4.5) found.push(`"${words.currentNode.data.trim()}" has a contrast of ${contrast.toFixed(2)}`)
  }
  for (const input of fields.filter(seen)) {
    if (input.type === 'checkbox') continue
    const contrast = ratio(colour(getComputedStyle(input).borderTopColor).slice(0, 3), behind(input.parentElement))
    if (contrast < 3) found.push(`the border of ${input.name} has a contrast of ${contrast.toFixed(2)}`)
  }
  const focused = document.activeElement
  if (focused && focused !== document.body && focused.matches(':focus-visible')) {
    const style = getComputedStyle(focused)
    if (style.outlineStyle === 'none' || ratio(colour(style.outlineColor).slice(0, 3), behind(focused.parentElement)) < 3)
      found.push('the focus cannot be seen')
  }
  return found
}

const looked = new Set()

async function look(page, name) {
  must(!looked.has(name), name + ' was looked at before')
  looked.add(name)
  for (const [size, viewport] of Object.entries(sizes)) {
    await page.setViewportSize(viewport)
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme })
      const faults = await page.evaluate(faultsOf)
      must(faults.length === 0, `${name}, ${size}, ${colorScheme}: ${faults.join('; ')}`)
      if (given.shots) await page.screenshot({ path: `${given.shots}/${name}-${size}-${colorScheme}.png`, fullPage: true })
    }
  }
  await page.emulateMedia({ colorScheme: 'light' })
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
  must(await page.getByLabel('Name').inputValue() === 'alice', 'the name is there still')
  must(await page.evaluate(() => document.activeElement.name === 'password'), 'the focus is on the password')
  await logIn(page, 'alice', 'a long password')
  await page.getByRole('heading', { name: 'Your account' }).waitFor()
  await look(page, 'account')
  await page.getByRole('link', { name: 'How you log in' }).click()
  await look(page, 'security')
  await page.getByRole('link', { name: 'Set it up' }).click()
  await look(page, 'second-factor')
  must(await page.getByRole('img', { name: /^QR code/ }).isVisible(), 'the key is drawn too')
  const secret = await page.locator('code').innerText()
  await page.getByLabel('Code that the app shows').fill('000000')
  await page.getByRole('button', { name: 'Turn it on' }).click()
  await page.getByRole('alert').waitFor()
  await look(page, 'second-factor-wrong')
  must(await page.locator('code').innerText() === secret, 'the key is the same')
  await page.getByLabel('Code that the app shows').fill(totp(secret, -1))
  await page.getByRole('button', { name: 'Turn it on' }).click()
  await page.getByRole('heading', { name: 'Recovery codes' }).waitFor()
  await look(page, 'recovery')
  await logOut(page, true)
  await logIn(page, 'alice', 'a long password')
  await look(page, 'code')
  await page.getByLabel('Code', { exact: true }).fill('nothing')
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.getByRole('alert').waitFor()
  await look(page, 'code-wrong')
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
  await page.locator('input[name=user_code]').fill('BBBBBBBB')
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.getByRole('alert').waitFor()
  await look(page, 'device-wrong')
  await page.goto(given.issuer + '/identity/passkeys')
  await page.getByRole('button', { name: 'Remove Blue key' }).click()
  await page.getByText('The passkey is removed').waitFor()
  await logOut(page)
  await look(page, 'logged-out')
  for (const [path, name] of [['reset', 'reset'], ['register-account', 'register'], ['nowhere', 'not-found'],
    ['reset/new?token=old', 'link-over'], ['authorize?client_id=nobody', 'authorize-refused'], ['login/send', 'form-only'],
    ['federation/corp/callback?code=a&state=b', 'login-elsewhere-refused'], ['federation/closed/start', 'login-elsewhere-away']]) {
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
  await page.getByRole('button', { name: 'Deny' }).click()
  await page.getByText('The device was refused').waitFor()
  await look(page, 'device-denied')
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
  await page.goto(given.issuer + '/identity/register-account')
  await page.getByLabel('E-mail address').fill('nobody@' + 'long.'.repeat(30) + 'test')
  await page.getByRole('button').first().click()
  await page.getByRole('alert').waitFor()
  await look(page, 'register-wrong')
  await page.goto(given.reset)
  await page.getByLabel('New password').fill('short')
  await page.getByRole('button', { name: 'Set the password' }).click()
  await page.getByRole('alert').waitFor()
  await look(page, 'reset-link-wrong')
  await page.getByLabel('New password').fill('a new long password')
  await page.getByRole('button', { name: 'Set the password' }).click()
  await page.getByRole('heading', { name: 'The password is set' }).waitFor()
  await look(page, 'reset-done')
}

// Codes by mail and SMS, the address that is shown to be the user's, and what is wrong on the page of settings.
async function codesAreSentAndAddressesAreShown(page) {
  await logIn(page, 'bob', 'a new long password')
  await page.getByRole('heading', { name: 'Your account' }).waitFor()
  await page.goto(given.issuer + '/identity/security')
  await page.getByLabel('Current password').fill('wrong')
  await page.getByLabel('New password').fill('another long password')
  await page.getByRole('button', { name: 'Change the password' }).click()
  await page.getByRole('alert').waitFor()
  await look(page, 'security-wrong')
  await page.getByLabel('New phone number').fill('+491701234567')
  await page.getByRole('button', { name: 'Send a code to it' }).click()
  await page.getByRole('heading', { name: 'Is this your phone?' }).waitFor()
  await look(page, 'phone')
  await page.getByLabel('Code').fill('00000000')
  await page.getByRole('button', { name: 'It is mine' }).click()
  await page.getByRole('alert').waitFor()
  await look(page, 'phone-wrong')
  await page.goto(given.issuer + '/identity/security')
  await page.getByLabel('New or unverified address').fill('bob@new.shop.test')
  await page.getByRole('button', { name: 'Send a link to it' }).click()
  await page.getByText('A link is on its way').waitFor()
  await page.goto(await mailed('bob@new.shop.test'))
  await look(page, 'verify')
  await page.getByRole('button', { name: 'Yes, it is mine' }).click()
  await page.getByRole('heading', { name: 'Thank you' }).waitFor()
  await look(page, 'verified')
  await page.goto(given.issuer + '/identity/security')
  await page.getByRole('button', { name: 'Turn on codes by e-mail' }).click()
  await page.getByText('Codes are on').waitFor()
  await look(page, 'security-codes')
  await logOut(page)
  // A client asks for more than a password: the way leads by the code to the client.
  await page.goto(given.stepUp)
  await page.getByLabel('Name').fill('bob')
  await page.getByLabel('Password').fill('a new long password')
  await page.getByRole('button', { name: 'Log in', exact: true }).click()
  await page.getByRole('button', { name: 'Send a code by e-mail' }).click()
  await page.getByText('A code is on its way').waitFor()
  await look(page, 'code-sent')
  await page.getByLabel('Code', { exact: true }).fill(await mailed('bob@new.shop.test', 'code'))
  await page.getByRole('button', { name: 'Continue' }).click()
  await page.getByRole('heading', { name: 'Allow access?' }).waitFor()
  await page.getByRole('button', { name: 'Deny' }).click()
  await page.waitForURL(given.callback + '?**')
  must(new URL(page.url()).searchParams.get('error') === 'access_denied', 'the client is told')
  // A form that another site could have made.
  await page.goto(given.issuer + '/identity')
  await page.evaluate(() => { document.querySelector('form[action="/identity/logout"] input[name=form_token]').value = 'forged' })
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('heading', { name: 'This form cannot be used' }).waitFor()
  await look(page, 'form-refused')
}

// The keyboard alone: what is to be typed first has the focus, and the tabulator goes on from there.
async function theKeyboardIsEnough() {
  const page = await open()
  await page.goto(given.issuer + '/identity/login')
  await page.locator('input[autofocus]:focus').waitFor()
  await page.keyboard.type('carol')
  await page.keyboard.press('Tab')
  await page.keyboard.type(given.once)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Choose a new password' }).waitFor()
  await page.locator('input[autofocus]:focus').waitFor()
  await page.keyboard.type('a long password')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Your account' }).waitFor()
  await page.context().close()
}

const page = await open()
const steps = [pagesWorkWithoutScripts, aPasswordAndAnAppLogIn, aPasskeyIsMadeAndLogsIn, aClientAsksForConsent,
  aLoginElsewhereIsJoined, otherPagesArePleasant, pagesOfMailsAndDevicesArePleasant,
  codesAreSentAndAddressesAreShown, theKeyboardIsEnough]
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
