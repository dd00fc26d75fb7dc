// Looks for a number with which SHA-256 (FIPS 180-4) of "TEXT.NUMBER" begins with so many zero bits,
// keeps it in a cookie and asks again. In pieces, so that the page stays alive.
'use strict';
(function () {
	const data = document.body.dataset;
	const bits = Number(data.bits);
	const constants = [];
	const initial = [];

	// The fractional parts of the roots of the first primes.
	for (let candidate = 2; constants.length < 64; candidate++) {
		let prime = true;
		for (let i = 2; i * i <= candidate; i++)
			prime = prime && candidate % i !== 0;
		if (!prime)
			continue;
		if (initial.length < 8)
			initial.push((Math.sqrt(candidate) % 1 * 4294967296) | 0);
		constants.push((Math.cbrt(candidate) % 1 * 4294967296) | 0);
	}

	const words = new Int32Array(64);

	function rotate(x, n) {
		return (x >>> n) | (x << (32 - n));
	}

	function compress(state, bytes, at) {
		let [a, b, c, d, e, f, g, h] = state;
		for (let i = 0; i < 16; i++, at += 4)
			words[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) |
				(bytes[at + 2] << 8) | bytes[at + 3];
		for (let i = 16; i < 64; i++) {
			const x = words[i - 15], y = words[i - 2];
			words[i] = words[i - 16] + words[i - 7] +
				(rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3)) +
				(rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10));
		}
		for (let i = 0; i < 64; i++) {
			const t1 = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
				((e & f) ^ (~e & g)) + constants[i] + words[i]) | 0;
			const t2 = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
				((a & b) ^ (a & c) ^ (b & c))) | 0;
			h = g;
			g = f;
			f = e;
			e = (d + t1) | 0;
			d = c;
			c = b;
			b = a;
			a = (t1 + t2) | 0;
		}
		[a, b, c, d, e, f, g, h].forEach(function (x, i) {
			state[i] = (state[i] + x) | 0;
		});
	}

	// The first 32 bits of the digest, which are all that matters.
	function digest(text) {
		const size = (text.length + 9 + 63) & ~63;
		const bytes = new Uint8Array(size);
		const state = Int32Array.from(initial);
		for (let i = 0; i < text.length; i++)
			bytes[i] = text.charCodeAt(i);
		bytes[text.length] = 0x80;
		bytes[size - 2] = text.length >> 5;
		bytes[size - 1] = text.length << 3;
		for (let at = 0; at < size; at += 64)
			compress(state, bytes, at);
		return state[0];
	}

	function finish(pass) {
		document.cookie = data.cookie + '=' + pass + '; path=/; samesite=lax; max-age=' +
			data.seconds + (location.protocol === 'https:' ? '; secure' : '');
		if (document.cookie.includes(pass))
			location.reload();
		else
			document.getElementById('status').textContent =
				'This site needs cookies to go on.';
	}

	let number = 0;
	function search() {
		for (let i = 0; i < 4096; i++, number++) {
			const pass = data.text + '.' + number;
			if (digest(pass) >>> (32 - bits) === 0) {
				finish(pass);
				return;
			}
		}
		setTimeout(search, 0);
	}
	search();
})();
